// An integration's place in a device's log: what becomes of it when the definition changes.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { datasOf, publish, publishInTurn, startDelivering, unique } from "./support/integrations.mjs";
import { held } from "./support/service.mjs";

/** Long enough for what must not come to come. */
const QUIET = 1_000;

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

test("what a definition that answers devices is asked to deliver again is refused", () =>
  delivering({}, async ({ client, integrations, service }) => {
    const event = unique("asked");
    const id = await integrations.create({ event, url: service.url, respond: true });
    await publish(client, { event, data: "1" });
    const answer = await integrations.replay(id, { from: "2020-01-01T00:00:00Z" });
    assert.deepEqual([answer.status, answer.body.code], [404, "nothing-to-replay"], answer.text);
  }));
