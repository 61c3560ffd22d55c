// `npm run build`: the Worker, from a bare clone. `-- inject` builds the variant for tests instead.

import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";

await main(async () => {
  const toolchain = await setUp();
  if (toolchain) await buildWorker(toolchain, process.argv[2] ?? "release");
});
