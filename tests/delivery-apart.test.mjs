// What fails holds up nothing else: not another device, not another integration, and not the device's own reply.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { anEvent, numbers } from "./support/client.mjs";
import {
  datasOf,
  onceEach,
  publish,
  publishInTurn,
  startDelivering,
  unique,
} from "./support/integrations.mjs";
import { formOf, hang, held, reply, reset } from "./support/service.mjs";

let client, service, integrations, stop;
// Long waits between attempts, so that what fails still fails while the others are looked at.
before(
  async () =>
    ({ client, service, integrations, stop } = await startDelivering({
      vars: { RETRY_SCHEDULE: "0.5,1,5,600,600", DELIVERY_TIMEOUT: "20" },
    })),
);
after(() => stop());

const DATAS = numbers(1, 10).map(String);
const of = (device) => (request) => formOf(request).coreid === device;

test("two devices: one's event hangs, the other's go through", async () => {
  const event = unique("apart");
  const gate = held();
  const door = service.door(`/${event}`);
  door.answer((request, response) => (of("stuck")(request) ? gate.answer : reply(200))(request, response));
  await integrations.create({ event, url: door.url });
  await publishInTurn(client, DATAS, { event, coreid: "stuck" });
  await publishInTurn(client, DATAS, { event, coreid: "free" });
  assert.deepEqual(datasOf(await door.have(DATAS.length, of("free"))), DATAS);
  assert.deepEqual(new Set(datasOf(door.requests.filter(of("stuck")))), new Set(["1"]), "it is stuck");
  gate.release();
  await door.have(1, (request) => of("stuck")(request) && formOf(request).data === DATAS.at(-1));
  assert.deepEqual(datasOf(onceEach(door.requests.filter(of("stuck")))), DATAS);
});

for (const [what, answer] of [
  ["hangs", hang],
  ["resets", reset],
  ["answers 500", reply(500)],
  ["answers 429 for an hour", reply(429, "", { "retry-after": "3600" })],
]) {
  test(`two integrations of one device: one's service ${what}, the other gets everything`, async () => {
    const event = unique("apart");
    const [bad, good] = ["bad", "good"].map((name) => service.door(`/${event}${name}`));
    bad.answer(answer);
    for (const door of [bad, good]) await integrations.create({ event, url: door.url });
    await publishInTurn(client, DATAS, { event, coreid: `device-${event}` });
    assert.deepEqual(datasOf(await good.have(DATAS.length)), DATAS);
    assert.deepEqual(new Set(datasOf(await bad.have(1))), new Set(["1"]), "the other is at its first");
  });
}

test("a device hears its reply while a delivery hangs", async () => {
  const event = unique("apart");
  const gate = held();
  const door = service.door(`/${event}`).answer(gate.answer);
  await integrations.create({ event, url: door.url });
  await client.define("/v1/sources/apart", { responseTemplate: "heard {{{PARTICLE_EVENT_VALUE}}}" });
  for (const data of ["1", "2"]) {
    const { text } = await client.accepted(anEvent({ event, data }), { to: "/hook/apart" });
    assert.equal(text, `heard ${data}`);
    await door.have(1);
  }
  assert.equal(gate.waiting(), 1);
  gate.release();
  await door.have(2);
});

test("a definition that cannot be rendered for one event parks that one only", async () => {
  const event = unique("apart");
  const door = service.door(`/${event}`);
  const headers = { "x-data": "{{{PARTICLE_EVENT_VALUE}}}" };
  const id = await integrations.create({ event, url: door.url, headers });
  await publishInTurn(client, ["1", "2\r\n3", "4"], { event });
  await door.have(1, (request) => formOf(request).data === "4");
  const parked = (await integrations.attempts(id)).filter(({ status }) => status === "parked");
  const sent = datasOf(door.requests);
  // Either it is not sent, or without what would have broken it.
  assert.ok(parked.length === 1 ? !sent.includes("2\r\n3") : sent.includes("2\r\n3"), JSON.stringify(sent));
});

test("many integrations of one event each get it once", async () => {
  const event = unique("apart");
  const doors = numbers(1, 20).map((n) => service.door(`/${event}${n}`));
  for (const door of doors) await integrations.create({ event, url: door.url });
  await publish(client, { event, data: "first" });
  await publish(client, { event, data: "second" });
  for (const door of doors) assert.deepEqual(datasOf(await door.have(2)), ["first", "second"]);
});
