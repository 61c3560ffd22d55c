// What retention has removed is said, never passed over in silence: a notice with the oldest place there is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { anEvent, clientOf } from "./support/client.mjs";
import { kept, openLines, openSse } from "./support/sse.mjs";
import { READ, startWorker } from "./support/worker.mjs";

/** Days: a little over two seconds. */
const RETENTION_DAYS = "0.000025";

test("a cursor older than what is kept: a gap notice, then everything that is kept", async () => {
  const worker = await startWorker({ vars: { RETENTION_DAYS } });
  const client = clientOf(worker);
  await client.accepted([1, 2, 3].map(() => anEvent({ event: "old", coreid: "d-gap" })));
  const live = await openSse(worker);
  await client.accepted(anEvent({ event: "old", coreid: "d-gap" }));
  const [{ id }] = await live.have(1, kept);
  await live.close();

  // Until retention has come by.
  let stream;
  for (let tries = 0; tries < 60; tries++) {
    await client.accepted(anEvent({ event: "new", coreid: "d-gap" }));
    stream = await openSse(worker, "/v1/events", { lastEventId: id });
    await stream.have(1);
    if (stream.items[0].name === "gap") break;
    await stream.close();
    await sleep(500);
  }
  const [gap] = stream.items;
  assert.equal(gap.name, "gap");
  assert.deepEqual(gap.data, { oldest: gap.id });
  const rest = (await stream.have(1, kept)).map(({ data }) => data.seq);
  assert.ok(rest[0] > 4 + 1, "something was lost, or there would be no notice");
  await stream.close();

  const from = await openSse(worker, "/v1/events", { lastEventId: gap.id });
  const events = await from.have(1, kept);
  assert.ok(events[0].data.seq >= rest[0], "the oldest place leads to what is kept");
  await from.close();

  const lines = await openLines(worker, `/v1/events?after=${id}`);
  const [notice] = await lines.have(1);
  assert.equal(notice.notice, "gap");
  assert.match(notice.oldest, /^[A-Za-z0-9_-]+$/);
  await lines.close();

  const headers = { authorization: `Bearer ${READ}`, accept: "application/json" };
  const page = await (await worker.fetch(`/v1/events?after=${id}`, { headers })).json();
  assert.match(page.gap.oldest, /^[A-Za-z0-9_-]+$/);
  await worker.stop();
});
