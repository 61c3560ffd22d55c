// How large the Worker is: what is uploaded, gzipped.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { inRoot } from "../../scripts/lib/paths.mjs";

export function measureSize() {
  const wasm = readFileSync(inRoot("build", "index_bg.wasm"));
  return { ratios: {}, counters: { wasm_gz_bytes: gzipSync(wasm, { level: 9 }).length } };
}
