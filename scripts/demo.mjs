// `npm run demo`: serves the Worker as `npm start` does, and has twenty virtual devices use it. What stands behind
// `--` goes to the fleet: `npm run demo -- -n 50 --lose 0.2`.

import { spawn } from "node:child_process";
import { main, Missing, say } from "./lib/console.mjs";
import { ENDINGS, readPort, serveLocally } from "./lib/local.mjs";
import { setUp } from "./lib/setup.mjs";
import { buildSimulator, SIMULATOR } from "./lib/simulator.mjs";
import { buildWorker } from "./lib/wasm-build.mjs";
import { withParent } from "./lib/with-parent.mjs";

/** The same twenty devices each time; each loses some of what it is told, so that repeating can be seen. */
const FLEET = ["-n", "20", "--fleet", "1", "--every", "5s", "--lose", "0.05", "--verify"];
const EXAMPLE_DEVICE = "510000010000000000000003";

/** One Ctrl-C comes several times: from the terminal, from npm and from the Node that started this one. */
const SAME_SIGNAL_MS = 1_000;

await main(async () => {
  const port = readPort();
  const toolchain = await setUp();
  if (!toolchain) return;
  await buildWorker(toolchain);
  await buildSimulator(toolchain);
  const local = await serveLocally(port);
  try {
    console.log(welcome(local));
    process.exitCode = await runFleet(local);
  } finally {
    await local.server.dispose();
  }
});

/** Runs the fleet to its end, or until it is asked to end; then it shows its table. Returns its exit code. */
async function runFleet({ url, token }) {
  const [ingest, read] = ["INGEST_TOKENS", "READ_TOKENS"].map((secret) => {
    const first = token(secret);
    if (!first)
      throw new Missing(`${secret} is empty: the devices have no proof of origin.`, `unset ${secret}`);
    return first;
  });
  const args = ["fleet", "--url", `${url}/hook`, ...FLEET, ...process.argv.slice(2)];
  const [command, ...words] = withParent(SIMULATOR, args);
  const fleet = spawn(command, words, {
    env: { ...process.env, FIELDHOOK_TOKEN: ingest, FIELDHOOK_READ_TOKEN: read },
    stdio: ["ignore", "inherit", "inherit"],
    // A terminal's Ctrl-C must not reach it beside the one sent here: asked twice, it does not wait.
    detached: process.platform !== "win32",
  });
  const ended = new Promise((resolve, reject) => {
    fleet.on("error", reject);
    fleet.on("close", (code, signal) => {
      if (signal) say(`The fleet was ended by ${signal}`);
      resolve(code ?? 1);
    });
  });
  let asked = -Infinity;
  const ask = () => {
    if (Date.now() - asked < SAME_SIGNAL_MS) return;
    asked = Date.now();
    fleet.kill("SIGINT");
  };
  for (const signal of ENDINGS) process.on(signal, ask);
  try {
    return await ended;
  } finally {
    for (const signal of ENDINGS) process.off(signal, ask);
  }
}

function welcome({ url, about, header }) {
  const twin = `${url}/v1/devices/${EXAMPLE_DEVICE}/twin`;
  const commands = `${url}/v1/devices/${EXAMPLE_DEVICE}/commands`;
  return `
${about}

Twenty devices publish, report and obey. In another terminal, ask one of them to publish every second, and look
until it has confirmed that: desired and reported agree, and delta is empty.

curl -X PATCH ${twin} ${header("ADMIN_TOKENS")} -d '{"interval":1}'
curl ${twin} ${header("READ_TOKENS")}

Send it a command, and look until its state is acked:

curl -X POST ${commands} ${header("ADMIN_TOKENS")} -d '{"name":"blink"}'
curl ${commands} ${header("READ_TOKENS")}

Ctrl-C ends it, with a table of what became of every event.
`;
}
