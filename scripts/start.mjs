// `npm start`: builds the Worker and serves it on this machine, with storage and secrets kept between runs.

import { relative, resolve } from "node:path";
import { main, Missing, say, step } from "./lib/console.mjs";
import { completeDevVars } from "./lib/dev-vars.mjs";
import { inRoot } from "./lib/paths.mjs";
import { settingsFrom } from "./lib/settings.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";
import { serveWorker } from "./lib/worker.mjs";

const DEV_VARS = inRoot(".dev.vars");
const DEFAULT_PORT = 8787;
const EXAMPLE_DEVICE = "0123456789abcdef01234567";

await main(async () => {
  const port = readPort(process.env.PORT);
  const toolchain = await setUp();
  if (!toolchain) return;
  await buildWorker(toolchain);

  const persist = resolve(process.env.PERSIST || inRoot(".fieldhook"));
  const environment = settingsFrom(process.env);
  const { values, generated } = completeDevVars(DEV_VARS, environment);
  if (generated.length) say(`Generated ${generated.join(", ")} in .dev.vars`);
  const vars = { ...values, ...environment };
  const server = await step("Starting workerd", () => serve({ port, persist, vars }));
  endOnSignal(server);
  console.log(welcome({ port, persist, environment }));
});

async function serve({ port, persist, vars }) {
  try {
    return await serveWorker({ port, persist, vars });
  } catch (error) {
    if (error.code !== "ERR_ADDRESS_IN_USE") throw error;
    throw new Missing(`Port ${port} of 127.0.0.1 is in use.`, `Choose another: PORT=${port + 1} npm start`);
  }
}

function endOnSignal(server) {
  const end = async () => {
    await server.dispose();
    process.exit(0);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, end);
}

function readPort(text) {
  const port = Number(text || DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Missing(`PORT=${text} is not a port.`, "PORT=8787 npm start");
  return port;
}

function welcome({ port, persist, environment }) {
  const url = `http://127.0.0.1:${port}`;
  const event = {
    event: "temperature",
    data: '{"celsius":21.5}',
    coreid: EXAMPLE_DEVICE,
    published_at: new Date().toISOString(),
  };
  const header = (secret) => `-H "Authorization: Bearer ${readToken(secret, environment)}"`;
  return `
fieldhook   ${url}
tokens      ${inTerms(DEV_VARS)}
storage     ${inTerms(persist)}

Send an event, as Particle would, and read it back (send it again: it is counted once):

curl -i ${url}/hook ${header("INGEST_TOKENS")} -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(event)}' && \\
curl ${url}/v1/devices/${EXAMPLE_DEVICE}/history ${header("READ_TOKENS")}

Ctrl-C ends it.`;
}

/** Shell words that give the first of a secret's tokens, so that none is printed. */
function readToken(secret, environment) {
  if (environment[secret] !== undefined) return `\${${secret}%%,*}`;
  return `$(sed -n 's/^${secret}=\\([^,]*\\).*/\\1/p' '${DEV_VARS}')`;
}

function inTerms(path) {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}
