// The simulator (simulator/), built: for `npm run demo` and for tests.

import { join } from "node:path";
import { run, step } from "./console.mjs";
import { inRoot, LOGS, NATIVE_TARGET } from "./paths.mjs";
import { nativeEnv } from "./toolchain.mjs";

const EXECUTABLE = process.platform === "win32" ? "simulator.exe" : "simulator";

/** Where its executable is, once it is built. */
export const SIMULATOR = join(NATIVE_TARGET, "debug", EXECUTABLE);

/** Builds what has changed; cargo knows what that is. */
export async function buildSimulator(toolchain) {
  const env = { ...(await nativeEnv(toolchain)), CARGO_TARGET_DIR: NATIVE_TARGET };
  const build = ["build", "--package", "simulator", "--locked"];
  const log = join(LOGS, "simulator.log");
  await step("Building the simulator", () => run("cargo", build, { cwd: inRoot(), env, log }));
}
