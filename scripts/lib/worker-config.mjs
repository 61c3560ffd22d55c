// wrangler.toml as Miniflare wants it. wrangler translates, so that nothing is said twice; since loading
// wrangler takes two seconds, the translation is kept until wrangler.toml or wrangler changes.

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readJson } from "./console.mjs";
import { inRoot } from "./paths.mjs";
import { fingerprint, once } from "./stamps.mjs";

const SOURCE = inRoot("wrangler.toml");
const THIS = fileURLToPath(import.meta.url);
const KEPT = inRoot("target", "wrangler-options.json");

/** Bindings, flags, date, vars and assets of wrangler.toml. Code and secrets are not in it. */
export async function workerOptions() {
  const print = fingerprint([SOURCE, THIS, inRoot("package-lock.json")]);
  await once(`${KEPT}.stamp`, print, async () => {
    mkdirSync(inRoot("target"), { recursive: true });
    writeFileSync(KEPT, JSON.stringify(await translate()));
  });
  return readJson(KEPT);
}

async function translate() {
  process.env.WRANGLER_SEND_METRICS = "false";
  process.env.WRANGLER_LOG = "error";
  const { unstable_readConfig, unstable_getMiniflareWorkerOptions } = (await import("wrangler")).default;
  const { assets, ...config } = unstable_readConfig({ config: SOURCE });
  const { modulesRules, ...options } = unstable_getMiniflareWorkerOptions(config).workerOptions;
  // wrangler mixes .dev.vars into the bindings: whoever serves the Worker decides about secrets, tests above all.
  return { ...options, bindings: config.vars, assets: assetOptions(assets) };
}

/** By hand: wrangler looks into the folder, which need not be there for whoever serves no files. */
function assetOptions({ directory, run_worker_first }) {
  return { directory: inRoot(directory), routerConfig: { has_user_worker: true }, run_worker_first };
}
