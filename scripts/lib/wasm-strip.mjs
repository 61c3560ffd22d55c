// Takes out of a wasm file what the engine does not run: function names, debug information, who produced it.
// That is half of the file. (wasm-opt would make the rest no smaller: measured, gzipped it comes out larger.)

import { readFileSync, writeFileSync } from "node:fs";

const HEADER_BYTES = 8;
const CUSTOM_SECTION = 0;
const DROPPED = /^(name|producers|sourceMappingURL|\.debug.*)$/;

/** Rewrites the file without the custom sections that nothing reads at run time. */
export function stripWasm(path) {
  const wasm = readFileSync(path);
  const kept = [wasm.subarray(0, HEADER_BYTES)];
  for (let at = HEADER_BYTES; at < wasm.length;) {
    const size = readLength(wasm, at + 1);
    const end = size.next + size.value;
    if (wasm[at] !== CUSTOM_SECTION || !DROPPED.test(nameOf(wasm, size.next)))
      kept.push(wasm.subarray(at, end));
    at = end;
  }
  writeFileSync(path, Buffer.concat(kept));
}

function nameOf(wasm, at) {
  const length = readLength(wasm, at);
  return wasm.subarray(length.next, length.next + length.value).toString();
}

/** An unsigned LEB128 number, as the binary format writes every length. */
function readLength(bytes, at) {
  let value = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * shift;
    if (byte < 128) return { value, next: at };
  }
}
