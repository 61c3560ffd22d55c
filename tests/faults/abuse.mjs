// `node tests/faults/abuse.mjs`: how long a good device waits for its answer while others flood the Worker, and how
// much memory workerd takes up. A line for each, and exit code 1 if any answer took a second or more.

import { performance } from "node:perf_hooks";
import { anEvent, clientOf } from "../support/client.mjs";
import * as floods from "../support/floods.mjs";
import { startWorker } from "../support/worker.mjs";

const EVENTS = 100;
const ANSWER_MAX = 1_000;

const FLOODS = {
  "no flood": async () => ({ end() {} }),
  "1,000 slow headers": floods.slowHeaders,
  "1,000 slow bodies": floods.slowBodies,
  "1,000 unfinished bodies of 200 KB": floods.slowLargeBodies,
  "the same, chunked and unproven": floods.slowChunkedBodies,
  "bad tokens, 16 at a time": floods.badTokens,
  "one device, 16 at a time": floods.oneDevice,
};

let worst = 0;
for (const [name, begin] of Object.entries(FLOODS)) {
  const worker = await startWorker();
  const client = clientOf(worker);
  await client.accepted(anEvent({ coreid: "good" }));
  const idle = worker.memory();
  const flood = await begin(worker);
  const waits = [];
  for (let count = 0; count < EVENTS; count++) {
    const began = performance.now();
    await client.accepted(anEvent({ coreid: "good" }));
    waits.push(performance.now() - began);
  }
  const grown = worker.memory() - idle;
  await flood.end();
  await worker.stop();
  waits.sort((a, b) => a - b);
  const [median, most] = [waits[EVENTS / 2], waits.at(-1)].map((wait) => wait.toFixed(1));
  console.log(`${name}: median ${median} ms, longest ${most} ms, ${Math.round(grown / 1e6)} MB more`);
  worst = Math.max(worst, waits.at(-1));
}
process.exit(worst < ANSWER_MAX ? 0 : 1);
