// What a Standard Webhooks signature proves beside the body: its id and its time.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, test } from "node:test";
import {
  accepted,
  eventOf,
  eventsOf,
  isDuplicate,
  newDevice,
  newId,
  refused,
  send,
  standardHeaders,
} from "./support/send.mjs";
import { OTHER_WHSEC, SECRETS, eventText, signedBy } from "./support/signed.mjs";
import { WHSEC, startWorker } from "./support/worker.mjs";

const worker = await startWorker({ vars: { HMAC_SECRETS: SECRETS } });
after(() => worker.stop());

test("each of several whsec_ secrets opens, and no other", async () => {
  for (const secret of [WHSEC, OTHER_WHSEC]) {
    const body = eventText();
    await accepted(worker, signedBy(standardHeaders(body, { secret }), body));
  }
  const body = eventText();
  const unknown = `whsec_${Buffer.from("not one of those configured").toString("base64")}`;
  await refused(worker, 401, signedBy(standardHeaders(body, { secret: unknown }), body));
});

test("one valid signature among several is enough", async () => {
  const body = eventText();
  const headers = standardHeaders(body);
  const wrong = `v1,${Buffer.alloc(32).toString("base64")}`;
  headers["webhook-signature"] = `v1a,abc ${wrong} ${headers["webhook-signature"]}`;
  await accepted(worker, signedBy(headers, body));
});

for (const [what, change] of [
  ["without its version", (signature) => signature.replace("v1,", "")],
  ["of another version", (signature) => signature.replace("v1,", "v2,")],
  ["that is cut", (signature) => signature.slice(0, -8)],
  ["that is empty", () => "v1,"],
  ["that is not base64", () => "v1,%%%"],
]) {
  test(`a webhook-signature ${what} is refused`, async () => {
    const body = eventText();
    const headers = standardHeaders(body);
    headers["webhook-signature"] = change(headers["webhook-signature"]);
    await refused(worker, 401, signedBy(headers, body));
  });
}

test("a changed webhook-id or webhook-timestamp is refused", async () => {
  const body = eventText();
  const headers = standardHeaders(body);
  for (const [name, value] of [
    ["webhook-id", "other"],
    ["webhook-timestamp", String(Number(headers["webhook-timestamp"]) + 1)],
  ]) {
    const problem = await refused(worker, 401, signedBy({ ...headers, [name]: value }, body));
    assert.equal(problem.code, "bad-signature", name);
  }
});

test("id, timestamp and signature are all needed", async () => {
  for (const missing of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    const body = eventText();
    const { [missing]: _, ...headers } = standardHeaders(body);
    await refused(worker, 401, signedBy(headers, body));
  }
});

test("a timestamp may be up to 300 s away, on either side", async () => {
  for (const age of [290, -290]) {
    const body = eventText();
    await accepted(worker, signedBy(standardHeaders(body, { age }), body));
  }
  for (const age of [310, -310, 86_400]) {
    const body = eventText();
    const problem = await refused(worker, 401, signedBy(standardHeaders(body, { age }), body));
    assert.equal(problem.code, "stale-signature", `${age}`);
  }
});

test("a webhook-timestamp that is not a time is refused, though it is signed", async () => {
  const body = eventText();
  for (const timestamp of ["now", "1e9", "", "99999999999999999999", new Date().toISOString()]) {
    const id = newId();
    const key = Buffer.from(WHSEC.slice("whsec_".length), "base64");
    const digest = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
    const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${digest}` };
    await refused(worker, 401, signedBy(headers, body));
  }
});

test("the signed webhook-id is the event's id and its dedup id", async () => {
  const [device, id] = [newDevice(), newId()];
  const first = eventText({ coreid: device, data: "first" });
  const second = eventText({ coreid: device, data: "second" });
  assert.ok(!isDuplicate(await accepted(worker, signedBy(standardHeaders(first, { id }), first))));
  // Sent again later: a new timestamp and signature, the same id.
  assert.ok(isDuplicate(await accepted(worker, signedBy(standardHeaders(first, { id, age: 5 }), first))));
  assert.ok(isDuplicate(await accepted(worker, signedBy(standardHeaders(second, { id }), second))));
  const event = await eventOf(worker, device);
  assert.deepEqual([event.id, event.data], [id, "first"]);
  assert.ok(!event.derived);
});

test("one webhook-id on two devices is two events", async () => {
  const id = newId();
  for (const coreid of [newDevice(), newDevice()]) {
    const body = eventText({ coreid });
    assert.ok(!isDuplicate(await accepted(worker, signedBy(standardHeaders(body, { id }), body))));
  }
});

test("a signed webhook-id needs no id in the body, and no time", async () => {
  const [device, id] = [newDevice(), newId()];
  const body = JSON.stringify({ event: "temp", data: "1", coreid: device });
  for (const repeat of [false, true]) {
    const answer = await accepted(worker, signedBy(standardHeaders(body, { id }), body));
    assert.equal(isDuplicate(answer), repeat);
  }
});

test("a webhook-id that is not signed is no id", async () => {
  const device = newDevice();
  const body = eventText({ coreid: device, event_id: "own" });
  await accepted(worker, { json: body, headers: { "webhook-id": "evil" } });
  await accepted(worker, { json: eventText({ coreid: device }), headers: { "webhook-id": "evil" } });
  assert.deepEqual(
    (await eventsOf(worker, device)).map((event) => event.id === "evil"),
    [false, false],
  );
});

test("with a token, a wrong signature proves no id", async () => {
  const device = newDevice();
  const body = eventText({ coreid: device, event_id: "own" });
  await accepted(worker, { json: body, headers: standardHeaders("another body", { id: "evil" }) });
  assert.equal((await eventOf(worker, device)).id, "own");
});

// In batches.

test("in a signed batch the webhook-id counts as <id>/<index>", async () => {
  const [device, id] = [newDevice(), newId()];
  const items = ["a", "b"].map((data) => ({ event: "temp", data, coreid: device, event_id: "same" }));
  const body = JSON.stringify(items);
  const first = await send(worker, signedBy(standardHeaders(body, { id }), body));
  assert.deepEqual(await first.json(), { accepted: 2, duplicates: 0, refused: [] });
  assert.deepEqual(
    (await eventsOf(worker, device)).map((event) => event.id),
    [`${id}/0`, `${id}/1`],
  );
  const again = await send(worker, signedBy(standardHeaders(body, { id, age: 5 }), body));
  assert.deepEqual(await again.json(), { accepted: 0, duplicates: 2, refused: [] });
});

test("a refused item keeps its place in the count of a signed batch", async () => {
  const [device, id] = [newDevice(), newId()];
  const body = JSON.stringify([{ no: "event" }, { event: "temp", coreid: device }]);
  await (await send(worker, signedBy(standardHeaders(body, { id }), body))).text();
  assert.equal((await eventOf(worker, device)).id, `${id}/1`);
});

test("signed JSON Lines are a batch, and a broken line is refused by itself", async () => {
  const [device, id] = [newDevice(), newId()];
  const body = `${eventText({ coreid: device })}\n{broken\n${eventText({ coreid: device })}\n`;
  const headers = { ...standardHeaders(body, { id }), "content-type": "application/x-ndjson" };
  const response = await send(worker, { body, token: null, headers });
  const answer = await response.json();
  assert.deepEqual([response.status, answer.accepted], [200, 2], JSON.stringify(answer));
  assert.deepEqual(
    answer.refused.map(({ index }) => index),
    [1],
  );
});
