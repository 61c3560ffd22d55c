// Transforms: events are rewritten before they are kept, and nothing is lost to a template.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { startWorker } from "./support/worker.mjs";

describe("transforms", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  /** What is kept of one event that a device of its own publishes. */
  let devices = 0;
  async function kept(event, data) {
    const coreid = `device-${++devices}`;
    await client.accepted(anEvent({ event, data, coreid }));
    const { event: name, data: now, raw, transform_error } = await client.newest(coreid);
    return { name, data: now, raw, transform_error };
  }

  test("PUT makes a transform with 201 and replaces it with 200", async () => {
    const definition = { event: "made", json: { v: "{{{PARTICLE_EVENT_VALUE}}}" } };
    const made = await client.admin("PUT", "/v1/transforms/made", definition);
    assert.deepEqual([made.status, made.body], [201, { name: "made", ...definition }]);
    const replaced = await client.admin("PUT", "/v1/transforms/made", {
      event: "made",
      body: "x",
      rename: "renamed",
    });
    assert.deepEqual(
      [replaced.status, replaced.body],
      [200, { name: "made", event: "made", body: "x", rename: "renamed" }],
    );
    assert.deepEqual((await client.read("GET", "/v1/transforms/made")).body, replaced.body);
  });

  test("DELETE removes a transform: later events stay as they come", async () => {
    await client.define("/v1/transforms/gone", { event: "gone", body: "changed" });
    assert.equal((await kept("gone", "x")).data, "changed");
    assert.equal((await client.admin("DELETE", "/v1/transforms/gone")).status, 200);
    assertProblem(await client.read("GET", "/v1/transforms/gone"), 404, { code: "unknown-transform" });
    assertProblem(await client.admin("DELETE", "/v1/transforms/gone"), 404, { code: "unknown-transform" });
    assert.equal((await kept("gone", "x")).data, "x");
  });

  test("the list has a page's worth and a cursor for the rest", async () => {
    const names = numbers(1, 5).map((n) => `listed-${n}`);
    for (const name of names)
      await client.define(`/v1/transforms/${name}`, { event: `unused-${name}`, body: "x" });
    const seen = [];
    for (let after = ""; after !== null;) {
      const { body } = await client.read("GET", `/v1/transforms?limit=2${after && `&after=${after}`}`);
      assert.ok(body.transforms.length <= 2);
      seen.push(...body.transforms.map(({ name }) => name));
      after = body.next;
    }
    assert.deepEqual(seen.filter((name) => name.startsWith("listed-")).sort(), names);
    assert.equal(new Set(seen).size, seen.length);
  });

  test("a json template makes the new data, and the original stays as raw", async () => {
    await client.define("/v1/transforms/json", {
      event: "json",
      json: { temperature: "{{{t}}}", unit: "C", list: [1, "{{u}}"] },
    });
    const { data, raw } = await kept("json", { t: 21.1 });
    assert.deepEqual(data, { temperature: "21.1", unit: "C", list: [1, ""] });
    assert.deepEqual(raw, { t: 21.1 });
  });

  test("a json template that is a string is rendered as text", async () => {
    await client.define("/v1/transforms/string", { event: "string", json: '{"temperature":{{{t}}}}' });
    assert.deepEqual((await kept("string", { t: 21.1 })).data, { temperature: 21.1 });
  });

  test("a body template keeps the digits of a number", async () => {
    await client.define("/v1/transforms/body", { event: "body", body: '{"temperature":{{{t}}}}' });
    const coreid = "exact-digits";
    await client.accepted(`{"event":"body","coreid":"${coreid}","event_id":"1","data":{"t":21.10}}`);
    const { text } = await client.read("GET", `/v1/devices/${coreid}/history`);
    assert.ok(text.includes('"data":{"temperature":21.10}'), text);
    assert.ok(text.includes('"raw":{"t":21.10}'), text);
  });

  test("a quote in a value cannot break a json template", async () => {
    await client.define("/v1/transforms/quote", { event: "quote", json: { "{{{key}}}": "{{{note}}}" } });
    const { data } = await kept("quote", { key: 'k"', note: 'say "hi"\n' });
    assert.deepEqual(data, { 'k"': 'say "hi"\n' });
  });

  test("rename gives another name, and alone leaves the data as it is", async () => {
    await client.define("/v1/transforms/rename", { event: "old/", rename: "new/{{room}}" });
    const { name, data, raw } = await kept("old/x", { room: "kitchen" });
    assert.deepEqual([name, data, raw], ["new/kitchen", { room: "kitchen" }, undefined]);
  });

  test("an event that no transform is for has no raw", async () => {
    assert.deepEqual(await kept("untouched", "x"), {
      name: "untouched",
      data: "x",
      raw: undefined,
      transform_error: undefined,
    });
  });

  test("it is for names that start with its event, in the same case", async () => {
    await client.define("/v1/transforms/prefix", { event: "pre", body: "changed" });
    for (const [name, data] of [
      ["pre", "changed"],
      ["prefix", "changed"],
      ["Pre", "x"],
      ["a-pre", "x"],
    ]) {
      assert.equal((await kept(name, "x")).data, data, name);
    }
  });

  test("of several the first by creation rewrites, also after it was replaced", async () => {
    await client.define("/v1/transforms/z-first", { event: "several", body: "first" });
    await client.define("/v1/transforms/a-second", { event: "sever", body: "second" });
    assert.equal((await kept("several", "x")).data, "first");
    await client.define("/v1/transforms/z-first", { event: "several", body: "first again" });
    assert.equal((await kept("several", "x")).data, "first again");
    assert.equal((await kept("sever", "x")).data, "second");
    await client.admin("DELETE", "/v1/transforms/z-first");
    assert.equal((await kept("several", "x")).data, "second");
  });

  for (const [what, definition] of [
    ["a name that renders empty", { rename: "{{missing}}" }],
    ["a name that renders too long", { rename: "{{{PARTICLE_EVENT_VALUE}}}" }],
    ["data that renders beyond any bound", { body: "{{#list}}{{{long}}}{{/list}}" }],
  ]) {
    test(`${what} leaves the event as it came and flags it`, async () => {
      await client.define("/v1/transforms/failing", { event: "failing", body: "changed", ...definition });
      const data = { list: numbers(1, 500), long: "x".repeat(2000) };
      const after = await kept("failing", data);
      assert.deepEqual([after.name, after.data, after.raw], ["failing", data, undefined]);
      assert.ok(after.transform_error);
    });
  }

  test("the items of a batch are rewritten too", async () => {
    await client.define("/v1/transforms/batch", { event: "batch", body: "{{{PARTICLE_EVENT_VALUE}}}!" });
    await client.accepted(["a", "b"].map((data) => anEvent({ event: "batch", data, coreid: "in-batch" })));
    assert.deepEqual(
      (await client.log("in-batch")).map(({ data, raw }) => [data, raw]),
      [
        ["a!", "a"],
        ["b!", "b"],
      ],
    );
  });

  test("a change holds for the very next event", async () => {
    for (const n of numbers(1, 10)) {
      await client.define("/v1/transforms/changing", { event: "changing", body: `version ${n}` });
      assert.equal((await kept("changing", "x")).data, `version ${n}`);
    }
  });

  test("a transform sees Particle's variables, which win over the event's own fields", async () => {
    await client.define("/v1/transforms/variables", {
      event: "variables",
      json: Object.fromEntries(
        [
          "PARTICLE_DEVICE_ID",
          "SPARK_CORE_ID",
          "PARTICLE_EVENT_NAME",
          "PARTICLE_EVENT_ID",
          "PARTICLE_PUBLISHED_AT",
          "PRODUCT_ID",
          "t",
        ].map((name) => [name, `{{{${name}}}}`]),
      ),
    });
    await client.accepted({
      event: "variables",
      data: { t: 1, PARTICLE_DEVICE_ID: "forged" },
      coreid: "told",
      event_id: "id-1",
      published_at: "2026-01-31T12:00:00.500Z",
      product_id: "9",
    });
    assert.deepEqual((await client.newest("told")).data, {
      PARTICLE_DEVICE_ID: "told",
      SPARK_CORE_ID: "told",
      PARTICLE_EVENT_NAME: "variables",
      PARTICLE_EVENT_ID: "id-1",
      PARTICLE_PUBLISHED_AT: "2026-01-31T12:00:00.500Z",
      PRODUCT_ID: "9",
      t: "1",
    });
  });

  describe("a test", () => {
    const tried = async (name, event) => {
      const answer = await client.read("POST", `/v1/transforms/${name}/test`, event);
      assert.equal(answer.status, 200, answer.text);
      return answer.body;
    };

    test("renders the event it is given and stores nothing", async () => {
      await client.define("/v1/transforms/tried", {
        event: "tried",
        json: { v: "{{{v}}}" },
        rename: "was-{{PARTICLE_EVENT_NAME}}",
      });
      const event = anEvent({ event: "tried", data: { v: 1 }, coreid: "never-stored" });
      const { event: name, data, raw } = await tried("tried", event);
      assert.deepEqual([name, data, raw], ["was-tried", { v: "1" }, { v: 1 }]);
      assert.equal((await client.read("GET", "/v1/devices/never-stored")).status, 404);
      assert.equal((await client.accepted(event)).duplicate, false, "it is not remembered either");
    });

    test("tells how a transform fails", async () => {
      await client.define("/v1/transforms/tried-failing", { event: "tried-failing", rename: "{{missing}}" });
      const { data, transform_error } = await tried(
        "tried-failing",
        anEvent({ event: "tried-failing", data: "x" }),
      );
      assert.equal(data, "x");
      assert.ok(transform_error);
    });

    test("of an unknown transform is 404, of what is no event 400", async () => {
      assertProblem(await client.read("POST", "/v1/transforms/unknown/test", anEvent()), 404, {
        code: "unknown-transform",
      });
      assertProblem(await client.read("POST", "/v1/transforms/tried/test", { data: "x" }), 400, {
        naming: "event",
      });
    });
  });

  for (const [property, definition] of [
    ["event", { body: "x" }],
    ["event", { event: "", body: "x" }],
    ["event", { event: 7, body: "x" }],
    ["json", { event: "t" }],
    ["json", { event: "t", json: 5 }],
    ["json", { event: "t", json: { a: "{{#open}}" } }],
    ["body", { event: "t", json: {}, body: "x" }],
    ["body", { event: "t", body: "{{" }],
    ["body", { event: "t", body: {} }],
    ["rename", { event: "t", rename: "{{/closed}}" }],
    ["to", { event: "t", body: "x", to: "y" }],
  ]) {
    test(`a wrong definition is refused at its property: ${JSON.stringify(definition)}`, async () => {
      assertProblem(await client.admin("PUT", "/v1/transforms/wrong", definition), 400, { naming: property });
      assert.equal((await client.read("GET", "/v1/transforms/wrong")).status, 404);
    });
  }

  test("reading needs the read scope, changing the admin scope", async () => {
    await client.define("/v1/transforms/guarded", { event: "guarded", body: "x" });
    for (const path of ["/v1/transforms", "/v1/transforms/guarded"]) {
      assert.equal((await client.read("GET", path)).status, 200);
      assert.equal(await client.stranger("GET", path), 401);
    }
    for (const method of ["PUT", "DELETE"]) {
      assertProblem(
        await client.read(method, "/v1/transforms/guarded", { event: "guarded", body: "y" }),
        403,
      );
      assert.equal(await client.stranger(method, "/v1/transforms/guarded"), 401);
    }
  });
});
