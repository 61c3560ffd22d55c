// `npm test`: every test there is, from a bare clone. `npm test -- reply` runs the end-to-end files with that in
// their name. The last line counts them all.

import { existsSync, readdirSync } from "node:fs";
import { ensureChromium } from "./lib/chromium.mjs";
import { CommandFailed, main, run, say, step } from "./lib/console.mjs";
import { cargoCounts, nodeCounts, sum, withCrash } from "./lib/counts.mjs";
import { buildSite } from "./lib/dashboard.mjs";
import { ensureClients } from "./lib/packages.mjs";
import { bin, inRoot, NATIVE_TARGET } from "./lib/paths.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildSimulator } from "./lib/simulator.mjs";
import { testFirmware } from "./firmware.mjs";
import { nativeEnv } from "./lib/toolchain.mjs";
import { buildWorker, wasmTestCommand } from "./lib/wasm-build.mjs";
import { workerOptions } from "./lib/worker-config.mjs";

/** Each file has a workerd of its own: two at a time suit two cores, and timing tests need air. */
const FILES_AT_ONCE = "2";
/** Where the end-to-end files are; those that hurt the Worker on purpose, and those in a browser, apart. */
const BROWSER = "tests/dashboard";
const FOLDERS = ["tests", "tests/faults", BROWSER];
/** How the files begin that need what `ensureClients` installs. */
const CLIENTS_TESTS = "particle-clients";
const SLOWEST_TEST_MS = "180000";

await main(async () => {
  // What stops the set-up is a failed test too: whoever reads only the last line must not miss it.
  const toolchain = await setUp().catch((error) => {
    console.log("0 passed, 1 failed");
    throw error;
  });
  if (!toolchain) return;
  const names = process.argv.slice(2);
  const counts = names.length
    ? []
    : [await testCore(toolchain), await testWasm(toolchain), await testFirmware()];
  counts.push(await testEndToEnd(toolchain, names));
  const { passed, failed } = sum(counts);
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed`);
});

async function testCore(toolchain) {
  const env = { ...(await nativeEnv(toolchain)), CARGO_TARGET_DIR: NATIVE_TARGET };
  return runner(
    "core and simulator, natively",
    "cargo",
    ["test", "--package", "fieldhook-core", "--package", "simulator", "--locked"],
    env,
    cargoCounts,
  );
}

async function testWasm(toolchain) {
  if (!existsSync(inRoot("tests", "wasm.rs"))) return { passed: 0, failed: 0 };
  const { command, args, env } = await wasmTestCommand(toolchain);
  return runner("the Worker's Rust, in wasm", command, args, env, cargoCounts);
}

async function testEndToEnd(toolchain, names) {
  const wanted = (file) =>
    file.endsWith(".test.mjs") &&
    (!names.length || names.some((name) => file.slice("tests/".length).includes(name)));
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(inRoot(folder))
      .map((file) => `${folder}/${file}`)
      .filter(wanted)
      .sort(),
  );
  if (names.length && !files.length) {
    say(`No file in ${FOLDERS.join(" or ")} has ${names.join(" or ")} in its name`);
    return { passed: 0, failed: 1 };
  }
  try {
    await buildWorker(toolchain, "release");
    await buildWorker(toolchain, "inject");
    await buildSimulator(toolchain);
    await buildSite();
    await workerOptions();
    if (files.some((file) => file.startsWith(`tests/${CLIENTS_TESTS}`))) await ensureClients();
    if (files.some((file) => file.startsWith(BROWSER))) await ensureChromium();
  } catch (error) {
    say(error.message);
    return { passed: 0, failed: 1 };
  }
  const flags = ["--test", "--test-reporter=spec", "--test-force-exit"];
  const limits = [`--test-concurrency=${FILES_AT_ONCE}`, `--test-timeout=${SLOWEST_TEST_MS}`];
  return runner("end to end", bin("node"), [...flags, ...limits, ...files], process.env, nodeCounts);
}

/** Runs one test runner, its output shown, and counts what it ran. */
async function runner(name, command, args, env, count) {
  try {
    return count(await step(`Testing ${name}`, () => run(command, args, { cwd: inRoot(), env, show: true })));
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    say(error.message);
    return withCrash(count(error.output), true);
  }
}
