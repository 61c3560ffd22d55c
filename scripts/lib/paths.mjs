// Where things are: the repository, what is built from it, and the cache that outlives a clone.

import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");
export const inRoot = (...parts) => join(ROOT, ...parts);

/** A package's executable, as npm links it. */
export const bin = (name) => inRoot("node_modules", ".bin", name);

/** Native and wasm builds use different compilers: each has a target folder of its own. */
export const NATIVE_TARGET = inRoot("target");
export const WASM_TARGET = inRoot("target", "wasm");
export const LOGS = inRoot("target", "logs");

/** Tools that took minutes to build are kept where the next clone finds them. */
export const CACHE =
  process.env.FIELDHOOK_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "fieldhook");
export const CARGO_BIN = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
