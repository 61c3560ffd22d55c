// Memory: what a live object takes, and whether the Worker's own memory grows with the requests it has served.

import { say } from "../../scripts/lib/console.mjs";
import { residentBytes } from "../machine.mjs";
import { median } from "../statistics.mjs";
import { SECRET, startSubject } from "../subjects/index.mjs";

const OBJECTS = 1000;
const REQUESTS = 100_000;
/** Of those requests; what is new costs the most time, and a short run has little. */
const SHARES = {
  whole: { new: 0.8, repeat: 0.1, refused: 0.1 },
  quick: { new: 0.02, repeat: 0.05, refused: 0.93 },
};
/** With a thousand devices the shard writes its index of them about as often, in events: its largest text. */
const INDEXED_AFTER = 22_000;

export async function measureMemory(load, subjects, { fresh, isQuick }) {
  const sizes = { fieldhook: [], js: [] };
  for (let start = 0; start < fresh; start++) {
    for (const name of Object.keys(sizes)) {
      const folder = subjects.folder("memory", `objects ${name} ${start}`);
      sizes[name].push(await liveObject(load, name, folder));
    }
  }
  const counters = {
    live_object_kb: Math.round(median(sizes.fieldhook)),
    live_object_js_kb: Math.round(median(sizes.js)),
  };
  say(`  a live object: ${counters.live_object_kb} KB, in JavaScript ${counters.live_object_js_kb} KB`);
  const growth = await linearGrowth(load, subjects.folder("memory", "linear"), { isQuick });
  say(
    `  linear memory: ${growth.linear_memory_bytes} bytes, ${growth.linear_memory_growth_bytes} more afterwards`,
  );
  return { ratios: {}, counters: { ...counters, ...growth } };
}

/** Kilobytes that each further object adds to the process. */
async function liveObject(load, name, folder) {
  const subject = await startSubject(name, folder);
  const asked = { port: subject.port, secret: SECRET, kind: "new", connections: 16 };
  try {
    // Code is compiled and the first heap grown before anything is counted.
    await load.do("prepare", { ...asked, devices: 200, prefix: "warm" });
    await load.do("window", { ...asked, devices: 200, prefix: "warm", count: 2000 });
    const before = residentBytes(subject.pid);
    await load.do("prepare", { ...asked, devices: OBJECTS, prefix: "more" });
    return (residentBytes(subject.pid) - before) / OBJECTS / 1024;
  } finally {
    await subject.stop();
  }
}

/** Bytes by which wasm's memory has grown over the requests, after as many as fill every buffer once. */
async function linearGrowth(load, folder, { isQuick }) {
  const shares = SHARES[isQuick ? "quick" : "whole"];
  const subject = await startSubject("fieldhook", folder);
  const asked = { port: subject.port, secret: SECRET, connections: 16 };
  const send = (kind, count) => load.do("window", { ...asked, kind, count });
  const bytes = async () =>
    Number(await (await fetch(`http://127.0.0.1:${subject.port}/bench/memory`)).text());
  try {
    await load.do("prepare", { ...asked, kind: "new" });
    await load.do("prepare", { ...asked, kind: "repeat" });
    for (const kind of Object.keys(shares)) await send(kind, 2_000);
    if (!isQuick) await send("new", INDEXED_AFTER);
    const before = await bytes();
    for (const [kind, share] of Object.entries(shares)) await send(kind, share * REQUESTS);
    return { linear_memory_bytes: before, linear_memory_growth_bytes: (await bytes()) - before };
  } finally {
    await subject.stop();
  }
}
