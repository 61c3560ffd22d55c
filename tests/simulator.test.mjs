// The simulator against the real Worker: what Particle's side says and what fieldhook keeps agree, whatever is lost
// or repeated between them.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { inRoot } from "../scripts/lib/paths.mjs";
import { clientOf, numbers, until } from "./support/client.mjs";
import { simulate, startSimulator, tableOf } from "./support/simulator.mjs";
import { startWorker } from "./support/worker.mjs";

const DEVICES = numbers(0, 7).map((number) => `51000009${number.toString(16).padStart(16, "0")}`);
const DEVICE = "3f002b000000000000000000";
const DEFINITION = inRoot("particle", "integration.json");
/** A reply to a command may be lost more than once, and it is not told again within 10 s. */
const LONG = { within: 90_000, every: 100 };

let worker, client;
before(async () => {
  worker = await startWorker();
  client = clientOf(worker);
});
after(() => worker.stop());

const patch = (id, body) => client.admin("PATCH", `/v1/devices/${id}/twin`, body);
const twinOf = async (id) => (await client.read("GET", `/v1/devices/${id}/twin`)).body;
const commandsOf = async (id) => (await client.read("GET", `/v1/devices/${id}/commands`)).body.commands;

describe("a fleet over a bad network", () => {
  const sent = ["--every", "300ms", "--duplicates", "0.2", "--retransmits", "0.2", "--bursts", "0.1"];
  let fleet;
  before(() => {
    const url = `${worker.url}/hook`;
    const size = ["-n", String(DEVICES.length), "--fleet", "9", "--seed", "1"];
    fleet = startSimulator(["fleet", "--url", url, ...size, ...sent, "--lose", "0.3", "--verify"]);
  });
  after(() => fleet.child.kill("SIGKILL"));

  async function confirmed(desired) {
    const confirms = async (id) => {
      const { delta, reported } = await twinOf(id);
      return JSON.stringify(delta) === "{}" && JSON.stringify(reported) === JSON.stringify(desired);
    };
    const all = async () => (await Promise.all(DEVICES.map(confirms))).every(Boolean);
    await until(all, { ...LONG, what: `every device to hold ${JSON.stringify(desired)}` });
  }

  test("every device confirms what is desired, what is changed and what is deleted", async () => {
    for (const id of DEVICES) assert.equal((await patch(id, { led: { on: true }, mode: "eco" })).status, 200);
    await confirmed({ led: { on: true }, mode: "eco" });
    for (const id of DEVICES) await patch(id, { led: { on: null, color: "red" } });
    await confirmed({ led: { color: "red" }, mode: "eco" });
    for (const id of DEVICES) await patch(id, { mode: null });
    await confirmed({ led: { color: "red" } });
  });

  test("a command is told until it is acknowledged", async () => {
    const [device] = DEVICES;
    const made = await client.admin("POST", `/v1/devices/${device}/commands`, { name: "blink" });
    assert.equal(made.status, 201, made.text);
    const acked = async () => (await commandsOf(device)).every(({ state }) => state === "acked");
    await until(acked, { ...LONG, what: "the command to be acked" });
  });

  test("it ends when asked, and every event that was acknowledged is in the log once", async () => {
    fleet.child.kill("SIGINT");
    const { code, stdout, stderr } = await fleet.ended;
    assert.equal(code, 0, stdout + stderr);
    const rows = tableOf(stdout);
    for (const made of ["duplicates", "retransmits", "repeated", "reply parts lost", "kept in the log"])
      assert.ok(rows[made] > 0, `${made}: ${stdout}`);
    for (const never of ["lost", "kept twice", "errors", "unfinished"]) assert.equal(rows[never], 0, stdout);
    assert.equal(rows["commands executed"], 1, stdout);
    let kept = 0;
    for (const id of DEVICES) {
      const log = await client.log(id);
      assert.equal(new Set(log.map((event) => event.id)).size, log.length, id);
      assert.deepEqual(
        log.map(({ seq }) => seq),
        numbers(1, log.length),
      );
      kept += log.length;
    }
    assert.equal(kept, rows["kept in the log"]);
  });
});

describe("publish", () => {
  const publish = (...args) => simulate(["publish", "--definition", DEFINITION, ...args]);
  const linesOf = ({ stdout }) => stdout.trimEnd().split("\n").map(JSON.parse);

  test("the definition to paste: the event arrives with its id, and Particle publishes sent and response", async () => {
    await client.define("/v1/sources/greenhouse", { responseTemplate: { heard: "{{{celsius}}}" } });
    const url = `${worker.url}/hook/greenhouse`;
    const event = ["--event", "temperature", "--data", '{"celsius":21.50}', "--id", "publish-1"];
    const ended = await publish("--url", url, ...event, "--product", "12345");
    assert.equal(ended.code, 0, ended.stderr);
    const lines = linesOf(ended);
    const cloud = { ttl: "60", coreid: "particle-internal" };
    assert.deepEqual(
      lines.map(({ published_at, ...line }) => line),
      [
        { name: "temperature", data: '{"celsius":21.50}', ttl: "60", coreid: DEVICE },
        { name: "hook-sent/temperature", data: "undefined", ...cloud },
        { name: `${DEVICE}/hook-response/temperature/0`, data: '{"heard":"21.50"}', ...cloud },
      ],
    );
    assert.deepEqual(Object.keys(lines[1]), ["name", "data", "ttl", "published_at", "coreid"]);
    const { id, published_at, product_id, source } = await client.newest(DEVICE);
    assert.deepEqual(
      { id, published_at, product_id, source },
      { id: "publish-1", published_at: lines[0].published_at, product_id: "12345", source: "greenhouse" },
    );
  });

  test("no reply is no hook-response, and a wrong token is a hook-error", async () => {
    const event = ["--url", `${worker.url}/hook`, "--event", "temperature", "--data", "21"];
    const silent = await publish(...event);
    assert.deepEqual(
      [silent.code, linesOf(silent).map(({ name }) => name)],
      [0, ["temperature", "hook-sent/temperature"]],
    );
    const refused = await publish(...event, "--token", "a-token-that-was-guessed");
    const { name, data } = linesOf(refused).at(-1);
    assert.deepEqual(
      [refused.code, name, data],
      [1, `${DEVICE}/hook-error/temperature/0`, "error status 401 from 127.0.0.1"],
    );
  });

  test("a long reply comes in parts of 512 bytes that are whole in any order", async () => {
    const text = "0123456789".repeat(150);
    await client.define("/v1/sources/long", { responseTemplate: text });
    const event = ["--event", "temperature", "--shuffle", "--seed", "3"];
    const lines = linesOf(await publish("--url", `${worker.url}/hook/long`, ...event)).slice(2);
    const parts = lines
      .map(({ name, data }) => [Number(name.split("/").at(-1)), data])
      .sort(([a], [b]) => a - b);
    assert.deepEqual(
      parts.map(([index, data]) => [index, data.length]),
      [
        [0, 512],
        [1, 512],
        [2, 476],
      ],
    );
    assert.equal(parts.map(([, data]) => data).join(""), text);
  });
});

test("load is answered, and each of its events counts once", async () => {
  const args = ["load", "--url", `${worker.url}/hook`, "-n", "60", "--devices", "1", "--json", "-"];
  const { code, stdout } = await simulate(args);
  assert.equal(code, 0, stdout);
  const { requests, outcomes, latency_us } = JSON.parse(stdout);
  assert.deepEqual([requests, outcomes], [60, { 204: 60 }]);
  assert.ok(latency_us.p50 > 0 && latency_us.p50 <= latency_us.p99, stdout);
  assert.equal((await client.log("10ad00000000000000000000")).length, 60);
});
