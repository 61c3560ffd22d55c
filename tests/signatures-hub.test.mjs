// What a hub signature leaves open: whose event it is, and when it was signed.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  PARTICLE_AGENT,
  accepted,
  eventsOf,
  hubHeaders,
  isDuplicate,
  newDevice,
  newId,
  newSource,
  quarantineOf,
  refused,
  send,
  standardHeaders,
} from "./support/send.mjs";
import { OTHER_HUB_SECRET, SECRETS, eventText, secondsAgo, signedBy } from "./support/signed.mjs";
import { HUB_SECRET, WHSEC, startWorker } from "./support/worker.mjs";

const [worker, shortWindow] = await Promise.all([
  startWorker({ vars: { HMAC_SECRETS: SECRETS } }),
  startWorker({ vars: { INGEST_TOKENS: undefined, DEDUP_WINDOW: "60" } }),
]);
after(() => Promise.all([worker.stop(), shortWindow.stop()]));

test("each of several hub secrets opens, and no other", async () => {
  for (const secret of [HUB_SECRET, OTHER_HUB_SECRET]) {
    const body = eventText();
    await accepted(worker, signedBy(hubHeaders(body, secret), body));
  }
  const body = eventText();
  await refused(worker, 401, signedBy(hubHeaders(body, "not one of those configured"), body));
});

for (const [what, change] of [
  ["without sha256=", (signature) => signature.replace("sha256=", "")],
  ["of sha1", (signature) => signature.replace("sha256=", "sha1=")],
  ["that is cut", (signature) => signature.slice(0, -2)],
  ["that is empty", () => "sha256="],
  ["in base64", (signature) => `sha256=${Buffer.from(signature.slice(7), "hex").toString("base64")}`],
]) {
  test(`an x-hub-signature-256 ${what} is refused`, async () => {
    const body = eventText();
    const headers = { "x-hub-signature-256": change(hubHeaders(body)["x-hub-signature-256"]) };
    await refused(worker, 401, signedBy(headers, body));
  });
}

test("each secret serves its own kind: whsec_ signs no hub, and no other signs Standard Webhooks", async () => {
  const body = eventText();
  const asBytes = Buffer.from(WHSEC.slice("whsec_".length), "base64");
  await refused(worker, 401, signedBy(hubHeaders(body, WHSEC), body));
  await refused(worker, 401, signedBy(hubHeaders(body, asBytes), body));
  const secret = `whsec_${Buffer.from(HUB_SECRET).toString("base64")}`;
  await refused(worker, 401, signedBy(standardHeaders(body, { secret }), body));
});

test("an event proven by a hub signature alone needs an id in its body", async () => {
  for (const body of [
    eventText({ event_id: undefined }),
    eventText({ event_id: "" }),
    eventText({ event_id: null }),
  ]) {
    for (const more of [
      {},
      { query: { event_id: "evil" } },
      { headers: { "x-particle-event-id": "evil" } },
    ]) {
      const problem = await refused(worker, 401, signedBy(hubHeaders(body), body, more));
      assert.equal(problem.code, "stale-signature", body);
    }
  }
});

test("an event proven by a hub signature alone is stale outside of DEDUP_WINDOW", async () => {
  for (const age of [0, 23 * 3600, -23 * 3600]) {
    const body = eventText({ published_at: secondsAgo(age) });
    await accepted(worker, signedBy(hubHeaders(body), body));
  }
  for (const age of [25 * 3600, -25 * 3600, 3650 * 86_400]) {
    const body = eventText({ published_at: secondsAgo(age) });
    const problem = await refused(worker, 401, signedBy(hubHeaders(body), body));
    assert.equal(problem.code, "stale-signature", `${age}`);
  }
});

test("a hub-signed event sent again is a duplicate inside of DEDUP_WINDOW and stale after it", async () => {
  const device = newDevice();
  const fresh = eventText({ coreid: device, published_at: secondsAgo(10) });
  assert.ok(!isDuplicate(await accepted(shortWindow, signedBy(hubHeaders(fresh), fresh))));
  assert.ok(isDuplicate(await accepted(shortWindow, signedBy(hubHeaders(fresh), fresh))));
  const old = eventText({ coreid: device, published_at: secondsAgo(70) });
  const problem = await refused(shortWindow, 401, signedBy(hubHeaders(old), old));
  assert.equal(problem.code, "stale-signature");
  assert.equal((await eventsOf(shortWindow, device)).length, 1);
});

test("a stale event is 401 for Particle too, and is not kept", async () => {
  const source = newSource();
  const body = eventText({ published_at: secondsAgo(25 * 3600) });
  const more = { source, headers: { "user-agent": PARTICLE_AGENT } };
  await refused(worker, 401, signedBy(hubHeaders(body), body, more));
  assert.deepEqual(await quarantineOf(worker, source), []);
});

test("with a token beside it, a hub-signed event needs no id and may be old", async () => {
  const body = eventText({ event_id: undefined, published_at: secondsAgo(25 * 3600) });
  await accepted(worker, { json: body, headers: hubHeaders(body) });
});

test("a Standard Webhooks signature beside the hub's lifts the hub's rules", async () => {
  const body = eventText({ event_id: undefined, published_at: secondsAgo(25 * 3600) });
  await accepted(worker, signedBy({ ...standardHeaders(body), ...hubHeaders(body) }, body));
});

// In batches.

test("in a batch proven by a hub signature alone each item needs an id and a time near enough", async () => {
  const device = newDevice();
  const body = JSON.stringify([
    { event: "temp", coreid: device, event_id: newId() },
    { event: "temp", coreid: device },
    { event: "temp", coreid: device, event_id: newId(), published_at: secondsAgo(25 * 3600) },
  ]);
  const answer = await (await send(worker, signedBy(hubHeaders(body), body))).json();
  assert.equal(answer.accepted, 1);
  assert.deepEqual(
    answer.refused.map(({ index, code }) => [index, code]),
    [
      [1, "stale-signature"],
      [2, "stale-signature"],
    ],
  );
});

test("a batch of which every item is stale is not called accepted, not to Particle either", async () => {
  const source = newSource();
  const body = JSON.stringify([{ event: "temp", coreid: newDevice() }]);
  const headers = { ...hubHeaders(body), "user-agent": PARTICLE_AGENT };
  const response = await send(worker, signedBy(headers, body, { source }));
  assert.ok([400, 401].includes(response.status), `${response.status}`);
  assert.deepEqual(await quarantineOf(worker, source), []);
});
