// Particle's own clients manage webhooks as they do on Particle's cloud, and what they made delivers.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { datasOf, publish, startDelivering, unique } from "./support/integrations.mjs";
import { jsonOf } from "./support/service.mjs";
import { particleApi, particleCli } from "./support/particle-clients.mjs";
import { ADMIN } from "./support/worker.mjs";

const PRODUCT = "12345";
const [DEVICE, OTHER] = ["0123456789abcdef01234567", "76543210fedcba9876543210"];
const ID = /^[0-9a-f]{24}$/;

let worker, client, service, stop;
before(async () => ({ worker, client, service, stop } = await startDelivering()));
after(() => stop());

/** Publishes one event of each device; answers the data that came to the door up to those of `DEVICE`. */
async function deliveredFrom(door, event, fields = {}) {
  for (const [coreid, data] of [
    [OTHER, "other"],
    [DEVICE, "first"],
    [DEVICE, "second"],
  ])
    await publish(client, { event, coreid, data, ...fields });
  await door.have(1, ({ body, target }) => `${body} ${target}`.includes("second"));
  return door.requests;
}

describe("the Particle CLI", () => {
  const folder = mkdtempSync(join(tmpdir(), "fieldhook-definitions-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  let cli;
  before(() => (cli = particleCli(worker.url, ADMIN)));

  async function cliSays(...args) {
    const { code, output } = await cli(...args).ended;
    assert.equal(code, 0, output);
    return output;
  }

  const created = (output) => {
    const [, id] = /Successfully created webhook with ID (\S+)/.exec(output) ?? assert.fail(output);
    assert.match(id, ID);
    return id;
  };

  test("webhook create, list, delete", async () => {
    const event = unique("cli");
    const door = service.door(`/${event}`);
    const id = created(await cliSays("webhook", "create", event, door.url, DEVICE, "PUT"));
    const list = await cliSays("webhook", "list");
    assert.match(list, new RegExp(`Hook ID ${id} is watching for "${event}"`));
    assert.ok(list.includes(`and sending to: ${door.url}`) && list.includes(`for device ${DEVICE}`), list);
    assert.match(list, /created at \d{4}-\d\d-\d\dT/);
    const requests = await deliveredFrom(door, event);
    assert.ok(requests.every(({ method, body }) => method === "PUT" && body.includes(DEVICE)));
    assert.match(await cliSays("webhook", "delete", id), /Successfully deleted webhook!/);
    assert.ok(!(await cliSays("webhook", "list")).includes(id));
  });

  test("webhook GET and POST", async () => {
    for (const method of ["GET", "POST"]) {
      const event = unique("cli");
      const door = service.door(`/${event}`);
      created(await cliSays("webhook", method, event, door.url));
      await publish(client, { event });
      assert.equal((await door.have(1))[0].method, method);
    }
  });

  test("webhook create from a file with everything that its help shows", async () => {
    const event = unique("cli");
    const door = service.door(`/${event}`);
    const file = join(folder, "hook.json");
    const definition = {
      event,
      url: door.url,
      deviceid: DEVICE,
      _: "The following parameters are optional",
      requestType: "POST",
      form: null,
      json: { t: "{{{PARTICLE_EVENT_VALUE}}}" },
      body: null,
      headers: null,
      query: null,
      auth: null,
      responseTemplate: null,
      rejectUnauthorized: true,
      noDefaults: true,
    };
    writeFileSync(file, JSON.stringify(definition));
    created(await cliSays("webhook", "create", file));
    const requests = await deliveredFrom(door, event);
    assert.deepEqual(
      requests.map((request) => jsonOf(request)),
      [{ t: "first" }, { t: "second" }],
    );
  });

  test("is told what is wrong with a definition", async () => {
    const { code, output } = await cli("webhook", "create", "temp", "ftp://example.com/").ended;
    assert.notEqual(code, 0);
    assert.match(output, /Error creating webhook: url: /);
  });

  test("is told of a webhook that is not there", async () => {
    const { code, output } = await cli("webhook", "delete", "0123456789abcdef01234567").ended;
    assert.notEqual(code, 0);
    assert.match(output, /Error deleting webhook: \S+/);
  });
});

describe("particle-api-js", () => {
  let api;
  before(() => (api = particleApi(worker.url, ADMIN)));

  for (const [where, product] of [
    ["", undefined],
    [" of a product", PRODUCT],
  ]) {
    test(`createWebhook, listWebhooks, deleteWebhook${where}`, async () => {
      const event = unique("js");
      const door = service.door(`/${event}`);
      const hook = { method: "GET", query: { t: "{{{PARTICLE_EVENT_VALUE}}}" } };
      const made = await api.createWebhook({
        event,
        url: door.url,
        device: DEVICE,
        noDefaults: true,
        hook,
        product,
      });
      const { ok, id, url, event: name, created_at, hookUrl } = made.body;
      assert.deepEqual([ok, url, name], [true, door.url, event]);
      assert.match(id, ID);
      assert.ok(Date.parse(created_at) && hookUrl);
      const listed = (await api.listWebhooks({ product })).body.find((one) => one.id === id);
      assert.deepEqual(
        [listed.event, listed.url, listed.requestType, listed.deviceID],
        [event, door.url, "GET", DEVICE],
      );
      const requests = await deliveredFrom(door, event, product && { product_id: product });
      assert.deepEqual(
        requests.map(({ query }) => query.get("t")),
        ["first", "second"],
      );
      assert.deepEqual((await api.deleteWebhook({ hookId: id, product })).body, { ok: true });
      assert.ok(!(await api.listWebhooks({ product })).body.some((one) => one.id === id));
    });

    test(`createIntegration, editIntegration, listIntegrations, deleteIntegration${where}`, async () => {
      const event = unique("js");
      const door = service.door(`/${event}`);
      const settings = { integration_type: "Webhook", url: `${door.url}/old`, requestType: "POST" };
      const { body: made } = await api.createIntegration({ event, settings, deviceId: DEVICE, product });
      assert.match(made.id, ID);
      const edited = { ...settings, url: `${door.url}/new` };
      await api.editIntegration({
        integrationId: made.id,
        event,
        settings: edited,
        deviceId: DEVICE,
        product,
      });
      const listed = (await api.listIntegrations({ product })).body.find((one) => one.id === made.id);
      assert.deepEqual([listed.event, listed.url], [event, edited.url]);
      const requests = await deliveredFrom(door, event, product && { product_id: product });
      assert.deepEqual(datasOf(requests), ["first", "second"]);
      assert.ok(requests.every(({ path }) => path.endsWith("/new")));
      const removed = await api.deleteIntegration({ integrationId: made.id, product });
      assert.deepEqual(removed.body, { ok: true });
    });
  }

  test("a definition that cannot work is told in the words that it passes on", async () => {
    await assert.rejects(api.createWebhook({ event: "e", url: "nonsense" }), ({ statusCode, body }) => {
      assert.equal(statusCode, 400);
      assert.ok(body.error && body.error_description.includes("url"), JSON.stringify(body));
      return true;
    });
  });
});
