// Builds the Worker: Rust to wasm and its JavaScript, by worker-build, skipped when nothing changed.

import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import { cargoTool } from "./cargo-tools.mjs";
import { run, say, step } from "./console.mjs";
import { bin, inRoot, LOGS, WASM_TARGET } from "./paths.mjs";
import { CARGO_TOOLS } from "./pins.mjs";
import { fingerprint, once } from "./stamps.mjs";
import { nativeEnv, WASM, wasmEnv } from "./toolchain.mjs";
import { VARIANTS } from "./variants.mjs";
import { unwrapGlue } from "./wasm-glue.mjs";
import { stripWasm } from "./wasm-strip.mjs";

const SOURCES = [
  "Cargo.toml",
  "Cargo.lock",
  ".cargo",
  "core/Cargo.toml",
  "core/src",
  "src",
  "scripts/lib",
].map((path) => inRoot(path));

/** Builds one variant unless its sources, compiler and tools are those of the last build. */
export async function buildWorker(toolchain, variant = "release") {
  const { folder, features } = VARIANTS[variant];
  const env = await wasmBuildEnv(toolchain);
  const versions = Object.values(CARGO_TOOLS).map((tool) => tool.version);
  const print = fingerprint(SOURCES, [toolchain.name, ...versions]);
  const stamp = inRoot(folder, ".fieldhook-stamp");
  const wasm = inRoot(folder, "index_bg.wasm");
  const built = await once(stamp, print, () =>
    step(`Building the Worker into ${folder}/`, async () => {
      const log = join(LOGS, `${folder}.log`);
      await run("worker-build", workerBuildArguments(folder, features), { cwd: inRoot(), env, log });
      stripWasm(wasm);
      unwrapGlue(inRoot(folder, "index.js"));
    }),
  );
  if (built) say(`  ${size(wasm)}`);
}

/** Flags and folders that the Worker and its wasm tests share, so that they share what is compiled. */
export async function wasmBuildEnv(toolchain) {
  const native = await nativeEnv(toolchain);
  const workerBuild = await cargoTool("worker-build", native);
  const bindgen = await cargoTool("wasm-bindgen-cli", native);
  const env = wasmEnv(toolchain);
  return {
    ...env,
    PATH: [env.PATH, workerBuild, bindgen].join(delimiter),
    CARGO_TARGET_DIR: WASM_TARGET,
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: join(bindgen, "wasm-bindgen-test-runner"),
    WASM_BINDGEN_BIN: join(bindgen, "wasm-bindgen"),
    ESBUILD_BIN: bin("esbuild"),
  };
}

/** The command that runs tests/wasm.rs in Node: compiled like the Worker, unwinding included. */
export async function wasmTestCommand(toolchain) {
  const env = {
    ...(await wasmBuildEnv(toolchain)),
    RUSTFLAGS: "-Cpanic=unwind",
    WASM_BINDGEN_USE_JS_SYS: "1",
  };
  const std = ["-Z", "build-std=std,panic_unwind,test"];
  return {
    command: "cargo",
    args: ["+nightly", "test", "--test", "*", "--release", "--target", WASM, ...std, "--locked"],
    env,
  };
}

function workerBuildArguments(folder, features) {
  const cargoArguments = features.length ? ["--features", features.join(",")] : [];
  return ["--release", "--panic-unwind", "--out-dir", folder, ...cargoArguments];
}

function size(path) {
  const wasm = readFileSync(path);
  const kilobytes = (bytes) => `${(bytes / 1024).toFixed(0)} KB`;
  return `wasm: ${kilobytes(wasm.length)}, gzipped ${kilobytes(gzipSync(wasm, { level: 9 }).length)}`;
}
