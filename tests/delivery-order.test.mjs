// Which events are delivered, and in which order: each device's one after another, from the place where it was.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, numbers } from "./support/client.mjs";
import {
  datasOf,
  idsOf,
  onceEach,
  publish,
  publishInTurn,
  startDelivering,
  unique,
} from "./support/integrations.mjs";
import { formOf, held } from "./support/service.mjs";

let client, service, integrations, stop;
before(async () => ({ client, service, integrations, stop } = await startDelivering()));
after(() => stop());

describe("which events", () => {
  /** Publishes and answers which of them were delivered, in the order they came. */
  async function delivered(definition, events, { under, marker = {} } = {}) {
    const door = service.door(`/${unique("door")}`);
    const id = await integrations.create({ url: door.url, ...definition }, under);
    for (const event of [...events, { ...events[0], ...marker, data: "the end" }])
      await publish(client, event);
    await door.have(1, ({ body }) => body.includes("the%20end"));
    await integrations.remove(id);
    return datasOf(door.requests).filter((data) => data !== "the end");
  }

  test("those whose name begins with `event`, upper and lower case apart", async () => {
    const event = unique("which");
    const names = [event, `${event}/kitchen`, `x${event}`, event.toUpperCase(), event.slice(0, -1)];
    const events = names.map((name) => ({ event: name, data: name, coreid: "which" }));
    assert.deepEqual(await delivered({ event }, events), [event, `${event}/kitchen`]);
  });

  test("`eventName` is the old spelling", async () => {
    const event = unique("which");
    assert.deepEqual(await delivered({ eventName: event }, [{ event, data: "1" }]), ["1"]);
  });

  test("`deviceID`: one device's", async () => {
    const event = unique("which");
    const events = ["d-one", "d-two", "d-one"].map((coreid, n) => ({
      event,
      coreid,
      data: `${coreid} ${n}`,
    }));
    assert.deepEqual(await delivered({ event, deviceID: "d-one" }, events), ["d-one 0", "d-one 2"]);
  });

  test("under a product: that product's", async () => {
    const event = unique("which");
    const ids = ["101", undefined, "102", "101"];
    const events = ids.map((product_id, n) => ({
      event,
      product_id,
      coreid: `p-${product_id}`,
      data: `${n}`,
    }));
    const under = "/v1/products/101/integrations";
    assert.deepEqual(await delivered({ event }, events, { under }), ["0", "3"]);
  });

  test("none from before it was there", async () => {
    const event = unique("which");
    await publish(client, { event, data: "too early" });
    assert.deepEqual(await delivered({ event }, [{ event, data: "1" }]), ["1"]);
  });

  test("also a batch's, and one that came through the api; data as a transform has left it", async () => {
    const event = unique("which");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: door.url });
    await client.define("/v1/transforms/which", {
      event: `${event}t`,
      body: "rewritten {{{PARTICLE_EVENT_VALUE}}}",
    });
    await client.accepted(["a", "b", "c"].map((data) => anEvent({ event, data, coreid: "d-batch" })));
    assert.equal((await client.admin("POST", "/v1/devices/events", { name: event, data: "d" })).status, 200);
    await publish(client, { event: `${event}t`, data: "e" });
    const datas = datasOf(await door.have(5));
    assert.deepEqual(
      datas.filter((data) => "abc".includes(data)),
      ["a", "b", "c"],
    );
    assert.deepEqual(datas.toSorted(), ["a", "b", "c", "d", "rewritten e"]);
    await integrations.remove(id);
  });

  test("a repeat is not delivered again", async () => {
    const event = unique("which");
    const door = service.door(`/${event}`);
    await integrations.create({ event, url: door.url });
    const once = anEvent({ event, data: "once" });
    for (const duplicate of [false, true, true])
      assert.equal((await client.accepted(once)).duplicate, duplicate);
    await publish(client, { event, data: "the next one" });
    assert.deepEqual(datasOf(await door.have(2)), ["once", "the next one"]);
  });
});

describe("in order", () => {
  test("each device's events come one after another, in the order of its log", async () => {
    const event = unique("order");
    const door = service.door(`/${event}`);
    door.script(200, 500, 200, 503, 500, 201);
    await integrations.create({ event, url: door.url });
    const devices = ["o-1", "o-2", "o-3"];
    const datas = numbers(1, 20).map(String);
    await Promise.all(devices.map((coreid) => publishInTurn(client, datas, { event, coreid })));
    await door.have(3 * 20 + 3);
    for (const coreid of devices) {
      const own = door.requests.filter((request) => formOf(request).coreid === coreid);
      const inTurn = datasOf(own).filter((data, index, all) => data !== all[index - 1]);
      assert.deepEqual(inTurn, datas, coreid);
      assert.equal(new Set(idsOf(own)).size, datas.length, "each has an id of its own");
    }
    assert.equal(door.requests.length, 3 * 20 + 3);
  });

  test("the next one waits for the one before", async () => {
    const event = unique("order");
    const door = service.door(`/${event}`);
    const gate = held();
    door.answer(gate.answer);
    await integrations.create({ event, url: door.url });
    await publishInTurn(client, [1, 2, 3], { event, coreid: "o-waits" });
    await door.have(1);
    assert.deepEqual(datasOf(door.requests), ["1"]);
    gate.release();
    await door.have(1, (request) => formOf(request).data === "3");
    assert.deepEqual(datasOf(onceEach(door.requests)), ["1", "2", "3"]);
  });
});

describe("an answer that is a success", () => {
  for (const status of [200, 201, 202, 204, 299]) {
    test(`${status}: the next event follows`, async () => {
      const event = unique("ok");
      const door = service.door(`/${event}`).answer(status);
      const id = await integrations.create({ event, url: door.url });
      await publishInTurn(client, [1, 2], { event });
      assert.deepEqual(datasOf(await door.have(2)), ["1", "2"]);
      const attempts = await integrations.haveAttempts(id, 2);
      assert.deepEqual(
        attempts.map((attempt) => [attempt.status, attempt.http_status, attempt.attempt]),
        [
          ["success", status, 1],
          ["success", status, 1],
        ],
      );
    });
  }
});

describe("pausing keeps the place", () => {
  async function paused(pause) {
    const event = unique("pause");
    const door = service.door(`/${event}`);
    const definition = { event, url: door.url };
    const id = await integrations.create(definition);
    await publish(client, { event, data: "before" });
    await door.have(1);
    await pause(id, definition);
    await integrations.becomes(id, "paused");
    await publishInTurn(client, [1, 2, 3], { event });
    return { id, door, event };
  }

  for (const [how, pause] of [
    ["POST …/pause", (id) => integrations.pause(id)],
    [
      "PUT with disabled",
      (id, definition) => client.define(`/v1/integrations/${id}`, { ...definition, disabled: true }),
    ],
  ]) {
    test(`${how}, then resume: what came meanwhile is delivered, in order`, async () => {
      const { id, door, event } = await paused(pause);
      assert.deepEqual(datasOf(door.requests), ["before"]);
      await integrations.resume(id);
      await integrations.becomes(id, "active");
      await publish(client, { event, data: "4" });
      assert.deepEqual(datasOf(await door.have(5)), ["before", "1", "2", "3", "4"]);
    });
  }

  test("resume from now skips it", async () => {
    const { id, door, event } = await paused((id) => integrations.pause(id));
    await integrations.resume(id, { from: "now" });
    await integrations.becomes(id, "active");
    await publish(client, { event, data: "4" });
    await door.have(1, (request) => formOf(request).data === "4");
    assert.deepEqual(datasOf(door.requests), ["before", "4"]);
  });

  test("one that was created disabled waits", async () => {
    const event = unique("pause");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: door.url, disabled: true });
    assert.equal((await integrations.get(id)).status, "paused");
    await publish(client, { event, data: "1" });
    await integrations.resume(id);
    assert.deepEqual(datasOf(await door.have(1)), ["1"]);
  });

  test("one that is deleted delivers no more", async () => {
    const [gone, stays] = [unique("door"), unique("door")].map((path) => service.door(`/${path}`));
    const event = unique("pause");
    const id = await integrations.create({ event, url: gone.url });
    await integrations.create({ event, url: stays.url });
    await publish(client, { event, data: "1" });
    await Promise.all([gone.have(1), stays.have(1)]);
    await integrations.remove(id);
    await publish(client, { event, data: "2" });
    await stays.have(2);
    assert.deepEqual(datasOf(gone.requests), ["1"]);
  });
});

test("PUT replaces: the next event goes by the new definition, at the old place", async () => {
  const event = unique("put");
  const door = service.door(`/${event}`);
  const id = await integrations.create({ event, url: `${door.url}/old`, json: { a: 1 } });
  await publish(client, { event, data: "1" });
  await door.have(1);
  await client.define(`/v1/integrations/${id}`, { event, url: `${door.url}/new`, requestType: "PUT" });
  await publish(client, { event, data: "2" });
  const [, request] = await door.have(2);
  assert.deepEqual([request.method, request.path, formOf(request).data], ["PUT", `${door.path}/new`, "2"]);
});
