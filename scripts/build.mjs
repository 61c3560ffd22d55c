// `npm run build`: the Worker and the dashboard, from a bare clone. `-- inject` builds the variant for tests instead.

import { main } from "./lib/console.mjs";
import { buildSite } from "./lib/dashboard.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";

await main(async () => {
  const toolchain = await setUp();
  if (!toolchain) return;
  await buildWorker(toolchain, process.argv[2] ?? "release");
  await buildSite();
});
