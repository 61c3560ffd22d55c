// `npm run soak`: half an hour of virtual devices, killed machines and failing services, and a table of what became of
// it (tests/faults/soak.mjs). `-- --minutes 5 --kills 10` is shorter, `-- --seed N` the same dice again.

import { parseArgs } from "node:util";
import { seedFrom } from "../tests/faults/chance.mjs";
import { soak } from "../tests/faults/soak.mjs";
import { main, say } from "./lib/console.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildSimulator } from "./lib/simulator.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";

const SHOWN_PROBLEMS = 50;
const ROWS = {
  seconds: "",
  devices: "",
  kills: "SIGKILL of workerd at a random moment",
  requests: "of the devices",
  retransmits: "the same id again later",
  duplicates: "the same id twice at once",
  failed: "cut off or refused: not acknowledged",
  acknowledged: "events answered 2xx",
  logged: "events in the logs, those that were cut off included",
  lost: "acknowledged, and not in the log",
  doubled: "in the log more than once",
  reordered: "arrived behind one that was published later",
  streams: "two of the fleet, one of each device",
  resumed: "times a stream went on with Last-Event-ID",
  streamed: "events on all streams",
  missing: "in the log, and not on a stream",
  repeated: "on a stream more than once",
  shuffled: "on a stream behind a later one",
  attempts: "deliveries tried",
  refused: "failed by the service, on purpose",
  delivered: "events delivered, in the order of their log",
  redelivered: "delivered again after a kill",
  undelivered: "in the log, and not delivered",
  writes: "of twins and commands, acknowledged",
  twins: "",
  converged: "reported is desired",
  commands: "in the queues, those that were cut off included",
  acked: "",
  expired: "",
};

await main(async () => {
  const options = Object.fromEntries(["minutes", "kills", "seed"].map((name) => [name, { type: "string" }]));
  const { minutes = "30", kills = "50", seed: given } = parseArgs({ options }).values;
  const toolchain = await setUp();
  if (!toolchain) return;
  await buildWorker(toolchain);
  await buildSimulator(toolchain);
  const seed = seedFrom(given);
  say(`Soaking for ${minutes} minutes, seed ${seed}`);
  const { problems, counts } = await soak({
    ...{ seed, kills: Number(kills), seconds: Number(minutes) * 60 },
    ...{ turn: 4_000, ttl: 60, writes: 1, within: 300, say },
  });
  for (const [name, note] of Object.entries(ROWS))
    console.log(`${name.padEnd(14)}${String(counts[name]).padStart(9)}  ${note}`.trimEnd());
  for (const problem of problems.slice(0, SHOWN_PROBLEMS)) console.log(problem);
  console.log(`seed ${seed}: ${problems.length ? `${problems.length} problems` : "nothing lost"}`);
  process.exit(problems.length ? 1 : 0);
});
