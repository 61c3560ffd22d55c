// `npm run bench -- --cost`, or `node bench/cost.mjs`: what a million events cost. Counts what the built Worker does for
// an event in workerd, multiplies by the price list, and writes the table in docs/COST.md. Takes about five minutes,
// nearly all of it waiting: a device that speaks once a minute is asleep in between, and that is part of its cost.

import { createHmac, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { main, say, step } from "../scripts/lib/console.mjs";
import { inRoot } from "../scripts/lib/paths.mjs";
import { setUp } from "../scripts/lib/setup.mjs";
import { buildWorker } from "../scripts/lib/wasm-build.mjs";
import { serveWorker } from "../scripts/lib/worker.mjs";
import { PRICES, dollars } from "./prices.mjs";

const SECRET = "bench-secret-0123456789";
const TOKEN = "bench-admin-token-0123456789";
const COUNTED = inRoot("tests", "support", "counted.mjs");
const DOCUMENT = inRoot("docs", "COST.md");
const [BEGIN, END] = ["<!-- counted: begin -->", "<!-- counted: end -->"];
/** What an object is billed for while it works (Cloudflare docs, "Durable Objects pricing"), GB. */
const OBJECT_GB = 0.128;
const RETENTION_DAYS = 30;
/** Of a part of a log: a third of the retention (core/src/parts.rs). */
const TURN_SECONDS = (RETENTION_DAYS * 86_400) / 3;
const READERS = 10;

const MINUTE = { every: 60, devices: 30, events: 3 };
const SECOND = { every: 1, devices: 10, events: 61 };
const SCENES = [
  { name: "default settings (KV on)", vars: { DEDUP_KV: "on" } },
  { name: "KV off", vars: { DEDUP_KV: "off" } },
  { name: `KV off, ${READERS} streams read`, vars: { DEDUP_KV: "off" }, readers: READERS },
  { name: "KV off, one integration", vars: { DEDUP_KV: "off" }, integration: true },
];

/** Everything, and the table into docs/COST.md. Answers what was counted: `{scene: {perEvent, dollars}}`. */
export async function cost() {
  const toolchain = await setUp();
  if (!toolchain) return undefined;
  await buildWorker(toolchain, "release");
  const storage = mkdtempSync(join(tmpdir(), "fieldhook-cost-"));
  let port = 8931;
  const serve = async (options, work) => {
    const running = await begin({ ...options, port: port++, persist: join(storage, String(port)) });
    try {
      return await work(running);
    } finally {
      await running.stop();
    }
  };
  try {
    const burst = await step("Counting in a burst: CPU time, the shard's index", () =>
      serve({ vars: { DEDUP_KV: "off" }, counted: false }, (plain) => cpuOf(plain)).then(async (cpu) => ({
        ...cpu,
        index: await serve({ vars: { DEDUP_KV: "off" } }, indexRows),
      })),
    );
    const turn = await step("Counting a turn of the retention", () =>
      // Alarms come when they are called: one of its own would be there first.
      serve({ vars: { DEDUP_KV: "off", RETENTION_DAYS: String(3 / 86_400), REAL_ALARMS: "" } }, turnRows),
    );
    const runs = SCENES.flatMap((scene) => [MINUTE, SECOND].map((pace) => ({ ...scene, pace })));
    const counts = await step(`Counting ${runs.length} settings side by side, four minutes`, () =>
      Promise.all(runs.map((run) => serve(run, (running) => steady(running, run)))),
    );
    const results = runs.map((run, index) => {
      const perEvent = complete(counts[index], burst, turn, run);
      return { name: run.name, every: run.pace.every, perEvent, dollars: dollars(perEvent) };
    });
    const table = tableOf(results, { burst, turn });
    say(table);
    writeTable(table);
    return results;
  } finally {
    rmSync(storage, { recursive: true, force: true });
  }
}

/** A Worker that is counted, and a service that it can deliver to. */
async function begin({ vars, port, persist, counted = true }) {
  const miniflare = await serveWorker({
    entry: counted ? COUNTED : undefined,
    port,
    persist,
    pidFile: `${persist}.pid`,
    vars: {
      HMAC_SECRETS: SECRET,
      READ_TOKENS: TOKEN,
      ADMIN_TOKENS: TOKEN,
      ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString("base64"),
      REAL_ALARMS: "on",
      STREAM_OPENS: "1000",
      ...vars,
    },
    outbound: () => new Response("taken"),
  });
  const url = `http://127.0.0.1:${port}`;
  const controller = new AbortController();
  return {
    url,
    pid: () => Number(readFileSync(`${persist}.pid`, "utf8")),
    signal: controller.signal,
    counts: async () => (await fetch(`${url}/__counts`, { method: "DELETE" })).json(),
    alarm: (of) => fetch(`${url}/__alarm?${of}`, { method: "POST" }),
    stop: () => {
      controller.abort();
      return miniflare.dispose();
    },
  };
}

/** About 300 bytes. */
const anEvent = (coreid) => ({
  event: "environment",
  data: { temperature: 21.5, humidity: 40.25, battery: 87, note: "bench", uptime: 12_345 },
  coreid,
  event_id: randomUUID(),
  published_at: new Date().toISOString(),
  product_id: "12345",
  fw_version: "7",
});

/** Publishes an event of a device, or a batch, signed. */
async function send({ url }, what) {
  const body = JSON.stringify(Array.isArray(what) ? what : anEvent(what));
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const headers = { "content-type": "application/json", "x-hub-signature-256": `sha256=${signature}` };
  const response = await fetch(`${url}/hook`, { method: "POST", headers, body });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`an event was answered ${response.status}`);
}

const deviceId = (number) => `cost${String(number).padStart(20, "0")}`;

/**
 * CPU time of the whole of workerd per event, and how long one request takes alone, both of the Worker as it ships. Of
 * what a shared machine shows the least is taken: what is more was somebody else's.
 */
async function cpuOf(running) {
  const [windows, events] = [6, 150];
  const cpu = [];
  for (let window = 0; window < windows; window++) {
    const before = cpuSeconds(running.pid());
    await sendMany(running, events, 20);
    cpu.push(((cpuSeconds(running.pid()) - before) * 1000) / events);
  }
  const latencies = [];
  for (let number = 0; number < 200; number++) {
    const began = performance.now();
    await send(running, deviceId(number % 20));
    latencies.push(performance.now() - began);
  }
  latencies.sort((one, other) => one - other);
  return { cpuMs: Math.min(...cpu), requestMs: latencies[latencies.length / 10] };
}

async function sendMany(running, events, devices) {
  const together = 10;
  for (let sent = 0; sent < events; sent += together) {
    await Promise.all(
      Array.from({ length: together }, (_, at) => send(running, deviceId((sent + at) % devices))),
    );
  }
}

/** utime and stime of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, at 100 ticks a second. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What the shard writes beside its log, per event: many events, for it is seldom. */
async function indexRows(running) {
  const [devices, batches, size] = [100, 40, 100];
  const batch = () => Array.from({ length: size }, (_, at) => anEvent(deviceId(at % devices)));
  await send(running, batch());
  await sleep(2_000);
  await running.counts();
  for (let sent = 0; sent < batches; sent++) await send(running, batch());
  await sleep(2_000);
  const { written, calls } = await running.counts();
  return (written.Fleet - calls["FLEET.append"]) / (batches * size);
}

/** Rows that a device, and its shard, write when a part of their logs has aged out, whatever was in it. */
async function turnRows(running) {
  for (let number = 0; number < 50; number++) await send(running, deviceId(0));
  await sleep(1_100);
  await send(running, deviceId(0));
  await sleep(3_200);
  await running.counts();
  await running.alarm(`device=${deviceId(0)}`);
  await running.alarm("shard=shard-0");
  const { written } = await running.counts();
  // Two parts each have gone by now.
  return { Device: written.Device / 2, Fleet: written.Fleet / 2 };
}

/** Devices that speak at one pace, from their second event on, with all that comes of it: counts per event. */
async function steady(running, { pace, readers = 0, integration }) {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  if (integration) {
    const body = JSON.stringify({
      event: "environment",
      url: "https://service.example.com/events",
      requestType: "POST",
    });
    const made = await fetch(`${running.url}/v1/integrations`, { method: "POST", headers, body });
    if (!made.ok) throw new Error(`the integration was answered ${made.status} ${await made.text()}`);
  }
  for (let reader = 0; reader < readers; reader++) {
    const stream = await fetch(`${running.url}/v1/events`, { headers, signal: running.signal });
    void drain(stream.body);
  }
  const began = Date.now();
  const round = (number) =>
    Promise.all(
      Array.from({ length: pace.devices }, async (_, device) => {
        await sleep(began + (number + device / pace.devices) * pace.every * 1_000 - Date.now());
        await send(running, deviceId(device));
      }),
    );
  await round(0);
  // A round is counted from just before the first device's turn to just before its next.
  await running.counts();
  for (let number = 1; number < pace.events; number++) await round(number);
  await sleep(began + pace.events * pace.every * 1_000 - Date.now() - 200);
  const counted = await running.counts();
  const events = pace.devices * (pace.events - 1);
  const sum = (table, left = () => false) =>
    Object.entries(table).reduce((all, [name, count]) => (left(name) ? all : all + count), 0) / events;
  return {
    requests: 1,
    objectRequests: sum(counted.calls) + sum(counted.alarms),
    alarms: sum(counted.alarms),
    rowsWritten: sum(counted.written) + sum(counted.alarmsSet),
    rowsRead: sum(counted.read),
    kvReads: (counted.kv.get ?? 0) / events,
    kvWrites: (counted.kv.put ?? 0) / events,
  };
}

async function drain(body) {
  try {
    for await (const _ of body);
  } catch {
    // It ends with the Worker.
  }
}

/** What is too seldom to be counted in minutes, and what is measured elsewhere. */
function complete(perEvent, burst, turn, { pace }) {
  const perTurn = TURN_SECONDS / pace.every;
  return {
    ...perEvent,
    rowsWritten:
      perEvent.rowsWritten + burst.index + turn.Device / perTurn + turn.Fleet / perTurn / pace.devices,
    cpuMs: burst.cpuMs,
    gbSeconds: (perEvent.objectRequests * burst.requestMs * OBJECT_GB) / 1_000,
  };
}

function tableOf(results, { burst, turn }) {
  const names = Object.keys(PRICES);
  const number = (value) => (value === 0 ? "0" : value >= 0.1 ? value.toFixed(2) : value.toPrecision(2));
  const head = [
    "setting",
    "one event a",
    ...names.map((name) => PRICES[name].what),
    "**dollars per million events**",
  ];
  const line = ({ name, every, perEvent, dollars: { all } }) => [
    name,
    every === 60 ? "minute" : "second",
    ...names.map((item) => number(perEvent[item] ?? 0)),
    `**${all.toFixed(2)}**`,
  ];
  const rows = [head, head.map(() => "---"), ...results.map(line)].map((cells) => `| ${cells.join(" | ")} |`);
  const notes = [
    `Of this, measured apart: ${burst.cpuMs.toFixed(2)} ms of CPU time of the whole of workerd, of which a bill has only`,
    `the Worker's; ${burst.requestMs.toFixed(1)} ms for one request alone (the fastest tenth), taken as how long each object request keeps an`,
    `object awake; ${burst.index.toFixed(3)} rows per event for the shard's index; ${turn.Device} and ${turn.Fleet} rows`,
    `when a part of a device's and of a shard's log has aged out, whatever was in it.`,
  ];
  return [...rows, "", ...notes].join("\n");
}

function writeTable(table) {
  const text = readFileSync(DOCUMENT, "utf8");
  const [before, after] = [text.slice(0, text.indexOf(BEGIN) + BEGIN.length), text.slice(text.indexOf(END))];
  writeFileSync(DOCUMENT, `${before}\n\n${table}\n\n${after}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(cost);
