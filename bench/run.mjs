// `npm run bench -- --quick`: the Worker and a plain JavaScript one beside it, in turn, on this machine.
//
// Machines are shared and drift, so what counts is the ratio of two windows that follow one another, never a
// window by itself. `--json FILE` keeps the numbers.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { main, run, say, step } from "../scripts/lib/console.mjs";
import { inRoot } from "../scripts/lib/paths.mjs";
import { setUp } from "../scripts/lib/setup.mjs";
import { buildWorker } from "../scripts/lib/wasm-build.mjs";
import { serveWorker } from "../scripts/lib/worker.mjs";

const SECRET = "bench-secret";
const CONNECTIONS = 16;
const DEVICES = 1000;
/** `--quick` takes two minutes. */
const ROUNDS = process.argv.includes("--quick") ? 8 : 24;
const WINDOW_SECONDS = 3;
const WARM_UP_SECONDS = 5;

/** Each subject: its entry module, and what its load does differently. */
const SUBJECTS = {
  fieldhook: { entry: inRoot("src", "entry.mjs"), port: 8911 },
  plain: { entry: inRoot("bench", "peers", "plain.mjs"), port: 8912 },
};

await main(async () => {
  const toolchain = await setUp();
  if (!toolchain) return;
  await buildWorker(toolchain, "release");
  const jsonFile = valueOf("--json");
  const storage = mkdtempSync(join(tmpdir(), "fieldhook-bench-"));
  const running = [];
  try {
    for (const [name, { entry, port }] of Object.entries(SUBJECTS)) {
      const vars = { HMAC_SECRETS: SECRET, DEDUP_KV: "off" };
      running.push(await serveWorker({ entry, port, vars, persist: join(storage, name) }));
    }
    const result = await measure();
    report(result);
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(result, null, 2)}\n`);
  } finally {
    for (const miniflare of running) await miniflare.dispose();
    rmSync(storage, { recursive: true, force: true });
  }
});

async function measure() {
  await step("Warming up", async () => {
    for (const name of Object.keys(SUBJECTS)) await load(name, { seconds: WARM_UP_SECONDS });
  });
  const rounds = [];
  for (let round = 1; round <= ROUNDS; round++) {
    // Each goes first every other time, so that drift favours neither.
    const order = round % 2 ? ["fieldhook", "plain"] : ["plain", "fieldhook"];
    const rates = {};
    for (const name of order) rates[name] = await load(name, { seconds: WINDOW_SECONDS });
    rates.repeat = await load("fieldhook", { seconds: WINDOW_SECONDS, repeat: true });
    rounds.push(rates);
    say(
      `  round ${round} of ${ROUNDS}: ${Object.entries(rates)
        .map(([name, { rate }]) => `${name} ${rate.toFixed(0)}/s`)
        .join(", ")}`,
    );
  }
  return {
    ratios: {
      full_vs_js: spread(rounds.map(({ fieldhook, plain }) => fieldhook.rate / plain.rate)),
      duplicate_vs_new: spread(rounds.map(({ repeat, fieldhook }) => repeat.rate / fieldhook.rate)),
    },
    counters: { wasm_gz_bytes: gzipSync(readFileSync(inRoot("build", "index_bg.wasm"))).length },
  };
}

async function load(name, { seconds, repeat = false }) {
  const url = `http://127.0.0.1:${SUBJECTS[name].port}`;
  const options = { url, secret: SECRET, connections: CONNECTIONS, devices: DEVICES, seconds, repeat };
  const printed = await run(process.execPath, [inRoot("bench", "load.mjs"), JSON.stringify(options)]);
  const result = JSON.parse(printed);
  const refused = Object.keys(result.statuses).filter((status) => status !== "204");
  // A server that answers errors quickly must not look fast.
  if (refused.length) throw new Error(`${name} answered ${JSON.stringify(result.statuses)}`);
  return result;
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1) };
}

function report({ ratios, counters }) {
  for (const [name, { median, min, max }] of Object.entries(ratios)) {
    console.log(`${name}: ${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`);
  }
  for (const [name, value] of Object.entries(counters)) console.log(`${name}: ${value}`);
}

function valueOf(flag) {
  const at = process.argv.indexOf(flag);
  return at < 0 ? undefined : process.argv[at + 1];
}
