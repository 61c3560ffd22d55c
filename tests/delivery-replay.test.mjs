// What was delivered, parked or skipped can be delivered again: one event, a span of time, or all that is parked.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertProblem, numbers, until } from "./support/client.mjs";
import {
  WITHIN,
  datasOf,
  idsOf,
  publish,
  publishInTurn,
  startDelivering,
  unique,
} from "./support/integrations.mjs";
import { formOf, held } from "./support/service.mjs";

/** Deliveries a second that a replay begins. */
const RATE = 5;

let client, service, integrations, stop;
before(
  async () =>
    ({ client, service, integrations, stop } = await startDelivering({
      vars: { REPLAY_RATE: String(RATE) },
    })),
);
after(() => stop());

async function integration() {
  const event = unique("replay");
  const door = service.door(`/${event}`);
  const id = await integrations.create({ event, url: door.url });
  return { id, door, event, coreid: `device-${event}` };
}

const replayed = ({ headers }) => headers["fieldhook-replayed"] === "true";
const anyTime = { from: "2000-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z" };

/** Asks how many there would be, and that asking sends nothing. */
async function estimate(id, which) {
  const answer = await integrations.replay(id, { ...which, estimate: true });
  assert.equal(answer.status, 200, answer.text);
  const counts = Object.values(answer.body).filter((value) => typeof value === "number");
  assert.equal(counts.length, 1, `one number: ${answer.text}`);
  return counts[0];
}

async function replay(id, which) {
  const answer = await integrations.replay(id, which);
  assert.equal(answer.status, 202, answer.text);
  return answer.body;
}

test("one event by its id: again, marked, with the webhook-id it had", async () => {
  const { id, door, ...event } = await integration();
  await publish(client, { ...event, data: "1" });
  const { event_id } = await publish(client, { ...event, data: "2" });
  await publish(client, { ...event, data: "3" });
  const first = await door.have(3);
  assert.ok(!first.some(replayed));
  assert.equal(await estimate(id, { id: event_id }), 1);
  await replay(id, { id: event_id });
  const [again] = await door.have(1, replayed);
  assert.equal(formOf(again).data, "2");
  assert.equal(idsOf([again])[0], idsOf(first)[1]);
  assert.equal(door.requests.length, 4);
});

test("a span of time: each event of it, in order per device, and no other", async () => {
  const { id, door, event } = await integration();
  const devices = ["span-1", "span-2"].map((name) => `${name}-${event}`);
  await publish(client, { event, coreid: devices[0], data: "too early" });
  await door.have(1);
  const instant = async () => {
    const now = (await client.newest(devices[0])).received_at;
    await until(() => Date.now() > Date.parse(now) + 5, { what: "the next instant" });
    return new Date().toISOString();
  };
  const from = await instant();
  await Promise.all(devices.map((coreid) => publishInTurn(client, [1, 2, 3], { event, coreid })));
  const to = await instant();
  await until(() => Date.now() > Date.parse(to) + 5, { what: "the next instant" });
  await publish(client, { event, coreid: devices[0], data: "too late" });
  await door.have(8);
  assert.equal(await estimate(id, { from, to }), 6);
  await replay(id, { from, to });
  const again = await door.have(6, replayed);
  for (const coreid of devices)
    assert.deepEqual(datasOf(again.filter((request) => formOf(request).coreid === coreid)), ["1", "2", "3"]);
  await publish(client, { event, coreid: devices[0], data: "live" });
  await door.have(1, (request) => formOf(request).data === "live");
  assert.equal(door.requests.filter(replayed).length, 6);
});

test("one device's only", async () => {
  const { id, door, event } = await integration();
  for (const coreid of ["only-1", "only-2"]) await publishInTurn(client, [1, 2], { event, coreid });
  await door.have(4);
  const which = { ...anyTime, device: "only-2" };
  assert.equal(await estimate(id, which), 2);
  await replay(id, which);
  const again = await door.have(2, replayed);
  assert.deepEqual(
    again.map((request) => [formOf(request).coreid, formOf(request).data]),
    [
      ["only-2", "1"],
      ["only-2", "2"],
    ],
  );
});

test("what is parked; once it is delivered it is parked no more", async () => {
  const { id, door, ...event } = await integration();
  door.script(400, 200, 404, 400);
  await publishInTurn(client, ["a", "b", "c", "d", "e"], event);
  await door.have(5);
  await integrations.haveAttempts(id, 3, ({ status }) => status === "parked");
  assert.equal(await estimate(id, { status: "parked" }), 3);
  door.script(200, 400);
  await replay(id, { status: "parked" });
  const again = await door.have(3, replayed);
  assert.deepEqual(datasOf(again), ["a", "c", "d"]);
  await until(async () => (await estimate(id, { status: "parked" })) === 1, {
    within: WITHIN,
    every: 100,
    what: "one that is parked",
  });
  await replay(id, { status: "parked" });
  assert.deepEqual(datasOf(await door.have(4, replayed)).at(-1), "c");
});

test("a replayed delivery that fails is tried again, and parked when it is given up", async () => {
  const { id, door, ...event } = await integration();
  const { event_id } = await publish(client, event);
  await door.have(1);
  door.script(500, 503, 404);
  await replay(id, { id: event_id });
  await door.have(3, replayed);
  const parked = await integrations.haveAttempts(id, 1, ({ status }) => status === "parked");
  assert.deepEqual([parked[0].http_status, parked[0].replayed], [404, true]);
});

test("live deliveries go on beside a replay, and a replay beside one that hangs", async () => {
  const { id, door, ...event } = await integration();
  await publishInTurn(client, numbers(1, 5), event);
  await door.have(5);
  const gate = held();
  door.script(gate.answer);
  await replay(id, anyTime);
  await door.have(1, replayed);
  await publish(client, { ...event, data: "live" });
  await door.have(1, (request) => formOf(request).data === "live");
  gate.release();
  await door.have(5, replayed);
});

test(`begins at most ${RATE} deliveries a second`, async () => {
  const { id, door, event } = await integration();
  const devices = numbers(1, 4).map((n) => `${event}${n}`);
  await Promise.all(devices.map((coreid) => publishInTurn(client, numbers(1, 5), { event, coreid })));
  await door.have(20);
  const began = Date.now();
  await replay(id, anyTime);
  const last = (await door.have(20, replayed)).at(-1);
  // Twenty at five a second; the first second's may all be at its beginning.
  assert.ok(last.at - began >= 1_000 * (20 / RATE - 2), `done after ${last.at - began} ms`);
});

describe("a replay that cannot be", () => {
  test("of nothing", async () => {
    const { id } = await integration();
    for (const which of [{ id: "no-such-event" }, { status: "parked" }, anyTime])
      assertProblem(await integrations.replay(id, which), 404, { code: "nothing-to-replay" });
  });

  test("of an integration that is not there", async () => {
    assertProblem(await integrations.replay("0123456789abcdef01234567", anyTime), 404, {
      code: "unknown-integration",
    });
  });

  test("that says nothing, too much, or nonsense", async () => {
    const { id } = await integration();
    for (const which of [
      {},
      { status: "lost" },
      { from: "yesterday" },
      { id: 7 },
      [],
      "all",
      { ...anyTime, id: "x" },
    ])
      assertProblem(await integrations.replay(id, which), 400);
  });
});
