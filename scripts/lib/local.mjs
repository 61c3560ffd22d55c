// The Worker on this machine as its users run it: a port, storage and secrets that are kept between runs.

import { relative, resolve } from "node:path";
import { Missing, say, step } from "./console.mjs";
import { completeDevVars } from "./dev-vars.mjs";
import { inRoot } from "./paths.mjs";
import { settingsFrom } from "./settings.mjs";
import { serveWorker } from "./worker.mjs";

const DEV_VARS = inRoot(".dev.vars");
const DEFAULT_PORT = 8787;

/** The signals by which a user, a shell or a closed terminal asks a command to end. */
export const ENDINGS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** PORT, or the usual one. */
export function readPort() {
  const text = process.env.PORT;
  const port = Number(text || DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Missing(`PORT=${text} is not a port.`, `PORT=${DEFAULT_PORT} ${command()}`);
  return port;
}

/** Serves the built Worker: where it is, and how to call it. */
export async function serveLocally(port) {
  const persist = resolve(process.env.PERSIST || inRoot(".fieldhook"));
  const environment = settingsFrom(process.env);
  const { values, generated } = completeDevVars(DEV_VARS, environment);
  if (generated.length) say(`Generated ${generated.join(", ")} in .dev.vars`);
  const vars = { ...values, ...environment };
  const server = await step("Starting workerd", () => serve({ port, persist, vars }));
  const url = `http://127.0.0.1:${port}`;
  return {
    server,
    url,
    about: `fieldhook   ${url}\ntokens      ${inTerms(DEV_VARS)}\nstorage     ${inTerms(persist)}`,
    /** The first of a secret's tokens; for the environment of a process, never for its arguments. */
    token: (secret) => vars[secret]?.split(",")[0].trim() || undefined,
    /** As an argument of curl, without the token itself. */
    header: (secret) => `-H "Authorization: Bearer ${shellWords(secret, environment)}"`,
  };
}

async function serve(options) {
  const { port } = options;
  const before = new Map(ENDINGS.map((signal) => [signal, process.listeners(signal)]));
  try {
    const server = await serveWorker({ ...options, site: true });
    // Miniflare exits at once at any of them; here it is for the command to say what comes first.
    for (const [signal, known] of before) {
      const added = process.listeners(signal).filter((listener) => !known.includes(listener));
      for (const listener of added) process.off(signal, listener);
    }
    return server;
  } catch (error) {
    if (error.code !== "ERR_ADDRESS_IN_USE") throw error;
    throw new Missing(
      `Port ${port} of 127.0.0.1 is in use.`,
      `Choose another: PORT=${port + 1} ${command()}`,
    );
  }
}

/** Shell words that give the first of a secret's tokens, so that none is printed. */
function shellWords(secret, environment) {
  if (environment[secret] !== undefined) return `\${${secret}%%,*}`;
  return `$(sed -n 's/^${secret}=\\([^,]*\\).*/\\1/p' '${DEV_VARS}')`;
}

function inTerms(path) {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

/** What the user has typed. */
function command() {
  const script = process.env.npm_lifecycle_event ?? "start";
  return script === "start" ? "npm start" : `npm run ${script}`;
}
