// Runs the built Worker in workerd through Miniflare: the one place that knows how, for `npm start` and tests.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Missing } from "./console.mjs";
import { buildSite } from "./dashboard.mjs";
import { inRoot } from "./paths.mjs";
import { VARIANTS } from "./variants.mjs";
import { workerOptions } from "./worker-config.mjs";

const LOCALHOST = "127.0.0.1";
const ENTRY = inRoot("src", "entry.mjs");

/**
 * Starts the Worker and returns the Miniflare instance, listening on `port` of localhost.
 *
 * Requests go to workerd's own socket, not through Miniflare's entry worker, which compresses, re-chunks and
 * is slower than the Worker. With `site` the dashboard is served too, and requests go by way of what stands in for the
 * platform's router. `outbound` answers what the Worker fetches; without it requests leave as usual.
 */
export async function serveWorker({
  vars,
  persist,
  port,
  build = "release",
  entry = ENTRY,
  site = false,
  outbound,
  pidFile,
  env,
  onLog,
}) {
  const { Miniflare, Log, LogLevel, convertV4MiniflareOptions } = await import("miniflare");
  useGuardedWorkerd();
  const { assets, ...options } = await workerOptions();
  if (site) await buildSite();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: LOCALHOST,
      port: 0,
      cf: false,
      log: new Log(LogLevel.ERROR),
      handleStructuredLogs: onLog,
      resourcePersistencePath: persist,
      unsafeRuntimeEnv: { ...env, ...(pidFile && { FIELDHOOK_PIDFILE: pidFile }) },
      workers: [
        {
          ...options,
          ...(site && { assets }),
          name: "fieldhook",
          bindings: { ...options.bindings, ...vars },
          modulesRoot: inRoot(),
          modules: await bundle(entry, inRoot(VARIANTS[build].folder)),
          outboundService: outbound,
          unsafeDirectSockets: [{ host: LOCALHOST, port }],
        },
      ],
    }),
  );
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  return miniflare;
}

/** The entry module and all it imports, bundled as wrangler does it, with `folder` in the place of build/. */
export async function bundle(entry, folder) {
  const wasm = join(folder, "index_bg.wasm");
  if (!existsSync(wasm)) throw new Missing("The Worker is not built.", "npm run build");
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    loader: { ".html": "text", ".txt": "text", ".sql": "text", ".bin": "binary" },
    plugins: [variantPlugin(folder)],
    write: false,
    logLevel: "silent",
  });
  return [
    { type: "ESModule", path: inRoot("worker.mjs"), contents: outputFiles[0].text },
    { type: "CompiledWasm", path: inRoot("index_bg.wasm"), contents: readFileSync(wasm) },
  ];
}

function variantPlugin(folder) {
  return {
    name: "variant",
    setup(build) {
      build.onResolve({ filter: /\/build\/index\.js$/ }, () => ({ path: join(folder, "index.js") }));
      build.onResolve({ filter: /\.wasm$/ }, () => ({ path: "./index_bg.wasm", external: true }));
    },
  };
}

/** Makes Miniflare start workerd by way of workerd.sh. */
function useGuardedWorkerd() {
  if (process.platform === "win32") return;
  process.env.FIELDHOOK_WORKERD ??= createRequire(import.meta.url)("workerd").default;
  process.env.MINIFLARE_WORKERD_PATH = fileURLToPath(new URL("workerd.sh", import.meta.url));
}
