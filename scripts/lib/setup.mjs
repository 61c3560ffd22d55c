// Everything a fresh clone needs before anything can be built, in order; seconds when it is already there.

import { mkdirSync } from "node:fs";
import { ensureCCompiler } from "./c-compiler.mjs";
import { continueUnderPinnedNode, endWithParent, ensurePackages } from "./packages.mjs";
import { CACHE } from "./paths.mjs";
import { findToolchain } from "./toolchain.mjs";

/**
 * Installs what is missing and returns the toolchain for wasm. Under another Node than the pinned one the
 * whole command goes on in a child under that one; then there is nothing left to do here: undefined.
 */
export async function setUp() {
  await ensurePackages();
  if (await continueUnderPinnedNode()) return undefined;
  endWithParent();
  mkdirSync(CACHE, { recursive: true });
  await ensureCCompiler();
  return findToolchain();
}
