// The compiler for wasm: chosen by what this machine can reach, without a question.
//
// The Worker is built with panic=unwind, for which worker-build calls `cargo +nightly` and rebuilds the
// standard library. Two ways lead there (rustup.mjs, debian.mjs). Both end in a folder of three small
// scripts, `cargo`, `rustc` and `rustup`, that is first on PATH for wasm builds only: there `+nightly`
// means the pinned compiler, whichever way it came, and the user's own toolchains are left as they are.

import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ask, Missing } from "./console.mjs";
import { debianToolchain } from "./debian.mjs";
import { CACHE } from "./paths.mjs";
import { MINIMUM_RUST } from "./pins.mjs";
import { rustupToolchain } from "./rustup.mjs";

export const WASM = "wasm32-unknown-unknown";

/**
 * @typedef {object} Toolchain
 * @property {string} name of the compiler, for the user and for stamps
 * @property {string} cargo path of its cargo
 * @property {string} rustc path of its rustc
 * @property {Record<string, string>} env that its builds for wasm need
 */

/** The toolchain for wasm: what is already there first, then what can be installed. @returns {Promise<Toolchain>} */
export async function findToolchain() {
  const present = (await rustupToolchain.find()) ?? (await debianToolchain.find());
  if (present) return present;
  const installed = (await rustupToolchain.install()) ?? (await debianToolchain.install());
  if (installed) return installed;
  throw new Missing(
    "There is no Rust compiler for WebAssembly on this machine, and none could be installed.",
    `${rustupToolchain.help}\nor, ${debianToolchain.help}`,
  );
}

/** The environment in which `cargo +nightly build --target wasm32-unknown-unknown -Z build-std` works. */
export function wasmEnv(toolchain) {
  const shims = writeShims(toolchain);
  return { ...process.env, ...toolchain.env, PATH: [shims, process.env.PATH].join(delimiter) };
}

/** The environment for native builds: the user's own cargo when it is recent enough, else the one for wasm. */
export async function nativeEnv(toolchain) {
  const version = await ask("cargo", ["--version"], { cwd: CACHE });
  return atLeast(version, MINIMUM_RUST) ? { ...process.env } : wasmEnv(toolchain);
}

/** Whether `cargo 1.95.0 (…)` is `1.91` or later. */
function atLeast(versionLine, minimum) {
  const numbers = (text) =>
    text
      .match(/(\d+)\.(\d+)/)
      ?.slice(1)
      .map(Number) ?? [0, 0];
  const [[major, minor], [leastMajor, leastMinor]] = [numbers(versionLine ?? ""), numbers(minimum)];
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

function writeShims({ name, cargo, rustc }) {
  const folder = join(CACHE, "toolchains", name.replaceAll(/[^\w.-]/g, "-"));
  const libraries = join(folder, "libraries");
  mkdirSync(libraries, { recursive: true });
  // worker-build asks where the target's libraries are, and refuses when that folder does not exist: they are
  // built from source on the way, so any folder will do.
  writeShim(
    folder,
    "rustc",
    `case " $* " in *" target-libdir "*) echo "${libraries}"; exit ;; esac\nexec "${rustc}" "$@"`,
  );
  writeShim(folder, "cargo", `exec "${cargo}" "$@"`);
  writeShim(folder, "rustup", `echo "rust-src (installed)"`);
  return folder;
}

function writeShim(folder, name, body) {
  const path = join(folder, name);
  rmSync(path, { force: true });
  writeFileSync(path, `#!/bin/sh\n[ "$1" = +nightly ] && shift\n${body}\n`);
  chmodSync(path, 0o755);
}
