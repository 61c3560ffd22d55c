// Particle's own clients, particle-api-js and the Particle CLI, work with only the base URL changed.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, until } from "./support/client.mjs";
import { particleApi, particleCli } from "./support/particle-clients.mjs";
import { ADMIN, READ, startWorker } from "./support/worker.mjs";

const DEVICE = "0123456789abcdef01234567";
const PRODUCT = "12345";

let worker, client;
before(async () => {
  worker = await startWorker();
  client = clientOf(worker);
  await client.accepted(anEvent({ coreid: DEVICE, product_id: PRODUCT, fw_version: "3" }));
  await client.accepted(anEvent({ coreid: "sandboxed" }));
  await until(async () => (await client.devices()).length === 2, { what: "the list of devices" });
});
after(() => worker.stop());

const lastPublished = async () => {
  const { event, data, product_id } = await client.newest("api");
  return [event, data, product_id];
};

describe("particle-api-js", () => {
  let api;
  before(() => (api = particleApi(worker.url, ADMIN)));

  test("publishEvent", async () => {
    const answer = await api.publishEvent({ name: "from/js", data: "21.5 °C", isPrivate: true });
    assert.deepEqual([answer.statusCode, answer.body], [200, { ok: true }]);
    assert.deepEqual(await lastPublished(), ["from/js", "21.5 °C", undefined]);
  });

  test("publishEvent to a product", async () => {
    const answer = await api.publishEvent({ name: "from/js", data: '{"t":1}', product: PRODUCT });
    assert.deepEqual(answer.body, { ok: true });
    assert.deepEqual(await lastPublished(), ["from/js", { t: 1 }, PRODUCT]);
  });

  test("listDevices", async () => {
    const { statusCode, body } = await api.listDevices({});
    assert.equal(statusCode, 200);
    for (const id of [DEVICE, "sandboxed"])
      assert.ok(body.some((device) => device.id === id && device.name === id));
  });

  test("listDevices of a product", async () => {
    const { body } = await api.listDevices({ product: PRODUCT, page: 1, perPage: 10, deviceId: DEVICE });
    assert.deepEqual(
      body.devices.map(({ id, online, product_id }) => [id, online, product_id]),
      [[DEVICE, true, PRODUCT]],
    );
    assert.deepEqual([body.meta.page, body.meta.per_page, body.meta.total_pages], [1, 10, 1]);
  });

  for (const [what, product] of [
    ["", undefined],
    [" of a product", PRODUCT],
  ]) {
    test(`getDevice${what}`, async () => {
      const { statusCode, body } = await api.getDevice({ deviceId: DEVICE, product });
      assert.equal(statusCode, 200);
      const { id, name, online, connected, product_id, firmware_version } = body;
      assert.deepEqual([id, name, online, connected], [DEVICE, DEVICE, true, true]);
      assert.deepEqual([product_id, firmware_version], [PRODUCT, "3"]);
      assert.ok(Date.parse(body.last_heard));
    });
  }

  for (const [what, status, error, call] of [
    ["a wrong token", 401, "bad-token", (api) => api.listDevices({ auth: "wrong" })],
    ["a token that may only read", 403, "forbidden", (api) => api.publishEvent({ name: "n", auth: READ })],
    ["an unknown device", 404, "unknown-device", (api) => api.getDevice({ deviceId: "unknown" })],
    ["an event without a name", 400, "missing-field", (api) => api.publishEvent({ data: "1" })],
  ]) {
    test(`${what} is told in the words that it passes on`, async () => {
      await assert.rejects(call(api), (reason) => {
        assert.deepEqual([reason.statusCode, reason.body.error], [status, error]);
        assert.ok(reason.body.error_description);
        assert.ok(
          reason.errorDescription.endsWith(` - ${reason.body.error_description}`),
          reason.errorDescription,
        );
        return true;
      });
    });
  }
});

describe("the Particle CLI", () => {
  let cli;
  before(() => (cli = particleCli(worker.url, ADMIN)));

  test("publish", async () => {
    const { code, output } = await cli("publish", "from/cli", "21.5 °C").ended;
    assert.equal(code, 0, output);
    assert.match(output, /Published private event: from\/cli/);
    assert.deepEqual(await lastPublished(), ["from/cli", "21.5 °C", undefined]);
  });

  test("publish to a product", async () => {
    const { code, output } = await cli("publish", "from/cli", "7", "--product", PRODUCT).ended;
    assert.equal(code, 0, output);
    assert.deepEqual(await lastPublished(), ["from/cli", 7, PRODUCT]);
  });

  test("product device list", async () => {
    const { code, output } = await cli("product", "device", "list", PRODUCT, "--json").ended;
    assert.equal(code, 0, output);
    assert.ok(
      JSON.parse(output).data.some(({ id }) => id === DEVICE),
      output,
    );
  });

  test("tells what is wrong", async () => {
    const { code, output } = await particleCli(worker.url, "wrong")("publish", "n").ended;
    assert.notEqual(code, 0);
    assert.match(output, /Error publishing event: the token that was sent opens nothing here/);
  });
});
