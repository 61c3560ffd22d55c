// From the start of a process to its first reply, beside the smallest Worker in JavaScript.

import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../../scripts/lib/console.mjs";
import { Connection } from "../load/connection.mjs";
import { deviceName, eventOf, request, signed } from "../load/events.mjs";
import { median, shuffled, spread } from "../statistics.mjs";
import { prepareSubject, SECRET } from "../subjects/index.mjs";

/** A first reply that needs no object, and one that makes the first object and its tables. */
const FIRST = {
  fieldhook: "/healthz",
  "hello-js": "/",
  "hello-rust": "/",
};
/** Without load there is nothing to keep away from: wasm is compiled on all cores. */
const ALONE = { role: null };
const EVENT = ["fieldhook event", "js event"];

export async function measureCold(subjects, { starts }) {
  const prepared = {};
  const all = [...Object.keys(FIRST), ...EVENT];
  for (const name of all) {
    const [subject] = name.split(" ");
    prepared[name] = await prepareSubject(subject, subjects.folder("memory", `cold ${name}`), ALONE);
  }
  const rounds = [];
  for (let start = 0; start < starts; start++) {
    const round = {};
    for (const name of shuffled(all)) {
      const bytes = FIRST[name] ? request(FIRST[name], { method: "GET" }) : anEvent(start);
      round[name] = await firstReply(prepared[name], bytes);
    }
    rounds.push(round);
  }
  const over = (name, floor) => spread(rounds.map((round) => round[name] - round[floor]));
  const typical = (name) => median(rounds.map((round) => round[name]));
  say(`  cold starts, ms: ${all.map((name) => `${name} ${typical(name).toFixed(1)}`).join(", ")}`);
  return {
    ratios: {
      cold_start_extra_ms: over("fieldhook", "hello-js"),
      cold_start_extra_rust_ms: over("hello-rust", "hello-js"),
      cold_event_extra_ms: over(...EVENT),
    },
    counters: { cold_start_ms: typical("fieldhook"), cold_start_hello_js_ms: typical("hello-js") },
  };
}

/** Milliseconds; the process is new each time, and so is the device. */
async function firstReply(subject, bytes) {
  const began = performance.now();
  subject.start();
  try {
    for (;;) {
      const connection = new Connection(subject.port);
      try {
        const { status } = await connection.send(bytes);
        if (status >= 300) throw new Error(`${subject.name} began with ${status}`);
        return performance.now() - began;
      } catch (error) {
        // Nobody listens yet.
        if (!error.message.includes("ECONNREFUSED")) throw error;
        await sleep(1);
      } finally {
        connection.close();
      }
    }
  } finally {
    await subject.stop();
  }
}

function anEvent(start) {
  return signed(SECRET, JSON.stringify(eventOf(0, { device: deviceName(start) })));
}
