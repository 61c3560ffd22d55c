// Nothing that was acknowledged stays undelivered: the Worker is killed before, during and after an attempt. What it
// had begun it begins again, under the same webhook-id.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { anEvent, numbers, until } from "./support/client.mjs";
import {
  WITHIN,
  datasOf,
  idsOf,
  onceEach,
  publish,
  publishInTurn,
  startDelivering,
  unique,
} from "./support/integrations.mjs";
import { formOf, held, reply } from "./support/service.mjs";

let worker, client, service, integrations, stop;
beforeEach(
  async () =>
    ({ worker, client, service, integrations, stop } = await startDelivering({
      // Never given up while the Worker is down; and no answer is cut off by a timeout.
      vars: { RETRY_SCHEDULE: "0.2,0.4,1,2,5,5,5,5,5", DELIVERY_TIMEOUT: "20" },
    })),
);
afterEach(() => stop());

describe("SIGKILL, one event under way", () => {
  test("before its attempt: it is made after the start, though nothing else happens", async () => {
    const event = unique("crash");
    const id = await integrations.create({ event, url: service.url });
    await integrations.pause(id);
    await publishInTurn(client, [1, 2, 3], { event });
    await integrations.resume(id);
    await worker.kill();
    await worker.restart();
    await until(() => onceEach(service.requests).length === 3, { within: WITHIN, what: "three deliveries" });
    assert.deepEqual(datasOf(onceEach(service.requests)), ["1", "2", "3"]);
  });

  test("between two attempts: the next one is made, with the same id", async () => {
    const event = unique("crash");
    await integrations.create({ event, url: service.url });
    service.script(500);
    await publish(client, { event, data: "1" });
    await service.have(1);
    await worker.kill();
    await worker.restart();
    const requests = await service.have(2);
    assert.deepEqual([datasOf(requests), new Set(idsOf(requests)).size], [["1", "1"], 1]);
  });

  test("during its attempt: it is made again, with the same id, and the next event follows", async () => {
    const event = unique("crash");
    await integrations.create({ event, url: service.url });
    const gate = held();
    service.answer(gate.answer);
    await publishInTurn(client, [1, 2], { event });
    await service.have(1);
    await worker.kill();
    gate.release();
    await worker.restart();
    const requests = await service.have(3);
    assert.deepEqual(datasOf(requests), ["1", "1", "2"]);
    assert.equal(new Set(idsOf(requests)).size, 2);
  });

  test("after the service has answered: the outcome is stored, or the attempt made again", async () => {
    const event = unique("crash");
    await integrations.create({ event, url: service.url });
    let killed;
    service.script((request, response) => {
      response.on("finish", () => (killed = worker.kill()));
      reply(200)(request, response);
    });
    await publishInTurn(client, [1], { event });
    await until(() => killed !== undefined, { within: WITHIN, what: "the kill" });
    await killed;
    await worker.restart();
    await publish(client, { event, data: "2" });
    await service.have(1, ({ body }) => body.includes("data=2"));
    assert.deepEqual(datasOf(onceEach(service.requests)), ["1", "2"]);
    assert.ok(service.requests.length <= 3, "made again once at most");
  });
});

describe("SIGKILL under load", () => {
  const DEVICES = numbers(1, 6).map((n) => `device-${n}`);
  const ROUNDS = 3;

  test("everything acknowledged is delivered, in order per device, each with one id", async () => {
    const event = unique("crash");
    const ids = [];
    const doors = ["a", "b"].map((name) => service.door(`/${name}`));
    // A service has its bad days too.
    let count = 0;
    for (const door of doors) {
      door.answer((request, response) => reply((count += 1) % 7 ? 200 : 500)(request, response));
      ids.push(await integrations.create({ event, url: door.url }));
    }
    const acknowledged = [];
    for (const round of numbers(1, ROUNDS)) {
      const stopped = { now: false };
      const load = DEVICES.map(async (coreid) => {
        while (!stopped.now) {
          const one = anEvent({ event, coreid, data: `${round} ${acknowledged.length}` });
          try {
            const response = await client.publish(one);
            await response.text();
            if (response.status === 204) acknowledged.push(one.event_id);
          } catch {
            // Cut off: nothing is promised of it.
          }
        }
      });
      const enough = { events: acknowledged.length + 40, requests: service.requests.length + 40 };
      await until(() => acknowledged.length >= enough.events && service.requests.length >= enough.requests, {
        within: WITHIN,
        every: 5,
        what: "the load",
      });
      const killed = worker.kill();
      stopped.now = true;
      await Promise.all([killed, ...load]);
      await worker.restart();
    }
    const logs = new Map();
    for (const coreid of DEVICES) logs.set(coreid, await client.log(coreid));
    const logged = [...logs.values()].flat().map(({ id }) => id);
    for (const id of acknowledged) assert.ok(logged.includes(id), `${id} was acknowledged`);
    for (const door of doors) {
      await until(() => onceEach(door.requests.filter(succeeded)).length >= logged.length, {
        within: 2 * WITHIN,
        what: { toString: () => `${logged.length} deliveries (${onceEach(door.requests).length} came)` },
      });
      for (const [coreid, log] of logs) {
        const own = onceEach(door.requests.filter((request) => formOf(request).coreid === coreid));
        assert.deepEqual(
          datasOf(own),
          log.map(({ data }) => String(data)),
          `${coreid} in the order of its log`,
        );
      }
    }
    for (const id of ids) assert.equal((await integrations.get(id)).status, "active");
  });

  /** The test's own answers: 500 or 200. */
  const succeeded = ({ status }) => status === 200;
});

test("configuration, pauses and what is parked outlast a kill", async () => {
  const event = unique("crash");
  const [active, paused] = [service.door("/active"), service.door("/paused")];
  const ids = [];
  for (const door of [active, paused]) ids.push(await integrations.create({ event, url: door.url }));
  active.script(400);
  await publish(client, { event, data: "parked" });
  await integrations.haveAttempts(ids[0], 1, ({ status }) => status === "parked");
  await paused.have(1);
  await integrations.pause(ids[1]);
  await worker.kill();
  await worker.restart();
  await publish(client, { event, data: "after" });
  assert.deepEqual(datasOf(await active.have(2)), ["parked", "after"]);
  assert.equal((await integrations.get(ids[1])).status, "paused");
  assert.equal(paused.requests.length, 1);
  const [parked] = await integrations.haveAttempts(ids[0], 1, () => true, "status=parked");
  assert.equal(parked.http_status, 400);
});
