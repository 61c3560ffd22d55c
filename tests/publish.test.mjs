// Particle's REST: an application publishes, and products have devices.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, until } from "./support/client.mjs";
import { ADMIN, READ, TOKEN, startWorker } from "./support/worker.mjs";

const DEVICES = "/v1/devices/events";
const PRODUCT = "/v1/products/12/events";

describe("publishing through /v1", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const publish = (body, path = DEVICES) => client.admin("POST", path, body);
  const published = async (body, path) => {
    const answer = await publish(body, path);
    assert.deepEqual([answer.status, answer.text], [200, '{"ok":true}']);
    return client.newest("api");
  };

  test("an event is in the log of the device api", async () => {
    const event = await published({ name: "temp", data: "21.50", private: true, ttl: 60 });
    const { event: name, data, coreid, source, extra } = event;
    assert.deepEqual(
      { name, data, coreid, source, extra },
      {
        name: "temp",
        data: 21.5,
        coreid: "api",
        source: "api",
        extra: { private: true, ttl: 60 },
      },
    );
  });

  test("a form says the same", async () => {
    const answer = await worker.fetch(DEVICES, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}` },
      body: new URLSearchParams({ name: "form", data: "a b&c", private: "true", access_token: ADMIN }),
    });
    assert.equal(await answer.text(), '{"ok":true}');
    const { event, data, extra } = await client.newest("api");
    assert.deepEqual([event, data, extra], ["form", "a b&c", { private: "true" }]);
  });

  test("an event of a product has its id", async () => {
    assert.equal((await published({ name: "temp", data: "1" }, PRODUCT)).product_id, "12");
    assert.equal((await published({ name: "temp", data: "1" })).product_id, undefined);
  });

  test("data may be absent, and may be JSON", async () => {
    assert.equal((await published({ name: "empty" })).data, "");
    assert.deepEqual((await published({ name: "json", data: { a: [1] } })).data, { a: [1] });
  });

  test("the same twice is two events", async () => {
    const { seq } = await published({ name: "twice", data: "1" });
    assert.equal((await published({ name: "twice", data: "1" })).seq, seq + 1);
  });

  test("nobody speaks for a device", async () => {
    const { coreid, id } = await published({ name: "temp", coreid: "device", event_id: "mine" });
    assert.equal(coreid, "api");
    assert.notEqual(id, "mine");
    assert.deepEqual(await client.log("device"), []);
  });

  test("transforms rewrite it as any event", async () => {
    await client.define("/v1/transforms/short", { event: "short", body: "{{{t}}}", rename: "long" });
    const { event, data } = await published({ name: "short", data: '{"t":4}' });
    assert.deepEqual([event, data], ["long", 4]);
  });

  for (const [what, body, code] of [
    ["no name", { data: "1" }, "missing-field"],
    ["a name that is none", { name: "a\nb" }, "bad-field"],
    ["a name that is too long", { name: "x".repeat(65) }, "bad-field"],
    ["a batch", [{ name: "a" }], "bad-body"],
    ["nothing", undefined, "missing-field"],
    ["broken JSON", "{", "bad-json"],
  ]) {
    test(`${what} is refused in words that Particle's clients read`, async () => {
      for (const path of [DEVICES, PRODUCT]) {
        const answer = await publish(body, path);
        assertProblem(answer, 400, { code });
        assert.deepEqual([answer.body.error, answer.body.error_description], [code, answer.body.detail]);
      }
    });
  }

  test("too large a body is 413", async () => {
    assertProblem(await publish({ name: "large", data: "x".repeat(300_000) }), 413, {
      code: "body-too-large",
    });
  });

  test("it takes an admin's token", async () => {
    for (const path of [DEVICES, PRODUCT]) {
      assertProblem(await client.read("POST", path, { name: "t" }), 403, { code: "forbidden" });
      assert.equal(await client.stranger("POST", path), 401);
      const device = await client.publish({ name: "t" }, { to: path, token: TOKEN });
      assert.deepEqual([device.status, (await device.json()).error], [401, "bad-token"]);
    }
  });
});

describe("a product", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { FLEET_SHARDS: "3" } });
    client = clientOf(worker);
    for (const [coreid, productID] of [
      ["p-1", "12"],
      ["p-2", "12"],
      ["p-3", "12"],
      ["other", "123"],
      ["moved", "12"],
      ["moved", "13"],
      ["none", undefined],
    ])
      await client.accepted(anEvent({ coreid, productID, fw_version: "3" }));
    await until(async () => (await client.devices()).length === 6, { what: "the list of devices" });
  });
  after(() => worker.stop());

  const list = (product, query = "") => client.read("GET", `/v1/products/${product}/devices${query}`);
  const ids = ({ body }) => body.devices.map(({ id }) => id);

  test("has the devices whose last word on it was its id", async () => {
    const answer = await list("12");
    assert.deepEqual(ids(answer), ["p-1", "p-2", "p-3"]);
    const [{ name, online, connected, product_id, firmware_version, last_heard }] = answer.body.devices;
    assert.deepEqual([name, online, connected, product_id, firmware_version], ["p-1", true, true, "12", "3"]);
    assert.ok(Date.parse(last_heard));
    assert.deepEqual(answer.body.customers, []);
    assert.deepEqual(answer.body.meta, { page: 1, per_page: 25, total_pages: 1, total: 3 });
    assert.deepEqual(ids(await list("13")), ["moved"]);
    assert.deepEqual(ids(await list("1")), []);
  });

  test("is listed by pages", async () => {
    const pages = [];
    for (const page of [1, 2, 3]) pages.push(ids(await list("12", `?page=${page}&per_page=2`)));
    assert.deepEqual(pages, [["p-1", "p-2"], ["p-3"], []]);
    assert.deepEqual(ids(await list("12", "?deviceName=-2")), ["p-2"]);
    assertProblem(await list("12", "?page=0"), 400, { naming: "page" });
    assertProblem(await list("12", "?per_page=1001"), 400, { naming: "per_page" });
  });

  test("shows its own devices and no other's", async () => {
    const one = await client.read("GET", "/v1/products/12/devices/p-1");
    assert.deepEqual(one.body, (await client.read("GET", "/v1/devices/p-1")).body);
    for (const id of ["other", "none", "moved", "unknown", "a%20b"]) {
      const answer = await client.read("GET", `/v1/products/12/devices/${id}`);
      assertProblem(answer, 404, { code: "unknown-device" });
      assert.equal(answer.body.error, "unknown-device");
    }
  });

  test("is not called by a secret, nor by what no product is called", async () => {
    for (const name of ["a%20b", "x".repeat(65), READ]) {
      assertProblem(await list(name), 404, { code: "not-found" });
      assertProblem(await client.admin("POST", `/v1/products/${name}/events`, { name: "t" }), 404);
    }
    assert.deepEqual(await client.log("api"), []);
  });
});
