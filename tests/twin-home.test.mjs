// Whose a device's twin and commands are: those of the source it was first heard through, where sources have tokens.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf } from "./support/client.mjs";
import { startWorker } from "./support/worker.mjs";

const A = { to: "/hook/a", token: "token-of-a-0123456789" };
const B = { to: "/hook/b", token: "token-of-b-0123456789" };
const REPORT = "fieldhook/report";

describe("a device's twin and commands", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
    await client.define("/v1/sources/a", { tokens: [A.token] });
    await client.define("/v1/sources/b", { tokens: [B.token], reportEvents: ["state"] });
  });
  after(() => worker.stop());

  const twinOf = async (id) => (await client.read("GET", `/v1/devices/${id}/twin`)).body;
  const homeOf = async (id) => (await client.read("GET", `/v1/devices/${id}`)).body.home;
  const commandsOf = async (id) => (await client.read("GET", `/v1/devices/${id}/commands`)).body.commands;
  /** One value and one command are wanted of it. */
  async function want(id) {
    assert.equal((await client.admin("PATCH", `/v1/devices/${id}/twin`, { a: 1 })).status, 200);
    assert.equal((await client.admin("POST", `/v1/devices/${id}/commands`, { name: "open" })).status, 201);
  }
  const DUE = { v: 1, d: { a: 1 }, c: [{ id: 1, n: "open" }] };
  const hear = async (coreid, way, fields) =>
    (await client.accepted(anEvent({ coreid, ...fields }), way)).text;
  const report = (state) => ({ event: REPORT, data: JSON.stringify(state) });
  const CLAIM = { a: 1, stolen: true, _v: 1, _ack: [1] };

  /** Nobody has reported for it, and nobody was told. */
  async function assertUntouched(id) {
    assert.deepEqual((await twinOf(id)).reported, {});
    const [{ state, sends }] = await commandsOf(id);
    assert.deepEqual([state, sends], ["queued", 0]);
  }

  test("are out of reach for the token of another source, which is logged all the same", async () => {
    await hear("a-1", A);
    await want("a-1");
    assert.equal(await hear("a-1", B), "");
    assert.equal(await hear("a-1", B, report(CLAIM)), "");
    assert.equal(await hear("a-1", B, { ...report(CLAIM), event: "state" }), "");
    // Through a source without tokens, too.
    assert.equal(await hear("a-1", { to: "/hook" }, report(CLAIM)), "");
    await assertUntouched("a-1");
    assert.deepEqual(
      (await client.log("a-1")).map(({ source }) => source),
      ["a", "b", "b", "b", "default"],
    );
    assert.deepEqual(JSON.parse(await hear("a-1", A)), DUE);
    assert.equal(await homeOf("a-1"), "a");
  });

  test("are out of reach in a batch, and for what is replayed from quarantine", async () => {
    await hear("a-2", A);
    await want("a-2");
    const batch = [1, 2].map(() => anEvent({ coreid: "a-2", ...report(CLAIM) }));
    await client.accepted(batch, B);
    const refused = anEvent({ coreid: "a-2", ...report(CLAIM), event: "" });
    assert.equal((await client.publish(refused, B)).status, 400);
    const { quarantine } = (await client.admin("GET", "/v1/quarantine")).body;
    const [{ id }] = quarantine.filter(({ source }) => source === "b");
    const body = JSON.stringify({ ...refused, event: REPORT });
    const replayed = await client.admin("POST", `/v1/quarantine/${id}/replay`, { body });
    assert.deepEqual([replayed.status, replayed.body.seq], [200, 4], replayed.text);
    await assertUntouched("a-2");
    // The device's own batch is heard.
    await client.accepted([anEvent({ coreid: "a-2", ...report({ mine: 1 }) })], A);
    assert.deepEqual((await twinOf("a-2")).reported, { mine: 1 });
  });

  test("are in no template's reply to another source, nor in one to a repeat", async () => {
    const responseTemplate = "[{{{FIELDHOOK_DUE}}}]";
    await client.define("/v1/sources/templated", { tokens: [B.token], responseTemplate });
    const templated = { ...B, to: "/hook/templated" };
    await hear("a-3", A);
    await want("a-3");
    assert.equal(await hear("a-3", templated), "[]");
    await assertUntouched("a-3");
    const event = anEvent({ coreid: "a-3" });
    assert.deepEqual(JSON.parse((await client.accepted(event, A)).text), DUE);
    for (const [way, text] of [
      [B, ""],
      [templated, "[]"],
    ]) {
      const repeat = await client.accepted(event, way);
      assert.deepEqual([repeat.duplicate, repeat.text], [true, text]);
    }
    const own = await client.accepted(event, A);
    assert.deepEqual([own.duplicate, JSON.parse(own.text)], [true, { v: 1, d: { a: 1 } }]);
  });

  test("are told where the same event comes by its own way after another", async () => {
    await hear("a-4", A);
    await want("a-4");
    const event = anEvent({ coreid: "a-4", ...report({ mine: 1 }) });
    assert.equal((await client.accepted(event, B)).text, "");
    assert.deepEqual((await twinOf("a-4")).reported, {});
    const own = await client.accepted(event, A);
    assert.deepEqual([own.duplicate, JSON.parse(own.text)], [true, DUE]);
    assert.deepEqual((await twinOf("a-4")).reported, { mine: 1 });
    assert.equal((await client.log("a-4")).length, 2);
  });

  test("are told through every source as long as none of them has tokens", async () => {
    await hear("open", { to: "/hook/open-1" });
    await want("open");
    assert.deepEqual(JSON.parse(await hear("open", { to: "/hook/open-2" })), DUE);
    assert.equal(await hear("open", { to: "/hook/open-2" }, report({ a: 1, _v: 1, _ack: [1] })), "");
    assert.deepEqual((await twinOf("open")).reported, { a: 1 });
    assert.equal((await commandsOf("open"))[0].state, "acked");
    assert.equal(await homeOf("open"), "open-1");
    await client.admin("PATCH", "/v1/devices/open/twin", { a: 2 });
    assert.equal(await hear("open", B), "", "a source with tokens is no way to it");
  });

  test("are closed to others once its source has tokens and it was heard there", async () => {
    const [way, other] = [{ to: "/hook/later" }, { to: "/hook" }];
    await hear("later", way);
    await want("later");
    assert.deepEqual(JSON.parse(await hear("later", other)), DUE);
    await client.define("/v1/sources/later", { tokens: [A.token] });
    await hear("later", { ...A, ...way });
    assert.equal(await hear("later", other, report(CLAIM)), "");
    assert.deepEqual((await twinOf("later")).reported, {});
    // And open again when it has none any more.
    await client.define("/v1/sources/later", {});
    await hear("later", way);
    assert.deepEqual(JSON.parse(await hear("later", other)), { v: 1, d: { a: 1 } });
  });

  test("belong to who comes first, also where they were written before, until the device is deleted", async () => {
    await want("first");
    assert.equal(await homeOf("first"), null);
    assert.deepEqual(JSON.parse(await hear("first", B)), DUE);
    assert.equal(await hear("first", A), "");
    assert.equal(await homeOf("first"), "b");
    assert.equal((await client.admin("DELETE", "/v1/devices/first")).status, 200);
    await want("first");
    // Versions and command ids go on: the device knows the old ones.
    const { v, c } = JSON.parse(await hear("first", A));
    assert.deepEqual([v, c.map(({ id }) => id)], [2, [2]]);
    assert.equal(await homeOf("first"), "a");
  });

  test("stay where they are over a restart", async () => {
    await hear("lasting", A);
    await want("lasting");
    await worker.kill();
    await worker.restart();
    assert.equal(await hear("lasting", B, report(CLAIM)), "");
    await assertUntouched("lasting");
    assert.deepEqual(JSON.parse(await hear("lasting", A)), DUE);
  });
});

describe("what the replies to a device have no room for", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  /** A command that takes so many bytes as the only one in a reply behind which others wait. */
  const sized = (bytes) => {
    const alone = (args) => JSON.stringify({ c: [{ id: 1, n: "x", a: args }], more: 1 });
    return { name: "x", args: "y".repeat(bytes - alone("").length) };
  };
  const order = (id, command) => client.admin("POST", `/v1/devices/${id}/commands`, command);
  const commandsOf = async (id) => (await client.read("GET", `/v1/devices/${id}/commands`)).body.commands;
  const twinOf = async (id) => (await client.read("GET", `/v1/devices/${id}/twin`)).body;
  const hear = async (coreid, source) =>
    (await client.accepted(anEvent({ coreid }), { to: `/hook/${source}` })).text;

  test("is refused where it is known how the device is told, and all that is taken can be told", async () => {
    await client.define("/v1/sources/framed", { replyFraming: "framed" });
    for (const [source, room] of [
      ["plain", 511],
      ["framed", 505],
    ]) {
      await hear(`through-${source}`, source);
      const refused = await order(`through-${source}`, sized(room + 1));
      assert.deepEqual([refused.status, refused.body.code], [413, "command-too-large"]);
      const taken = await order(`through-${source}`, sized(room));
      assert.deepEqual([taken.status, taken.body.undeliverable], [201, undefined], taken.text);
      assert.match(await hear(`through-${source}`, source), /"n":"x"/);
    }
  });

  test("is shown where that turns out later, until there is room", async () => {
    assert.equal((await order("turned-out", sized(511))).body.undeliverable, undefined);
    await client.admin("PATCH", "/v1/devices/turned-out/twin", { long: "z".repeat(470) });
    assert.equal((await twinOf("turned-out")).undeliverable, undefined);
    await client.define("/v1/sources/changing", { replyFraming: "framed" });
    assert.doesNotMatch(await hear("turned-out", "changing"), /"n":"x"/);
    assert.equal((await commandsOf("turned-out"))[0].undeliverable, true);
    await client.define("/v1/sources/changing", { responseTemplate: "thanks" });
    assert.equal(await hear("turned-out", "changing"), "thanks");
    assert.deepEqual((await twinOf("turned-out")).undeliverable, ["/long"]);
    const late = await order("turned-out", { name: "late" });
    assert.deepEqual([late.status, late.body.undeliverable], [201, true], "no reply has a place for it");
    await client.define("/v1/sources/changing", { responseTemplate: "thanks {{{FIELDHOOK_DUE}}}" });
    assert.match(await hear("turned-out", "changing"), /"long".*"n":"x".*"n":"late"/);
    assert.ok((await commandsOf("turned-out")).every(({ undeliverable }) => undeliverable === undefined));
    assert.equal((await twinOf("turned-out")).undeliverable, undefined);
  });
});
