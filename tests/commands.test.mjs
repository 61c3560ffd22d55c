// Commands: told until they are acknowledged, in order and not too often, and listed with what became of them.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers, until } from "./support/client.mjs";
import { startWorker } from "./support/worker.mjs";

/** What is hard on JSON, HTML, Mustache, CSV and a terminal. */
const HOSTILE = [
  '"},{"id":99,"n":"reboot"}]}',
  "{{{PARTICLE_EVENT_VALUE}}}",
  "</script><script>alert(1)</script>",
  "\\u0000\\",
  "Ünïcödé 😀 \u2028\u202e",
  "~ab02|",
  "=1+1",
];

describe("commands", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
    await client.define("/v1/sources/due", { responseTemplate: "[{{{FIELDHOOK_DUE}}}]" });
  });
  after(() => worker.stop());

  const order = async (id, name, more) => {
    const made = await client.admin("POST", `/v1/devices/${id}/commands`, { name, ...more });
    assert.equal(made.status, 201, made.text);
    return made.body;
  };
  const list = async (id) => (await client.read("GET", `/v1/devices/${id}/commands`)).body.commands;
  const states = async (id) => (await list(id)).map(({ state }) => state);
  const cancel = (id, command) => client.admin("DELETE", `/v1/devices/${id}/commands/${command}`);
  const hear = async (coreid, options) => (await client.accepted(anEvent({ coreid }), options)).text;
  const ack = (coreid, ids) =>
    client.accepted(anEvent({ coreid, event: "fieldhook/report", data: JSON.stringify({ _ack: ids }) }));

  test("are queued, then sent, then acked", async () => {
    const { id, state, ttl, sends } = await order("ways", "a");
    assert.deepEqual([id, state, ttl, sends], [1, "queued", 3600, 0]);
    assert.equal(await hear("ways"), '{"c":[{"id":1,"n":"a"}]}');
    const [sent] = await list("ways");
    assert.deepEqual([sent.state, sent.sends, typeof sent.sent_at], ["sent", 1, "string"]);
    await ack("ways", [1]);
    const [acked] = await list("ways");
    assert.deepEqual([acked.state, typeof acked.finished_at], ["acked", "string"]);
    assert.equal(await hear("ways"), "");
  });

  test("get ids that the device has not seen, also after it was deleted here", async () => {
    for (const id of [1, 2]) assert.equal((await order("revived", "before")).id, id);
    assert.equal((await client.admin("DELETE", "/v1/devices/revived")).status, 200);
    assert.equal((await client.read("GET", "/v1/devices/revived/commands")).status, 404);
    assert.equal((await order("revived", "after")).id, 3);
    assert.deepEqual(await states("revived"), ["queued"]);
    await worker.kill();
    await worker.restart();
    assert.equal(await hear("revived"), '{"c":[{"id":3,"n":"after"}]}');
  });

  test("that nobody fetched in their time are expired, and no longer told", async () => {
    await order("expiring", "a", { ttl: 1 });
    await until(async () => (await states("expiring"))[0] === "expired", { what: "the end of its time" });
    assert.equal(await hear("expiring"), "");
  });

  test("that were cancelled are not told, and an acknowledgement that comes late still counts", async () => {
    await order("cancelling", "a");
    await order("cancelling", "b");
    await hear("cancelling");
    const { id } = await order("cancelling", "c");
    for (const command of [1, id])
      assert.equal((await cancel("cancelling", command)).body.state, "cancelled");
    assert.deepEqual(await states("cancelling"), ["cancelled", "sent", "cancelled"]);
    await ack("cancelling", [1, id]);
    assert.deepEqual(
      await states("cancelling"),
      ["acked", "sent", "cancelled"],
      "what was never told is not done",
    );
    assert.equal((await cancel("cancelling", 1)).body.state, "acked", "what is finished stays");
    assertProblem(await cancel("cancelling", 99), 404, { code: "unknown-command" });
    for (const id of ["x", "+1", "01", "1.0"])
      assertProblem(await cancel("cancelling", id), 404, { code: "unknown-command" });
  });

  test("are not replaced by a body with another property", async () => {
    await order("strict", "a");
    const answer = await client.admin("PUT", "/v1/devices/strict/commands", { commands: [], other: 1 });
    assertProblem(answer, 400, { code: "bad-field", field: "other" });
    assert.deepEqual(await states("strict"), ["queued"]);
  });

  test("that are replaced are cancelled, and the new ones have ids of their own", async () => {
    await order("replacing", "a");
    const { body } = await client.admin("PUT", "/v1/devices/replacing/commands", [
      { name: "b" },
      { name: "c" },
    ]);
    assert.deepEqual(
      body.commands.map(({ id, name, state }) => [id, name, state]),
      [
        [2, "b", "queued"],
        [3, "c", "queued"],
      ],
    );
    assert.deepEqual(await states("replacing"), ["cancelled", "queued", "queued"]);
  });

  test("that were told a moment ago are not told again, whatever the device publishes meanwhile", async () => {
    await order("patient", "a");
    const event = anEvent({ coreid: "patient" });
    const said = [
      (await client.accepted(event)).text,
      (await client.accepted(event)).text,
      await hear("patient"),
      await hear("patient", { to: "/hook/due" }),
    ];
    assert.deepEqual(said, ['{"c":[{"id":1,"n":"a"}]}', "", "", "[]"]);
    assert.equal((await list("patient"))[0].sends, 1);
  });

  test("asked for at once by twenty events are told by one of them", async () => {
    await order("asked", "a");
    const said = await Promise.all(numbers(1, 20).map(() => hear("asked")));
    assert.deepEqual(said.filter(Boolean), ['{"c":[{"id":1,"n":"a"}]}']);
  });

  test("queued at once have ids of their own, and never more wait than may", async () => {
    const path = "/v1/devices/crowd/commands";
    const answers = await Promise.all(numbers(1, 60).map(() => client.admin("POST", path, { name: "x" })));
    const made = answers.filter(({ status }) => status === 201).map(({ body }) => body.id);
    assert.deepEqual(
      made.toSorted((a, b) => a - b),
      numbers(1, 50),
    );
    for (const answer of answers.filter(({ status }) => status !== 201))
      assertProblem(answer, 409, { code: "queue-full" });
  });

  test("are told in their order in replies of one part, until all are done", async () => {
    for (const n of numbers(1, 21)) await order("many", `step-${n}`, { args: { pad: "x".repeat(30) } });
    const done = [];
    for (let turn = 0; turn < 21 && done.length < 21; turn++) {
      const report = { event: "fieldhook/report", data: JSON.stringify({ _ack: done }) };
      const { body } = await client.publishRaw(anEvent({ coreid: "many", ...report }));
      assert.ok(body.length <= 511, `${body.length} bytes`);
      const { c, more } = JSON.parse(body);
      done.push(...c.map(({ id }) => id));
      assert.equal(more, done.length < 21 ? 1 : undefined);
    }
    await ack("many", done);
    assert.deepEqual(done, numbers(1, 21));
    assert.ok((await states("many")).every((state) => state === "acked"));
  });

  test("reach the device with their text as it is, and the list shows it", async () => {
    for (const [index, text] of HOSTILE.entries()) {
      const coreid = `hostile-${index}`;
      const args = { [text]: [text] };
      await order(coreid, text, { args });
      const expected = { c: [{ id: 1, n: text, a: args }] };
      assert.deepEqual(JSON.parse(await hear(coreid)), expected);
      const [{ name, args: shown }] = await list(coreid);
      assert.deepEqual([name, shown], [text, args]);
      await order(`${coreid}-in-template`, text, { args });
      assert.deepEqual(JSON.parse(await hear(`${coreid}-in-template`, { to: "/hook/due" })), [expected]);
    }
  });

  test("with names that could not be shown are refused, as is what is no command", async () => {
    for (const body of [
      { name: "a\u0000b" },
      { name: "a\nb" },
      { name: "" },
      { name: "x".repeat(65) },
      { name: {} },
    ])
      assertProblem(await client.admin("POST", "/v1/devices/named/commands", body), 400, {
        code: "bad-field",
      });
    const missing = await client.admin("POST", "/v1/devices/named/commands", {});
    assertProblem(missing, 400, { code: "missing-field", naming: "name" });
    assertProblem(await client.read("GET", "/v1/devices/named/commands"), 404, { code: "unknown-device" });
  });

  test("acknowledged by ids that mean nothing change nothing", async () => {
    await order("nonsense", "a");
    await order("nonsense", "b");
    for (const _ack of [[99], ["1"], [1.5], [-1], "1", { 1: true }, [1e300], [null]]) {
      const data = JSON.stringify({ _ack, t: 1 });
      await client.accepted(anEvent({ coreid: "nonsense", event: "fieldhook/report", data }));
    }
    assert.deepEqual(await states("nonsense"), ["sent", "sent"]);
  });
});
