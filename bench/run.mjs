// `npm run bench`: the Worker beside what a user would pick instead, on this machine (BENCHMARKS.md says what and how).
//
//   npm run bench                      all of it, in about twenty minutes; the table goes into BENCHMARKS.md
//   npm run bench -- --quick           two minutes: enough to see whether a change made something worse
//   npm run bench -- --only full,sse   parts: full batch refused latency cpu sse floors cold memory size growth
//   npm run bench -- --cost            what a million events cost: docs/COST.md
//   npm run bench -- --growth          how the reply's latency changes as things grow, and nothing else
//   npm run bench -- --json FILE       the ratios and counters, for programs

import { writeFileSync } from "node:fs";
import { main, Missing, say, step } from "../scripts/lib/console.mjs";
import { setUp } from "../scripts/lib/setup.mjs";
import { buildWorker } from "../scripts/lib/wasm-build.mjs";
import { cost } from "./cost.mjs";
import { buildHello, ensurePeers } from "./install.mjs";
import { Load } from "./load/client.mjs";
import { measureCold } from "./parts/cold.mjs";
import { measureGrowth } from "./parts/growth.mjs";
import { measureMemory } from "./parts/memory.mjs";
import { PARTS } from "./parts/rates.mjs";
import { measureSize } from "./parts/size.mjs";
import { print, write } from "./report.mjs";
import { measureRounds } from "./rounds.mjs";
import { Subjects } from "./subjects/index.mjs";
import { Windows } from "./window.mjs";

const ALONE = ["cold", "memory", "size", "growth"];

/** How long everything is looked at; seconds. A window that others disturbed is taken again, so many times in all. */
const WHOLE = { rounds: 5, seconds: 4, lead: 1, warmUp: 12, tries: 3, starts: 20, fresh: 3 };
const QUICK = {
  rounds: 5,
  seconds: 0.6,
  lead: 0.2,
  warmUp: 0.6,
  tries: 2,
  starts: 5,
  fresh: 1,
  isQuick: true,
};

await main(async () => {
  if (process.argv.includes("--cost")) return cost();
  const plan = process.argv.includes("--quick") ? QUICK : WHOLE;
  const wanted = partsWanted();
  const toolchain = await setUp();
  if (!toolchain) return;
  await ensurePeers();
  await buildWorker(toolchain, "release");
  await buildHello(toolchain);
  const result = await measure(wanted, plan);
  print(result);
  const file = valueOf("--json");
  const { ratios, counters } = result;
  if (file) writeFileSync(file, `${JSON.stringify({ ratios, counters }, null, 2)}\n`);
  if (plan === WHOLE && wanted.length === allParts().length) write(result);
});

async function measure(wanted, plan) {
  const subjects = new Subjects();
  const load = new Load();
  const windows = new Windows(load, subjects, plan.tries);
  const stop = async () => {
    load.stop();
    await subjects.stop();
  };
  const result = { ratios: {}, counters: {} };
  const add = ({ ratios, counters, ...more }) => {
    Object.assign(result.ratios, ratios);
    Object.assign(result.counters, counters);
    Object.assign(result, more);
  };
  try {
    const inRounds = Object.fromEntries(Object.entries(PARTS).filter(([name]) => wanted.includes(name)));
    if (wanted.includes("size")) add(measureSize());
    if (wanted.includes("cold"))
      await step("Cold starts", async () => add(await measureCold(subjects, plan)));
    if (Object.keys(inRounds).length) {
      await step("Rounds", async () => add(await measureRounds(windows, inRounds, plan)));
    }
    if (wanted.includes("memory")) {
      await step("Memory", async () => add(await measureMemory(load, subjects, plan)));
    }
    if (wanted.includes("growth")) await step("Growth", async () => add(await measureGrowth(windows, plan)));
  } finally {
    await stop();
  }
  result.note = `${windows.disturbed} of ${windows.taken} windows stayed disturbed.`;
  if (windows.disturbed) say(`  the machine was busy: ${result.note}`);
  return result;
}

function allParts() {
  return [...Object.keys(PARTS), ...ALONE];
}

/** A quick run leaves out what takes minutes, and the floors, unless they are asked for. */
function partsWanted() {
  if (process.argv.includes("--growth")) return ["growth"];
  const names = valueOf("--only")?.split(",");
  const unknown = names?.find((name) => !allParts().includes(name));
  if (unknown) throw new Missing(`There is no part ${unknown}.`, `Parts: ${allParts().join(", ")}`);
  const left = process.argv.includes("--quick") ? ["growth", "floors"] : [];
  return names ?? allParts().filter((name) => !left.includes(name));
}

function valueOf(flag) {
  const at = process.argv.indexOf(flag);
  return at < 0 ? undefined : process.argv[at + 1];
}
