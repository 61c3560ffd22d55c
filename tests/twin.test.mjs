// What applications want of a device, told to it in replies until it says that it is so.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { startWorker } from "./support/worker.mjs";

describe("the twin", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const twinOf = async (id) => (await client.read("GET", `/v1/devices/${id}/twin`)).body;
  const patch = (id, body) => client.admin("PATCH", `/v1/devices/${id}/twin`, body);
  const command = (id, body) => client.admin("POST", `/v1/devices/${id}/commands`, body);
  /** What a device hears when it publishes. */
  const hear = async (coreid, fields) => {
    const { text } = await client.accepted(anEvent({ coreid, ...fields }));
    return text === "" ? undefined : JSON.parse(text);
  };
  const report = (coreid, state) => hear(coreid, { event: "fieldhook/report", data: JSON.stringify(state) });

  test("a desired value is told until the device reports it", async () => {
    const answer = await patch("lamp", { interval: 60 });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get("etag"), '"1"');
    assert.deepEqual(await hear("lamp"), { v: 1, d: { interval: 60 } });
    assert.deepEqual(await hear("lamp"), { v: 1, d: { interval: 60 } });
    assert.equal(await report("lamp", { interval: 60, _v: 1 }), undefined);
    assert.equal(await hear("lamp"), undefined);
    const { desired, reported, versions, delta } = await twinOf("lamp");
    assert.deepEqual([desired, reported, delta], [{ interval: 60 }, { interval: 60 }, {}]);
    assert.deepEqual(versions, { desired: 1, reported: 1 });
  });

  test("says how full the next reply is", async () => {
    const full = async (id) => (await twinOf(id)).reply;
    await command("full", { name: "blink" });
    const told = '{"c":[{"id":1,"n":"blink"}]}';
    assert.deepEqual(await full("full"), { bytes: told.length, budget: 511, more: false });
    await patch("full", { interval: 60 });
    const { bytes } = await full("full");
    const { text } = await client.accepted(anEvent({ coreid: "full" }));
    assert.equal(bytes, Buffer.byteLength(text));
    await report("full", { interval: 60, _v: 1, _ack: [1] });
    assert.deepEqual(await full("full"), { bytes: 0, budget: 511, more: false });

    await patch("full", Object.fromEntries(numbers(1, 9).map((n) => [`key-${n}`, "x".repeat(90)])));
    const { bytes: most, more } = await full("full");
    assert.ok(more && most > 400 && most <= 511, `${most}`);

    // Where replies have no place for it there is nothing to be full.
    await client.define("/v1/sources/closed", { responseTemplate: "ok" });
    await client.accepted(anEvent({ coreid: "closed" }), { to: "/hook/closed" });
    await patch("closed", { a: 1 });
    assert.equal(await full("closed"), undefined);
  });

  test("a repeat hears what is due by then, not what was due before", async () => {
    await patch("repeats", { a: 1 });
    const event = anEvent({ coreid: "repeats" });
    const first = await client.accepted(event);
    await patch("repeats", { b: 2 });
    const second = await client.accepted(event);
    assert.deepEqual([first.duplicate, JSON.parse(first.text).d], [false, { a: 1 }]);
    assert.deepEqual([second.duplicate, JSON.parse(second.text).d], [true, { a: 1, b: 2 }]);
  });

  test("a deleted key is told as null until the device lacks it", async () => {
    await patch("deletes", { mode: "eco" });
    await report("deletes", { mode: "eco", own: 1, _v: 1 });
    await patch("deletes", { mode: null });
    assert.deepEqual(await hear("deletes"), { v: 2, d: { mode: null } });
    assert.equal(await report("deletes", { mode: null, _v: 2 }), undefined);
    assert.deepEqual((await twinOf("deletes")).reported, { own: 1 });
  });

  test("what a report loses is flagged at its event", async () => {
    const flag = async (data) => {
      await client.accepted(anEvent({ coreid: "lossy", event: "fieldhook/report", data }));
      return (await client.newest("lossy")).report_error;
    };
    assert.equal(await flag('{"a":1,"_v":0,"_ack":[]}'), undefined);
    assert.equal(await flag("21.5"), "not-an-object");
    assert.equal(await flag('{"b":2,"_v":-1,"_ack":["x"]}'), "bad-version bad-ack");
    assert.equal(await flag(`{"c":${"[".repeat(9)}${"]".repeat(9)}}`), "too-deep");
    assert.equal(await flag(JSON.stringify({ c: "x".repeat(9_000), d: 4 })), "too-large");
    assert.deepEqual((await twinOf("lossy")).reported, { a: 1, b: 2, d: 4 });
  });

  test("a twin larger than one reply arrives over several", async () => {
    const wanted = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`key-${n}`, "x".repeat(20)]));
    await patch("large", wanted);
    const state = {};
    for (let turn = 0; turn < 10 && Object.keys(state).length < 40; turn++) {
      const { d, v, more } = await hear("large");
      assert.ok((v === undefined) === (more === 1), JSON.stringify({ v, more }));
      Object.assign(state, d);
      await report("large", { ...d, ...(v && { _v: v }) });
    }
    assert.deepEqual(state, wanted);
    assert.deepEqual((await twinOf("large")).delta, {});
  });

  test("a reply that was lost is made good by the next, as is one whose report was lost", async () => {
    await patch("heals", { a: 1 });
    await command("heals", { name: "reboot" });
    await hear("heals"); // lost
    await patch("heals", { b: 2 });
    const healed = await hear("heals");
    assert.deepEqual([healed.v, healed.d], [2, { a: 1, b: 2 }]);
    // Its report is lost, and then comes late and after a newer one.
    const late = { coreid: "heals", published_at: new Date(Date.now() - 5_000).toISOString() };
    await report("heals", { a: 1, b: 2, _v: 2 });
    await hear("heals", { ...late, event: "fieldhook/report", data: '{"a":0,"_v":0}' });
    const { reported, delta } = await twinOf("heals");
    assert.deepEqual([reported, delta], [{ a: 1, b: 2 }, {}]);
  });

  test("the reply to a report says what is still due", async () => {
    await patch("still", { a: 1, b: 2 });
    await hear("still");
    assert.deepEqual((await report("still", { a: 1, _v: 0 })).d, { b: 2 });
    assert.equal(await report("still", { b: 2, _v: 1 }), undefined);
  });

  test("the 51st waiting command is refused, and one that fits no reply too", async () => {
    for (let n = 0; n < 50; n++) assert.equal((await command("full", { name: "x" })).status, 201);
    assertProblem(await command("full", { name: "x" }), 409, { code: "queue-full" });
    const large = await command("other", { name: "x", args: "x".repeat(600) });
    assertProblem(large, 413, { code: "command-too-large" });
    assert.equal((await client.admin("DELETE", "/v1/devices/full/commands")).status, 200);
    assert.equal((await command("full", { name: "x" })).status, 201);
  });

  test("a template says what is due where it names it, and a repeat of it is composed anew", async () => {
    await client.define("/v1/sources/due", { responseTemplate: "ok {{{FIELDHOOK_DUE}}}" });
    await patch("templated", { a: 1 });
    const event = anEvent({ coreid: "templated" });
    const to = { to: "/hook/due" };
    assert.equal((await client.accepted(event, to)).text, 'ok {"v":1,"d":{"a":1}}');
    await report("templated", { a: 1, _v: 1 });
    assert.equal((await client.accepted(event, to)).text, "ok ");
  });

  test("a source names events of its own by which devices report", async () => {
    await client.define("/v1/sources/states", { reportEvents: ["state"] });
    await client.accepted(anEvent({ coreid: "named", event: "state", data: '{"on":true}' }), {
      to: "/hook/states",
    });
    assert.deepEqual((await twinOf("named")).reported, { on: true });
  });

  test("reading makes no device, writing does, and deleting ends it", async () => {
    assertProblem(await client.read("GET", "/v1/devices/nobody/twin"), 404, { code: "unknown-device" });
    assert.equal((await client.read("GET", "/v1/devices/nobody")).status, 404);
    await patch("wanted", { a: 1 });
    assert.equal((await client.read("GET", "/v1/devices/wanted")).body.id, "wanted");
    assert.equal((await client.admin("DELETE", "/v1/devices/wanted")).status, 200);
    assert.equal((await client.read("GET", "/v1/devices/wanted/twin")).status, 404);
  });

  test("what a deleted device holds is not taken for what is desired of it since", async () => {
    await patch("revived", { mode: "eco" });
    assert.equal((await hear("revived")).v, 1);
    assert.equal(await report("revived", { mode: "eco", _v: 1 }), undefined);
    assert.equal((await client.admin("DELETE", "/v1/devices/revived")).status, 200);
    for (const path of ["", "/twin", "/commands", "/history"])
      assert.equal((await client.read("GET", `/v1/devices/revived${path}`)).status, 404, path);
    assert.equal((await client.admin("DELETE", "/v1/devices/revived")).status, 404);
    assert.equal((await patch("revived", { mode: "boost" })).headers.get("etag"), '"2"');
    assert.deepEqual(await report("revived", { mode: "eco", _v: 1 }), { v: 2, d: { mode: "boost" } });
    assert.deepEqual((await twinOf("revived")).desired, { mode: "boost" });
  });

  test("what was told and what was reported outlives the engine", async () => {
    await patch("lasting", { a: 1, b: 2 });
    await report("lasting", { a: 1 });
    await worker.kill();
    await worker.restart();
    assert.deepEqual(await hear("lasting"), { v: 1, d: { b: 2 } });
    assert.deepEqual((await twinOf("lasting")).reported, { a: 1 });
  });
});
