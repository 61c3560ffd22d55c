// Two hundred devices deliver to a host that is down. While it is, it is asked now and then whether it is back; when it
// is, everything is delivered, each device's events in order, and the host is not knocked over by all of them at once.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { anEvent, numbers, until } from "./support/client.mjs";
import { datasOf, publish, startDelivering, unique } from "./support/integrations.mjs";
import { formOf, reset } from "./support/service.mjs";

const DEVICES = numbers(1, 200).map((n) => `dead-${n}`);
const DATAS = ["1", "2", "3"];
/** The most devices of one batch. */
const BATCH_DEVICES = 100;
/** Seconds between two probes. */
const PROBE = 1;
const PATIENCE = 150_000;

describe("a dead host", { timeout: 2 * PATIENCE }, () => {
  let client, service, integrations, stop;
  before(
    async () =>
      ({ client, service, integrations, stop } = await startDelivering({
        // Waiting consumes no attempt: these would not last if it did. Nothing is to come twice because a busy machine
        // was late with an answer.
        vars: {
          RETRY_SCHEDULE: "0.5,1,2,4,8,8,8,8,8,8",
          CIRCUIT_PROBE: String(PROBE),
          DELIVERY_TIMEOUT: "60",
        },
      })),
  );
  after(() => stop());

  async function publishAll(event) {
    for (const data of DATAS) {
      for (let from = 0; from < DEVICES.length; from += BATCH_DEVICES) {
        const batch = DEVICES.slice(from, from + BATCH_DEVICES);
        await client.accepted(batch.map((coreid) => anEvent({ event, coreid, data })));
      }
    }
  }

  /** Each device's events have come, in order, and nothing twice. */
  async function assertDelivered(door) {
    const all = () => door.requests.filter(({ status }) => status === 200);
    const total = DEVICES.length * DATAS.length;
    const toString = () => `${total} deliveries (${all().length} came)`;
    await until(() => all().length >= total, { within: PATIENCE, every: 100, what: { toString } });
    const byDevice = Map.groupBy(all(), (request) => formOf(request).coreid);
    assert.equal(byDevice.size, DEVICES.length);
    for (const [device, requests] of byDevice) assert.deepEqual(datasOf(requests), DATAS, device);
  }

  /** How many requests came in the time that `work` took, and how many whole seconds that was. */
  async function during(door, work) {
    const [before, began] = [door.requests.length, Date.now()];
    await work();
    return { came: door.requests.length - before, seconds: Math.ceil((Date.now() - began) / 1_000) };
  }

  test("that refuses connections, and is started again: everything arrives, in order", async () => {
    const event = unique("dead");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: door.url });
    await service.stop();
    await publishAll(event);
    await integrations.haveAttempts(id, 10, ({ status }) => status === "failure");
    await sleep(5_000);
    assert.equal(door.requests.length, 0);
    await service.start();
    await assertDelivered(door);
    assert.equal((await integrations.get(id)).status, "active");
    assert.deepEqual(await integrations.attempts(id, "status=parked"), []);
  });

  test("that resets every connection: probes only, one success, and no burst behind it", async () => {
    const event = unique("dead");
    const door = service.door(`/${event}`).answer(reset);
    const id = await integrations.create({ event, url: door.url });
    await publishAll(event);
    // Each device tries once, some a second time, and then the circuit is open.
    await door.have(DEVICES.length, undefined, { within: PATIENCE });
    await until(
      async () => {
        const { came, seconds } = await during(door, () => sleep(3_000));
        return came <= seconds / PROBE + 1;
      },
      { within: PATIENCE, every: 1, what: "an open circuit" },
    );
    const { came, seconds } = await during(door, () => sleep(6_000));
    assert.ok(came >= 1, "somebody asks");
    assert.ok(came <= seconds / PROBE + 1, `${came} probes in ${seconds} s`);

    const revived = door.requests.length;
    door.answer(200);
    const first = await until(() => door.requests.slice(revived).find(({ status }) => status === 200), {
      within: PATIENCE,
      every: 1,
      what: "the first success",
    });
    assert.ok(first.number - door.requests[revived].number <= 1, "one probe found that it is back");
    await assertDelivered(door);
    assert.ok(busiest(door.requests.slice(revived), 100) < DEVICES.length / 2, "not all at once");
    await publish(client, { event, coreid: DEVICES[0], data: "4" });
    await door.have(1, (request) => formOf(request).data === "4");
    assert.deepEqual(await integrations.attempts(id, "status=parked"), []);
  });
});

/** The most requests in any span of so many milliseconds. */
function busiest(requests, span) {
  let from = 0;
  return Math.max(
    ...requests.map(({ at }, index) => {
      while (requests[from].at < at - span) from += 1;
      return index - from + 1;
    }),
  );
}
