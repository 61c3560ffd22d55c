// A replay of a fleet in which one device's object is out of order.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "./support/client.mjs";
import { WITHIN, publish, startDelivering, unique } from "./support/integrations.mjs";
import { formOf } from "./support/service.mjs";
import { fileURLToPath } from "node:url";

const entry = fileURLToPath(new URL("support/breaking.mjs", import.meta.url));

let worker, client, service, integrations, stop;
before(async () => ({ worker, client, service, integrations, stop } = await startDelivering({ entry })));
after(() => stop());

const breaks = (text) => worker.fetch("/__break", { method: "PUT", body: text });
const replayed = ({ headers }) => headers["fieldhook-replayed"] === "true";
const deviceOf = (request) => formOf(request).coreid;

test("the others get theirs, and it gets its own when it is well again", async () => {
  const event = unique("aside");
  const door = service.door(`/${event}`);
  const id = await integrations.create({ event, url: door.url });
  const devices = ["a", "b", "c"].map((name) => `${event}${name}`);
  for (const coreid of devices) await publish(client, { event, coreid });
  await door.have(3);
  await breaks(`object:${devices[0]}`);
  const started = await integrations.replay(id, { from: "2000-01-01T00:00:00Z" });
  assert.equal(started.status, 202, started.text);
  assert.deepEqual((await door.have(2, replayed)).map(deviceOf), devices.slice(1));

  await breaks("");
  assert.deepEqual((await door.have(3, replayed)).map(deviceOf).at(-1), devices[0]);
  const ended = async () => {
    const { body } = await client.read("GET", `/v1/integrations/${id}/replays`);
    const [job] = body.replays;
    return job.ended_at && job;
  };
  const job = await until(ended, { within: WITHIN, every: 100, what: "the end of the replay" });
  assert.deepEqual([job.queued, job.passed_over], [3, 0]);
});
