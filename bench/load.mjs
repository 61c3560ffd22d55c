// The load, in a process of its own: keeps `connections` requests under way for `seconds` and prints what
// came of them as one line of JSON.

import { createHmac, randomUUID } from "node:crypto";
import { Agent, request } from "node:http";

const { url, secret, connections, seconds, devices, repeat } = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const target = new URL("/hook", url);
const statuses = {};
const latencies = [];
let sent = 0;

/** About 300 bytes, signed, as a device with a few sensors would send it. */
function event() {
  const number = sent++;
  const body = JSON.stringify({
    event: "environment",
    data: {
      temperature: 21.5 + (number % 10) / 10,
      humidity: 40.25,
      battery: 87,
      note: "bench",
      uptime: number,
    },
    coreid: `bench${String(number % devices).padStart(19, "0")}`,
    event_id: repeat ? "the-same" : randomUUID(),
    published_at: new Date().toISOString(),
    product_id: "12345",
    fw_version: "7",
  });
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  return {
    body,
    headers: {
      "content-type": "application/json",
      "x-hub-signature-256": `sha256=${signature}`,
      "content-length": Buffer.byteLength(body),
    },
  };
}

function send() {
  const { body, headers } = event();
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const call = request(target, { method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () => {
        statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1;
        latencies.push(performance.now() - began);
        resolve();
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

const began = performance.now();
const end = began + seconds * 1000;
await Promise.all(
  Array.from({ length: connections }, async () => {
    while (performance.now() < end) await send();
  }),
);
const elapsed = (performance.now() - began) / 1000;
latencies.sort((a, b) => a - b);
const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
process.stdout.write(
  JSON.stringify({ rate: latencies.length / elapsed, p50: at(0.5), p99: at(0.99), statuses }),
);
agent.destroy();
