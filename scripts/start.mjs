// `npm start`: builds the Worker and serves it on this machine, with storage and secrets kept between runs.

import { main } from "./lib/console.mjs";
import { ENDINGS, readPort, serveLocally } from "./lib/local.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";

const EXAMPLE_DEVICE = "0123456789abcdef01234567";

await main(async () => {
  const port = readPort();
  const toolchain = await setUp();
  if (!toolchain) return;
  await buildWorker(toolchain);
  const local = await serveLocally(port);
  endOnSignal(local.server);
  console.log(welcome(local));
});

/** One Ctrl-C may come several times: from the terminal, and from the Node that started this one. */
function endOnSignal(server) {
  let ending;
  const end = () => (ending ??= server.dispose().then(() => process.exit(0)));
  for (const signal of ENDINGS) process.on(signal, end);
}

function welcome({ url, about, header }) {
  const event = {
    event: "temperature",
    data: '{"celsius":21.5}',
    coreid: EXAMPLE_DEVICE,
    published_at: new Date().toISOString(),
  };
  return `
${about}

Send an event, as Particle would, and read it back (send it again: it is counted once):

curl -i ${url}/hook ${header("INGEST_TOKENS")} -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(event)}' && \\
curl ${url}/v1/devices/${EXAMPLE_DEVICE}/history ${header("READ_TOKENS")}

Ctrl-C ends it.`;
}
