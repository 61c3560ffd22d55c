// What the bench needs beside the Worker: the npm packages of its peers, and the smallest Worker in Rust.

import { join } from "node:path";
import { run, step } from "../scripts/lib/console.mjs";
import { installApart } from "../scripts/lib/packages.mjs";
import { inRoot, LOGS } from "../scripts/lib/paths.mjs";
import { fingerprint, once } from "../scripts/lib/stamps.mjs";
import { wasmBuildEnv } from "../scripts/lib/wasm-build.mjs";
import { stripWasm } from "../scripts/lib/wasm-strip.mjs";

const HELLO = inRoot("bench", "subjects", "hello-rust");

/** Installs Express, Hono and better-sqlite3 from a lock file of their own. */
export function ensurePeers() {
  return installApart(inRoot("bench"), "what the Worker is held against");
}

/** Builds the floor in Rust as the Worker is built: the same tools, flags and standard library. */
export async function buildHello(toolchain) {
  const sources = ["Cargo.toml", "Cargo.lock", "src"].map((name) => join(HELLO, name));
  const print = fingerprint(sources, [toolchain.name]);
  await once(join(HELLO, "build", ".fieldhook-stamp"), print, () =>
    step("Building the smallest Worker in Rust", async () => {
      const env = await wasmBuildEnv(toolchain);
      const options = { cwd: HELLO, env, log: join(LOGS, "hello-rust.log") };
      await run("worker-build", ["--release", "--panic-unwind"], options);
      stripWasm(join(HELLO, "build", "index_bg.wasm"));
    }),
  );
}
