// Sources: ways in with settings of their own, kept by name.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { TOKEN, startWorker } from "./support/worker.mjs";

describe("sources", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const status = async (event, options) => (await client.publish(event, options)).status;

  test("PUT makes a source with 201 and replaces it with 200", async () => {
    const made = await client.admin("PUT", "/v1/sources/kitchen", {
      responseTemplate: "one",
      replyBudget: 600,
    });
    assert.equal(made.status, 201);
    assert.deepEqual(made.body, { name: "kitchen", responseTemplate: "one", replyBudget: 600 });
    const replaced = await client.admin("PUT", "/v1/sources/kitchen", {
      replyFraming: "framed",
      reportEvents: ["report"],
    });
    assert.equal(replaced.status, 200);
    assert.deepEqual(replaced.body, { name: "kitchen", replyFraming: "framed", reportEvents: ["report"] });
    assert.deepEqual((await client.read("GET", "/v1/sources/kitchen")).body, replaced.body);
  });

  test("what GET shows can be PUT back as it is", async () => {
    const definition = {
      responseTemplate: { z: "{{x}}", a: ["{{y}}"] },
      replyBudget: 511,
      replyFraming: "plain",
      reportEvents: ["a", "b"],
      tokens: ["a-token-of-its-own"],
    };
    await client.define("/v1/sources/round-trip", definition);
    const shown = (await client.read("GET", "/v1/sources/round-trip")).body;
    const again = await client.admin("PUT", "/v1/sources/round-trip", shown);
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(again.body, shown);
  });

  test("the list has a page's worth and a cursor for the rest", async () => {
    const names = numbers(1, 5).map((n) => `listed-${n}`);
    for (const name of names) await client.define(`/v1/sources/${name}`, { replyBudget: 100 });
    const seen = [];
    for (let after = ""; after !== null;) {
      const { status, body } = await client.read("GET", `/v1/sources?limit=2${after && `&after=${after}`}`);
      assert.equal(status, 200);
      assert.ok(body.sources.length <= 2);
      seen.push(...body.sources.map(({ name }) => name));
      after = body.next;
    }
    assert.deepEqual(seen.filter((name) => name.startsWith("listed-")).sort(), names);
    assert.equal(new Set(seen).size, seen.length);
    const whole = (await client.read("GET", "/v1/sources")).body;
    assert.deepEqual([whole.sources.length, whole.next], [seen.length, null]);
  });

  test("DELETE removes a source: it is unknown then, and a plain label again", async () => {
    await client.define("/v1/sources/short-lived", { responseTemplate: "hello" });
    assert.equal(await status(anEvent(), { to: "/hook/short-lived" }), 200);
    assert.equal((await client.admin("DELETE", "/v1/sources/short-lived")).status, 200);
    assertProblem(await client.read("GET", "/v1/sources/short-lived"), 404, { code: "unknown-source" });
    assertProblem(await client.admin("DELETE", "/v1/sources/short-lived"), 404, { code: "unknown-source" });
    assert.equal(await status(anEvent(), { to: "/hook/short-lived" }), 204);
  });

  test("a source that nobody made is a plain label", async () => {
    assert.equal(await status(anEvent({ coreid: "labelled" }), { to: "/hook/label" }), 204);
    assert.equal((await client.newest("labelled")).source, "label");
    assertProblem(await client.read("GET", "/v1/sources/label"), 404, { code: "unknown-source" });
  });

  test("/hook is the source default", async () => {
    await client.define("/v1/sources/default", { responseTemplate: "by default" });
    for (const to of ["/hook", "/hook/default"]) {
      const { text } = await client.accepted(anEvent({ coreid: "by-default" }), { to });
      assert.equal(text, "by default");
    }
    await client.admin("DELETE", "/v1/sources/default");
    assert.deepEqual(
      (await client.log("by-default")).map(({ source }) => source),
      ["default", "default"],
    );
  });

  test("an event that names no device has the log of its source", async () => {
    const { coreid, ...event } = anEvent();
    await client.accepted(event, { to: "/hook/deviceless" });
    const [kept] = await client.log("source:deviceless");
    assert.deepEqual([kept.coreid, kept.id], ["source:deviceless", event.event_id]);
  });

  test("a change holds for the very next event", async () => {
    for (const n of numbers(1, 10)) {
      await client.define("/v1/sources/changing", { responseTemplate: `version ${n}` });
      assert.equal((await client.accepted(anEvent(), { to: "/hook/changing" })).text, `version ${n}`);
    }
  });

  test("where a source has tokens, only these open it, and only it", async () => {
    await client.define("/v1/sources/locked", { tokens: ["first-own-token", "second-own-token"] });
    for (const token of ["first-own-token", "second-own-token"]) {
      assert.equal(await status(anEvent(), { to: "/hook/locked", token }), 204);
      assert.equal(await status(anEvent(), { to: "/hook", token }), 401);
    }
    assert.equal(await status(anEvent(), { to: "/hook/locked", token: TOKEN }), 401);
  });

  test("tokens are masked wherever a source is shown", async () => {
    const made = await client.define("/v1/sources/masked", { tokens: ["hush-hush-token"] });
    const shown = [
      made,
      await client.read("GET", "/v1/sources/masked"),
      await client.read("GET", "/v1/sources"),
    ];
    for (const { text } of shown) assert.doesNotMatch(text, /hush/);
    assert.equal(made.body.tokens.length, 1);
  });

  test("a masked token that comes back keeps the stored one", async () => {
    const { body } = await client.define("/v1/sources/kept", {
      tokens: ["kept-token-one", "kept-token-two"],
    });
    await client.define("/v1/sources/kept", { ...body, tokens: [body.tokens[1], "kept-token-three"] });
    const opens = async (token) => (await status(anEvent(), { to: "/hook/kept", token })) === 204;
    assert.deepEqual(await Promise.all(["kept-token-one", "kept-token-two", "kept-token-three"].map(opens)), [
      false,
      true,
      true,
    ]);
    assert.equal(await opens(body.tokens[1]), false, "a mask is no token");
  });

  test("a mask that stands for nothing is refused", async () => {
    const { body } = await client.define("/v1/sources/kept2", { tokens: ["a-single-token"] });
    const refused = await client.admin("PUT", "/v1/sources/never-made", { tokens: body.tokens });
    assertProblem(refused, 400, { naming: "tokens" });
  });

  for (const [property, definition] of [
    ["replyBudget", { replyBudget: 102_400 }],
    ["replyBudget", { replyBudget: 0 }],
    ["replyBudget", { replyBudget: "511" }],
    ["replyFraming", { replyFraming: "boxed" }],
    ["reportEvents", { reportEvents: "report" }],
    ["reportEvents", { reportEvents: ["x".repeat(65)] }],
    ["responseTemplate", { responseTemplate: 7 }],
    ["responseTemplate", { responseTemplate: "{{#open}}" }],
    ["responseTemplate", { responseTemplate: { deep: ["{{/closed}}"] } }],
    ["tokens", { tokens: [""] }],
    ["tokens", { tokens: "token" }],
    ["replyBudgets", { replyBudgets: 1 }],
  ]) {
    test(`a wrong definition is refused at its property: ${JSON.stringify(definition).slice(0, 50)}`, async () => {
      assertProblem(await client.admin("PUT", "/v1/sources/wrong", definition), 400, { naming: property });
      assert.equal((await client.read("GET", "/v1/sources/wrong")).status, 404);
    });
  }

  test("what is no JSON object is no definition", async () => {
    for (const body of ["", "{", "[]", '"x"'])
      assertProblem(await client.admin("PUT", "/v1/sources/wrong", body), 400);
  });

  test("a name that could be no path segment is refused", async () => {
    for (const name of ["a%20b", "a%2Fb", "x".repeat(65), "%C3%A9"]) {
      assertProblem(await client.admin("PUT", `/v1/sources/${name}`, {}), 400);
      assert.equal(await status(anEvent(), { to: `/hook/${name}` }), 400);
    }
  });

  test("reading needs the read scope, changing the admin scope", async () => {
    await client.define("/v1/sources/guarded", {});
    for (const path of ["/v1/sources", "/v1/sources/guarded"]) {
      assert.equal((await client.read("GET", path)).status, 200);
      assert.equal(await client.stranger("GET", path), 401);
    }
    for (const method of ["PUT", "DELETE"]) {
      assertProblem(await client.read(method, "/v1/sources/guarded", {}), 403);
      assert.equal(await client.stranger(method, "/v1/sources/guarded"), 401);
    }
    assertProblem(await client.admin("PATCH", "/v1/sources/guarded", {}), 405);
  });

  test("a response template sees Particle's variables, which win over the event's own fields", async () => {
    const names = [
      ["PARTICLE_DEVICE_ID", "SPARK_CORE_ID"],
      ["PARTICLE_EVENT_NAME", "SPARK_EVENT_NAME"],
      ["PARTICLE_EVENT_VALUE", "SPARK_EVENT_VALUE"],
      ["PARTICLE_PUBLISHED_AT", "SPARK_PUBLISHED_AT"],
      ["PARTICLE_EVENT_ID"],
      ["PRODUCT_ID"],
      ["PRODUCT_USER_ID"],
      ["PRODUCT_VERSION"],
    ].flat();
    await client.define("/v1/sources/variables", {
      responseTemplate: Object.fromEntries([...names, "t"].map((name) => [name, `{{{${name}}}}`])),
    });
    const data =
      '{"t":21.10,"PARTICLE_DEVICE_ID":"forged","PRODUCT_ID":"forged","SPARK_EVENT_NAME":"forged"}';
    const event = anEvent({
      data,
      productID: "12345",
      fw_version: 7,
      userid: "u1",
      published_at: "2026-01-31T12:00:00.500Z",
    });
    const { text } = await client.accepted(event, { to: "/hook/variables" });
    assert.deepEqual(JSON.parse(text), {
      PARTICLE_DEVICE_ID: "device",
      SPARK_CORE_ID: "device",
      PARTICLE_EVENT_NAME: "temp",
      SPARK_EVENT_NAME: "temp",
      PARTICLE_EVENT_VALUE: data,
      SPARK_EVENT_VALUE: data,
      PARTICLE_PUBLISHED_AT: "2026-01-31T12:00:00.500Z",
      SPARK_PUBLISHED_AT: "2026-01-31T12:00:00.500Z",
      PARTICLE_EVENT_ID: event.event_id,
      PRODUCT_ID: "12345",
      PRODUCT_USER_ID: "u1",
      PRODUCT_VERSION: "7",
      t: "21.10",
    });
  });

  test("PARTICLE_EVENT_JSON is the whole event as JSON, PARTICLE_EVENT_BASE64 the same in base64", async () => {
    await client.define("/v1/sources/whole", {
      responseTemplate: "{{{PARTICLE_EVENT_JSON}}} {{{PARTICLE_EVENT_BASE64}}}",
    });
    const event = anEvent({ data: 'say "hi"', coreid: "whole" });
    const [json, base64] = (await client.accepted(event, { to: "/hook/whole" })).text.split(/ (?=\S+$)/);
    const { event: name, data, coreid } = JSON.parse(json);
    assert.deepEqual([name, data, coreid], ["temp", 'say "hi"', "whole"]);
    assert.equal(Buffer.from(base64, "base64").toString(), json);
  });
});
