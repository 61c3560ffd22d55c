// An integration's place in a device's log: what becomes of it when the definition changes, when another integration of
// the device waits for hours, and when what waits grows too old.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { until } from "./support/client.mjs";
import { WITHIN, datasOf, publish, publishInTurn, startDelivering, unique } from "./support/integrations.mjs";
import { held } from "./support/service.mjs";
import { rowsWith } from "./support/storage.mjs";

/** Long enough for what must not come to come. */
const QUIET = 1_000;

/** How long after an event a device makes sure that everything has arrived. */
const SAFETY_ALARM = 20_000;

async function delivering(options, run) {
  const all = await startDelivering(options);
  try {
    await run(all);
  } finally {
    await all.stop();
  }
}

const replace = async (client, id, definition) => {
  const answer = await client.admin("PUT", `/v1/integrations/${id}`, definition);
  assert.equal(answer.status, 200, answer.text);
};

describe("a definition that is replaced", () => {
  test("by one for other events: delivers none that came before it, and all it was for", () =>
    delivering({}, async ({ client, integrations, service }) => {
      const [all, device] = [unique("refiltered"), "device-refiltered"];
      const [mine, other] = [`${all}mine`, `${all}other`];
      const gate = held();
      const id = await integrations.create({ event: mine, url: service.url });
      await publishInTurn(client, ["o1", "o2"], { event: other, coreid: device });
      service.answer(gate.answer);
      await publishInTurn(client, ["m1", "m2"], { event: mine, coreid: device });
      await service.have(1);
      await replace(client, id, { event: all, url: service.url });
      await sleep(10);
      await publishInTurn(client, ["o3"], { event: other, coreid: device });
      gate.release();
      await service.have(3);
      await sleep(QUIET);
      assert.deepEqual(datasOf(service.requests), ["m1", "m2", "o3"]);
    }));

  test("whose answers were replies: delivers nothing that was answered", () =>
    delivering({}, async ({ client, integrations, service }) => {
      const [event, device] = [unique("asked"), "device-responded"];
      const id = await integrations.create({ event, url: service.url, respond: true });
      await publishInTurn(client, [1, 2], { event, coreid: device });
      await service.have(2);
      await replace(client, id, { event, url: service.url });
      await sleep(10);
      await publish(client, { event, coreid: device, data: "3" });
      await service.have(3);
      await sleep(QUIET);
      assert.deepEqual(datasOf(service.requests), ["1", "2", "3"]);
    }));
});

test("what is cut off by a crash does not wait for an integration that waits for hours", () =>
  delivering(
    { vars: { RETRY_SCHEDULE: "7200", DELIVERY_TIMEOUT: "20" } },
    async ({ worker, client, integrations, service }) => {
      const [event, device] = [unique("crash"), "device-patient"];
      const [dead, alive] = [service.door("/dead").answer(500), service.door("/alive")];
      const waiting = await integrations.create({ event, url: dead.url });
      await publish(client, { event, coreid: device, data: "1" });
      await integrations.haveAttempts(waiting, 1);
      // Behind its safety alarm the device has none but the retry's.
      await sleep(SAFETY_ALARM + 2_000);
      await integrations.create({ event, url: alive.url });
      const gate = held();
      alive.answer(gate.answer);
      await publish(client, { event, coreid: device, data: "2" });
      await alive.have(1);
      await worker.kill();
      gate.release();
      await worker.restart();
      await alive.have(2, () => true, { within: WITHIN });
      assert.deepEqual(datasOf(alive.requests), ["2", "2"]);
    },
  ));

test("what ages out after a restart is counted", () =>
  delivering(
    { vars: { RETENTION_DAYS: String(4_000 / 86_400_000) } },
    async ({ worker, client, integrations, service }) => {
      const event = unique("old");
      const id = await integrations.create({ event, url: service.url });
      await integrations.pause(id);
      await publishInTurn(client, [1, 2, 3], { event });
      await worker.kill();
      await sleep(5_000);
      await worker.restart();
      const expired = async () => (await integrations.get(id)).counts.today.expired;
      await until(async () => (await expired()) === 3, {
        within: WITHIN,
        every: 500,
        what: "three that expired",
      });
    },
  ));

test("what a definition that answers devices is asked to deliver again is refused", () =>
  delivering({}, async ({ client, integrations, service }) => {
    const event = unique("asked");
    const id = await integrations.create({ event, url: service.url, respond: true });
    await publish(client, { event, data: "1" });
    const answer = await integrations.replay(id, { from: "2020-01-01T00:00:00Z" });
    assert.deepEqual([answer.status, answer.body.code], [404, "nothing-to-replay"], answer.text);
  }));

// Told again after each wake, an outcome would be counted again once its shard has let go of the attempt.
test("that an outcome was told is written down", () =>
  delivering({}, async ({ worker, client, service, integrations }) => {
    const event = unique("told");
    const id = await integrations.create({ event, url: service.url });
    await publish(client, { event, coreid: "told" });
    await integrations.haveAttempts(id, 1);
    const untold = () => rowsWith(worker.storage, "Device", '"unreported"');
    await until(() => untold().length === 0, { within: WITHIN, every: 500, what: "the row that says so" });
    await worker.restart();
    await publish(client, { event, coreid: "told" });
    await integrations.haveAttempts(id, 2);
    const { counts } = await integrations.get(id);
    assert.equal(counts.today.success, 2);
  }));
