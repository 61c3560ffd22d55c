// `npm run demo`: what it says works, and nothing of it stays behind, however it ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { inRoot } from "../scripts/lib/paths.mjs";
import { until } from "./support/client.mjs";
import { collect, tableOf } from "./support/simulator.mjs";
import { ADMIN, READ, SECRETS, TOKEN, freePort } from "./support/worker.mjs";

const LONG = { within: 90_000, every: 100 };
/** Tokens of its own, to be looked for where they must not be. */
const TOKENS = { INGEST_TOKENS: `demo-${TOKEN}`, READ_TOKENS: `demo-${READ}`, ADMIN_TOKENS: `demo-${ADMIN}` };

const persist = mkdtempSync(join(tmpdir(), "fieldhook-demo-"));
after(() => rmSync(persist, { recursive: true, force: true }));
let demo;
afterEach(() => demo?.child.kill("SIGKILL"));

async function start(...args) {
  const port = await freePort();
  demo = collect(
    spawn(process.execPath, [inRoot("scripts", "demo.mjs"), ...args], {
      env: { ...process.env, ...SECRETS, ...TOKENS, PORT: String(port), PERSIST: persist },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
  const runs = () => / devices, \w+ to \w+/.test(demo.said.stderr) || demo.child.exitCode !== null;
  await until(runs, { ...LONG, what: "the fleet to start" });
  assert.equal(demo.child.exitCode, null, demo.said.stderr);
  return `http://127.0.0.1:${port}`;
}

const listens = (url) => fetch(`${url}/healthz`).then(...[true, false].map((answer) => () => answer));
const headers = { authorization: `Bearer ${TOKENS.ADMIN_TOKENS}` };

test("a device confirms what the shown line asks of it; Ctrl-C ends both, with the table", async () => {
  const url = await start("-n", "5", "--every", "1s");
  const [, shown, body] = /^curl -X PATCH (\S+) .* -d '(.*)'$/m.exec(demo.said.stdout);
  assert.ok(shown.startsWith(`${url}/v1/devices/`), shown);
  assert.equal((await fetch(shown, { method: "PATCH", headers, body })).status, 200);
  const confirmed = async () => {
    const { delta, reported } = await (await fetch(shown, { headers })).json();
    return JSON.stringify(delta) === "{}" && JSON.stringify(reported) === body;
  };
  await until(confirmed, { ...LONG, what: "the device to confirm" });
  for (const token of Object.values(TOKENS)) {
    assert.ok(!JSON.stringify(demo.said).includes(token), "a token is printed");
    assert.ok(!argumentsOfAll().includes(token), "a token is in the arguments of a process");
  }
  // As it comes from a terminal: more than once.
  for (const signal of ["SIGINT", "SIGINT"]) demo.child.kill(signal);
  const { code, stdout, stderr } = await demo.ended;
  assert.equal(code, 0, stdout + stderr);
  const rows = tableOf(stdout);
  assert.ok(rows.events > 0 && rows["deltas applied"] > 0, stdout);
  assert.deepEqual([rows.lost, rows["kept twice"], rows.unfinished], [0, 0, 0], stdout);
  assert.equal(await listens(url), false);
});

test("killed, it leaves no process behind", async () => {
  const url = await start("-n", "1");
  assert.equal(await listens(url), true);
  demo.child.kill("SIGKILL");
  await demo.ended;
  await until(async () => !(await listens(url)), { what: "workerd to end" });
});

/** The arguments of every process that can be seen, where the system shows them as files. */
function argumentsOfAll() {
  if (!existsSync("/proc/self/cmdline")) return "";
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const read = (id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, "utf8");
    } catch {
      return ""; // It has ended meanwhile.
    }
  };
  return processes.map(read).join("\n");
}
