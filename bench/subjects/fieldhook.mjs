// The Worker itself, and beside it how much memory its wasm has: 64 KiB pages, which only ever grow in number.

import { memory } from "./memory-probe.mjs";
import worker from "../../src/entry.mjs";

export { Device, Fleet, Registry } from "../../src/entry.mjs";

export default {
  fetch(request, env, context) {
    if (request.url.endsWith("/bench/memory")) return Response.json(memory.buffer.byteLength);
    return worker.fetch(request, env, context);
  },
};
