// `npm run lint`: formatting, clippy, unused dependencies and a trial deployment. Every linter runs, whatever the
// others said; the exit code is how many of them failed. `npm run format` (--fix) only formats.

import { CommandFailed, main, run, say, step } from "./lib/console.mjs";
import { ensureNativeTools } from "./lib/native-tools.mjs";
import { bin, inRoot, NATIVE_TARGET } from "./lib/paths.mjs";
import { setUp } from "./lib/setup.mjs";
import { nativeEnv } from "./lib/toolchain.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";

const FIX = process.argv.includes("--fix");

await main(async () => {
  const toolchain = await setUp();
  if (!toolchain) return;
  const env = {
    ...(await nativeEnv(toolchain)),
    CARGO_TARGET_DIR: NATIVE_TARGET,
    // As worker-build sets it: the Worker has no wasm-bindgen-futures.
    WASM_BINDGEN_USE_JS_SYS: "1",
    WRANGLER_SEND_METRICS: "false",
    CI: "1",
  };
  await ensureNativeTools(env);
  let failed = 0;
  for (const [name, command, ...args] of FIX ? formatters("write") : [...formatters("check"), ...linters()]) {
    if (!(await passes(name, command, args, env))) failed += 1;
  }
  if (!FIX && !(await deploys(toolchain, env))) failed += 1;
  say(failed ? `${failed} linters failed` : "All linters passed");
  process.exitCode = failed;
});

function formatters(mode) {
  return [
    ["rustfmt", "cargo", "fmt", "--all", ...(mode === "check" ? ["--check"] : [])],
    ["prettier", bin("prettier"), `--${mode}`, "--log-level=warn", "."],
  ];
}

/** The Worker's Rust is checked as native code: the same source, in seconds and without a second toolchain. */
function linters() {
  const clippy = ["cargo", "clippy", "--locked", "--workspace"];
  return [
    ["clippy", ...clippy, "--all-targets", "--all-features", "--", "-D", "warnings"],
    ["unused dependencies", ...clippy, "--lib", "--", "-D", "unused_crate_dependencies"],
  ];
}

async function deploys(toolchain, env) {
  try {
    await buildWorker(toolchain);
  } catch (error) {
    say(error.message);
    return false;
  }
  return passes("wrangler deploy --dry-run", bin("wrangler"), ["deploy", "--dry-run"], env);
}

async function passes(name, command, args, env) {
  try {
    await step(`Checking with ${name}`, () => run(command, args, { cwd: inRoot(), env }));
    return true;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    say(error.message);
    return false;
  }
}
