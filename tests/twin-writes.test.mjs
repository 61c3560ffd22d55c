// Writing the desired section: who may, over which version, and what a refusal leaves behind.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { ADMIN, READ, TOKEN, startWorker } from "./support/worker.mjs";

describe("writing a twin", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  async function twin(method, id, body, { ifMatch, token = ADMIN } = {}) {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(ifMatch !== undefined && { "if-match": ifMatch }),
    };
    const content = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const answer = await worker.fetch(`/v1/devices/${id}/twin`, { method, headers, body: content });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, body: JSON.parse(text) };
  }

  /** Everything that could have changed. */
  async function stateOf(id) {
    const { headers, body } = await twin("GET", id);
    return { etag: headers.get("etag"), ...body };
  }

  test("the ETag is the desired version in quotes: each write moves it, a report does not", async () => {
    for (const n of numbers(1, 3)) {
      const { headers, body } = await twin("PATCH", "etag", { n });
      assert.deepEqual([headers.get("etag"), body.versions.desired], [`"${n}"`, n]);
    }
    await client.accepted(anEvent({ coreid: "etag", event: "fieldhook/report", data: '{"n":3,"_v":3}' }));
    assert.equal((await stateOf("etag")).etag, '"3"');
  });

  for (const [name, ifMatch] of [
    ["the ETag as it was given", '"1"'],
    ["the ETag that a proxy has weakened", 'W/"1"'],
    ["any", "*"],
  ]) {
    test(`If-Match with ${name} writes`, async () => {
      const id = `match-${ifMatch.replace(/\W/g, "")}${name.length}`;
      await twin("PATCH", id, { a: 1 });
      const answer = await twin("PUT", id, { a: 2 }, { ifMatch });
      assert.deepEqual([answer.status, answer.headers.get("etag")], [200, '"2"'], answer.text);
    });
  }

  for (const [name, ifMatch, status, code] of [
    ["a version that is past", '"1"', 409, "version-conflict"],
    ["a version that has not been", 'W/"9007199254740993"', 409, "version-conflict"],
    ["several ETags", '"1", "2"', 400, "bad-query"],
    ["what is no ETag of a twin", '"abc"', 400, "bad-query"],
    ["nothing", '""', 400, "bad-query"],
    ["a negative one", '"-1"', 400, "bad-query"],
    ["one with a sign", '"+2"', 400, "bad-query"],
    ["one with a zero before it", '"02"', 400, "bad-query"],
    ["no quotes", "2", 400, "bad-query"],
    ["one quote", '"2', 400, "bad-query"],
    ["two quotes at each end", '""2""', 400, "bad-query"],
    ["an ETag that was weakened twice", 'W/W/"2"', 400, "bad-query"],
  ]) {
    test(`If-Match with ${name} is ${status} and changes nothing`, async () => {
      const id = `mismatch-${name.replaceAll(" ", "-")}`;
      await twin("PATCH", id, { a: 1 });
      await twin("PATCH", id, { a: 2 });
      const before = await stateOf(id);
      for (const method of ["PATCH", "PUT"])
        assertProblem(await twin(method, id, { a: 3 }, { ifMatch }), status, { code });
      assert.deepEqual(await stateOf(id), before);
    });
  }

  test("what a device hears of a write does not change the ETag", async () => {
    const keys = Object.fromEntries(numbers(1, 60).map((n) => [`a-rather-long-key-${n}`, 1]));
    await twin("PATCH", "heard", keys);
    const report = { coreid: "heard", event: "fieldhook/report", data: JSON.stringify({ ...keys, _v: 1 }) };
    await client.accepted(anEvent(report));
    const written = (await twin("PUT", "heard", {})).headers.get("etag");
    let v = 1;
    for (let replies = 0; `"${v}"` !== written; replies++) {
      assert.ok(replies < 10);
      const data = JSON.stringify({ _v: v });
      const reply = JSON.parse((await client.accepted(anEvent({ ...report, data }))).text);
      assert.equal((await stateOf("heard")).etag, written);
      assert.ok(reply.v > v && "more" in reply === (`"${reply.v}"` !== written), JSON.stringify(reply));
      v = reply.v;
    }
    assert.equal((await twin("PATCH", "heard", { x: 1 }, { ifMatch: written })).status, 200);
  });

  test("of twenty writes at once over the same version one is made, and the others are told", async () => {
    await twin("PATCH", "race", { start: true });
    const writes = numbers(1, 20).map((n) => twin("PATCH", "race", { winner: n }, { ifMatch: '"1"' }));
    const answers = await Promise.all(writes);
    const won = numbers(1, 20).filter((n) => answers[n - 1].status === 200);
    assert.equal(won.length, 1, `${answers.map(({ status }) => status)}`);
    for (const lost of answers.filter(({ status }) => status !== 200))
      assertProblem(lost, 409, { code: "version-conflict" });
    const { etag, desired } = await stateOf("race");
    assert.deepEqual([etag, desired], ['"2"', { start: true, winner: won[0] }]);
  });

  test("twenty writes at once over any version are all made", async () => {
    const answers = await Promise.all(numbers(1, 20).map((n) => twin("PATCH", "all", { [`key-${n}`]: n })));
    const etags = answers.map(({ headers }) => headers.get("etag"));
    assert.equal(new Set(etags).size, 20, `${etags}`);
    assert.equal(Object.keys((await stateOf("all")).desired).length, 20);
  });

  test("a refusal leaves everything as it was, and makes no device", async () => {
    const refused = [
      [413, "twin-too-large", { big: "x".repeat(9_000) }],
      [400, "twin-too-deep", '{"a":'.repeat(12) + "1" + "}".repeat(12)],
      [400, "bad-patch", "[]"],
      [400, "bad-patch", { _v: 1 }],
      [400, "bad-json", '{"a":1'],
      [400, "bad-json", '{"a":"\\ud800"}'],
    ];
    await twin("PATCH", "refusing", { a: 1 });
    const before = await stateOf("refusing");
    for (const [status, code, body] of refused) {
      for (const method of ["PATCH", "PUT"]) {
        assertProblem(await twin(method, "refusing", body), status, { code });
        assertProblem(await twin(method, "never", body), status, { code });
      }
    }
    assert.deepEqual(await stateOf("refusing"), before);
    assertProblem(await twin("GET", "never"), 404, { code: "unknown-device" });
    assert.ok(!(await client.devices()).includes("never"));
  });

  test("reading a device that nobody has heard of is 404, however often, and makes none", async () => {
    for (let times = 0; times < 3; times++) {
      for (const what of ["twin", "commands"]) {
        const answer = await client.read("GET", `/v1/devices/unheard/${what}`);
        assertProblem(answer, 404, { code: "unknown-device" });
      }
    }
    assert.equal((await client.read("GET", "/v1/devices/unheard")).status, 404);
    assert.ok(!(await client.devices()).includes("unheard"));
  });

  test("a token for reading or for publishing writes nothing", async () => {
    await twin("PATCH", "guarded", { a: 1 });
    assertProblem(await twin("PATCH", "guarded", { a: 2 }, { token: READ }), 403, { code: "forbidden" });
    assertProblem(await twin("PATCH", "guarded", { a: 2 }, { token: TOKEN }), 401, { code: "bad-token" });
    assertProblem(await twin("GET", "guarded", undefined, { token: TOKEN }), 401, { code: "bad-token" });
    assert.deepEqual((await stateOf("guarded")).desired, { a: 1 });
  });

  test("where sources have tokens, one's token hears and reports nothing through the other", async () => {
    const tokens = { north: "token-of-the-north-only", south: "token-of-the-south-only" };
    for (const [name, token] of Object.entries(tokens))
      await client.define(`/v1/sources/${name}`, { tokens: [token], reportEvents: ["state"] });
    await twin("PATCH", "in-the-north", { a: 1 });
    const event = anEvent({ coreid: "in-the-north", event: "state", data: '{"a":1,"_v":1}' });
    for (const [to, token] of [
      ["/hook/north", tokens.south],
      ["/hook/south", tokens.north],
      ["/hook/north", TOKEN],
      ["/hook", tokens.north],
    ]) {
      const answer = await client.publish(event, { to, token });
      assert.equal(answer.status, 401);
      assert.equal((await answer.json()).code, "bad-token");
    }
    assert.deepEqual((await stateOf("in-the-north")).reported, {});
    const { text } = await client.accepted(event, { to: "/hook/north", token: tokens.north });
    assert.deepEqual([text, (await stateOf("in-the-north")).reported], ["", { a: 1 }]);
  });

  test("what is due to one device is told to no other", async () => {
    await twin("PATCH", "mine", { secret: "for me" });
    for (const coreid of ["mine2", "Mine", "mine.", "other"])
      assert.equal((await client.accepted(anEvent({ coreid }))).text, "");
    const batch = await client.publish([anEvent({ coreid: "mine" }), anEvent({ coreid: "other" })]);
    assert.doesNotMatch(await batch.text(), /secret/);
  });
});
