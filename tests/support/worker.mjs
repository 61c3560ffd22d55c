// The Worker under test: the built one, in a workerd of its own, with secrets that tests know.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveWorker } from "../../scripts/lib/worker.mjs";

export { rawRequest } from "./raw.mjs";

/** The secrets of every Worker under test, unless `vars` says otherwise. */
export const TOKEN = "test-ingest-token-0123456789";
export const WHSEC = "whsec_dGVzdC1zaWduaW5nLXNlY3JldC0wMTIzNDU2Nzg5";
export const HUB_SECRET = "test-hub-secret-0123456789";
export const READ = "test-read-token-0123456789";
export const ADMIN = "test-admin-token-0123456789";
const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString("base64");

export const SECRETS = {
  INGEST_TOKENS: TOKEN,
  HMAC_SECRETS: `${WHSEC},${HUB_SECRET}`,
  READ_TOKENS: READ,
  ADMIN_TOKENS: ADMIN,
  ENCRYPTION_KEYS: ENCRYPTION_KEY,
};

const STARTS_TRIED = 3;

/** An entry that counts what the Worker does: see counted.mjs. */
export const COUNTED = fileURLToPath(new URL("counted.mjs", import.meta.url));

/**
 * Starts the Worker.
 *
 * @param {object} [options]
 * @param {Record<string, string | undefined>} [options.vars] settings and secrets; undefined leaves one out
 * @param {string} [options.persist] storage folder; by default a new one, removed by `stop`
 * @param {"release" | "inject"} [options.build]
 * @param {string} [options.entry] another entry module, e.g. `COUNTED`
 * @param {boolean} [options.site] serve the dashboard's files too
 * @param {number} [options.port] by default a free one, kept across `restart`
 * @param {(request: Request) => Response | Promise<Response>} [options.outbound] answers what the Worker
 *   fetches; by default everything is refused
 * @param {boolean} [options.network] instead of `outbound`: what the Worker fetches leaves through real sockets, so
 *   that connections can hang, break and be refused. Miniflare limits no addresses: aim at 127.0.0.1 (service.mjs)
 * @param {Record<string, string>} [options.env] for the process of workerd
 */
export async function startWorker({
  vars,
  persist,
  build,
  entry,
  site,
  port,
  outbound = refuse,
  network = false,
  env,
} = {}) {
  const scratch = mkdtempSync(join(tmpdir(), "fieldhook-"));
  const storage = persist ?? join(scratch, "storage");
  const pidFile = join(scratch, "workerd.pid");
  const logs = [];
  const removeScratch = () => rmSync(scratch, { recursive: true, force: true });
  process.once("exit", removeScratch);
  const options = {
    vars: definedOnly({ ...SECRETS, ...vars }),
    persist: storage,
    build,
    entry,
    site,
    outbound: network ? undefined : (request) => outbound(request),
    pidFile,
    env,
    onLog: ({ message }) => logs.push(message),
  };
  let miniflare;
  ({ miniflare, port } = await serveSomewhere(options, port));
  const url = `http://127.0.0.1:${port}`;

  return {
    url,
    /** Where objects and KV keep their SQLite files. */
    storage,
    /** What the Worker and the runtime logged, line by line. */
    logs,
    fetch: (path, init) => fetch(new URL(path, url), init),
    /** Bytes of memory that workerd takes up (Linux). */
    memory: () => {
      const status = readFileSync(`/proc/${readFileSync(pidFile, "utf8").trim()}/status`, "utf8");
      return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]);
    },
    /** Ends workerd the hard way, as a power cut would. It stays down until `restart`. */
    async kill() {
      process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
      await miniflare.dispose();
    },
    /** A new workerd at the same address, on the same storage. */
    async restart() {
      await miniflare.dispose();
      miniflare = await serveWorker({ ...options, port });
    },
    /** Ends workerd and leaves the storage, for another Worker to go on with; `stop` is still to be called. */
    release: () => miniflare.dispose(),
    async stop() {
      await miniflare.dispose();
      process.off("exit", removeScratch);
      removeScratch();
    },
  };
}

/** Serves on the given port, or on a free one: another process may take that first, so it is tried again. */
async function serveSomewhere(options, given) {
  for (let tries = 1; ; tries++) {
    const port = given ?? (await freePort());
    try {
      return { miniflare: await serveWorker({ ...options, port }), port };
    } catch (error) {
      if (given || tries === STARTS_TRIED || error.code !== "ERR_ADDRESS_IN_USE") throw error;
    }
  }
}

/** A port of localhost that nobody uses; another process may take it before it is used. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function refuse(request) {
  return new Response(`tests answer no request to ${request.url}`, { status: 599 });
}

function definedOnly(vars) {
  return Object.fromEntries(Object.entries(vars).filter(([, value]) => value !== undefined));
}
