// Every version the scripts rely on, read from where it is pinned, or pinned here.

import { readFileSync } from "node:fs";
import { readJson } from "./console.mjs";
import { inRoot } from "./paths.mjs";

const packages = readJson(inRoot("package.json")).devDependencies;

/** The Node that runs everything after set-up, from package.json. */
export const NODE = packages.node;

/** `panic=unwind` on wasm needs the standard library rebuilt, hence a nightly: this one. */
export const NIGHTLY = "nightly-2026-05-20";

/** The oldest compiler that the dependencies accept: `rust-version` in Cargo.toml. */
export const MINIMUM_RUST = manifestValue("rust-version");

/** Tools installed with cargo. Two of them must agree with a crate in Cargo.lock to the last digit. */
export const CARGO_TOOLS = {
  "worker-build": { version: lockedCrate("worker"), binary: "worker-build" },
  "wasm-bindgen-cli": { version: lockedCrate("wasm-bindgen"), binary: "wasm-bindgen-test-runner" },
};

function lockedCrate(name) {
  const lock = readFileSync(inRoot("Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`name = "${name}"\\nversion = "([^"]+)"`))?.[1];
  if (!version) throw new Error(`Cargo.lock has no package ${name}`);
  return version;
}

function manifestValue(key) {
  return readFileSync(inRoot("Cargo.toml"), "utf8").match(new RegExp(`^${key} = "([^"]+)"`, "m"))[1];
}
