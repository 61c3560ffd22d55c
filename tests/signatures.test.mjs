// What a signature proves: the body it covers and, with Standard Webhooks, its id and time. Nothing else.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, test } from "node:test";
import {
  PARTICLE_AGENT,
  accepted,
  eventOf,
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
import { HUB_SECRET, TOKEN, WHSEC, startWorker } from "./support/worker.mjs";

const OTHER_WHSEC = "whsec_b3RoZXItc2lnbmluZy1zZWNyZXQtOTg3NjU0MzIx";
const OTHER_HUB_SECRET = "an other hub secret: ü-9876543210";
const SECRETS = [WHSEC, HUB_SECRET, OTHER_WHSEC, OTHER_HUB_SECRET].join(",");

const [worker, shortWindow] = await Promise.all([
  startWorker({ vars: { HMAC_SECRETS: SECRETS } }),
  startWorker({ vars: { INGEST_TOKENS: undefined, DEDUP_WINDOW: "60" } }),
]);
after(() => Promise.all([worker.stop(), shortWindow.stop()]));

const secondsAgo = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

/** The exact text of an event as a sender signs it. */
const eventText = (fields = {}) =>
  JSON.stringify({ event: "temp", data: "1", coreid: newDevice(), event_id: newId(), ...fields });

/** A request whose only proof is this signature. */
const signedBy = (headers, body, more = {}) => ({
  json: body,
  token: null,
  ...more,
  headers: { ...headers, ...more.headers },
});

const bySecret = {
  "Standard Webhooks": (body, options) => standardHeaders(body, options),
  "x-hub-signature-256": (body) => hubHeaders(body),
};

// Both kinds.

for (const [kind, sign] of Object.entries(bySecret)) {
  test(`${kind}: a signed event is accepted`, async () => {
    const device = newDevice();
    const body = eventText({ coreid: device, data: "ü 21.50" });
    await accepted(worker, signedBy(sign(body), body));
    assert.equal((await eventOf(worker, device)).data, "ü 21.50");
  });

  test(`${kind}: a PUT can be signed too`, async () => {
    const body = eventText();
    await accepted(worker, signedBy(sign(body), body, { method: "PUT" }));
  });

  test(`${kind}: a changed body is refused and leaves nothing`, async () => {
    const device = newDevice();
    const body = eventText({ coreid: device });
    for (const changed of [body.replace('"1"', '"2"'), `${body} `, body.slice(0, -1)]) {
      assert.equal((await refused(worker, 401, signedBy(sign(body), changed))).code, "bad-signature");
    }
    assert.deepEqual(await eventsOf(worker, device), []);
  });

  test(`${kind}: a body of another form can be signed`, async () => {
    const device = newDevice();
    const form = new URLSearchParams({
      event: "temp",
      data: "a b",
      coreid: device,
      event_id: newId(),
    }).toString();
    const headers = { ...sign(form), "content-type": "application/x-www-form-urlencoded" };
    await accepted(worker, { body: form, token: null, headers });
    assert.equal((await eventOf(worker, device)).data, "a b");
  });

  /** The event that was sent to this source without a device. The path is not signed: it names no device. */
  async function undirected(source) {
    assert.deepEqual(await eventsOf(worker, `source:${source}`), []);
    return (await eventsOf(worker, "source:default")).find((event) => event.source === source);
  }

  test(`${kind}: the query gives no field to a signed event`, async () => {
    const [source, evil] = [newSource(), newDevice()];
    const body = JSON.stringify({ event: "temp", event_id: newId() });
    const query = {
      coreid: evil,
      data: "evil",
      published_at: secondsAgo(10),
      productID: "evil",
      more: "evil",
    };
    await accepted(worker, signedBy(sign(body), body, { source, query }));
    const event = await undirected(source);
    assert.equal(event.data, "");
    assert.ok(!JSON.stringify(event).includes("evil"), JSON.stringify(event));
    assert.deepEqual(await eventsOf(worker, evil), []);
  });

  test(`${kind}: unsigned headers give no field to a signed event`, async () => {
    const [source, evil, event_id] = [newSource(), newDevice(), newId()];
    const body = JSON.stringify({ event: "temp", event_id });
    const headers = {
      "x-particle-device-id": evil,
      "x-particle-event-id": "evil",
      "x-particle-product-id": "evil",
      "x-particle-published-at": "2017-02-01T21:08:05.763Z",
    };
    await accepted(worker, signedBy(sign(body), body, { source, headers }));
    const event = await undirected(source);
    assert.equal(event.published_at, event.received_at);
    assert.ok(!JSON.stringify(event).includes("evil"), JSON.stringify(event));
    assert.deepEqual(await eventsOf(worker, evil), []);
  });

  test(`${kind}: a name that stands only in query or header does not name a signed event`, async () => {
    const body = JSON.stringify({ data: "1", coreid: newDevice(), event_id: newId() });
    const more = { query: { event: "evil" }, headers: { "x-particle-event-name": "evil" } };
    assert.equal((await refused(worker, 400, signedBy(sign(body), body, more))).field, "event");
  });

  test(`${kind}: a changed id in query or header makes no second event`, async () => {
    const device = newDevice();
    const body = eventText({ coreid: device });
    const signature = sign(body);
    await accepted(worker, signedBy(signature, body));
    for (const more of [
      { query: { event_id: "evil" } },
      { query: { id: "evil", coreid: "evil" } },
      { headers: { "x-particle-event-id": "evil" } },
      { headers: { "x-particle-device-id": "evil" } },
      { source: newSource() },
    ]) {
      const again = await accepted(worker, signedBy(signature, body, more));
      assert.ok(isDuplicate(again), JSON.stringify(more));
    }
    assert.equal((await eventsOf(worker, device)).length, 1);
  });

  for (const type of ["application/x-www-form-urlencoded", "application/x-ndjson", "text/plain", undefined]) {
    test(`${kind}: the Content-Type ${type} makes no other event of signed JSON`, async () => {
      const [device, evil] = [newDevice(), newDevice()];
      // Read as a form, this would be an event of another device.
      const body = eventText({ coreid: device, data: `&event=evil&coreid=${evil}&event_id=evil&data=` });
      const signature = sign(body);
      await accepted(worker, signedBy(signature, body));
      const headers = type === undefined ? signature : { ...signature, "content-type": type };
      await (await send(worker, { body, token: null, headers })).text();
      assert.equal((await eventsOf(worker, device)).length, 1);
      assert.deepEqual(await eventsOf(worker, evil), []);
    });
  }

  for (const method of ["GET", "DELETE"]) {
    test(`${kind}: a ${method} is proven by no signature`, async () => {
      const device = newDevice();
      const query = { event: "temp", coreid: device, event_id: newId() };
      await refused(worker, 401, { method, query, token: null, headers: sign("") });
      if (method === "DELETE") {
        const body = eventText({ coreid: device });
        await refused(worker, 401, signedBy(sign(body), body, { method }));
      }
      assert.deepEqual(await eventsOf(worker, device), []);
    });
  }

  for (const method of ["POST", "PUT"]) {
    test(`${kind}: an empty ${method} body is proven by no signature`, async () => {
      const query = { event: "temp", coreid: newDevice(), event_id: newId() };
      await refused(worker, 401, { method, body: "", query, token: null, headers: sign("") });
    });
  }

  test(`${kind}: with a token beside it, query and headers give fields again`, async () => {
    const device = newDevice();
    const body = JSON.stringify({ data: "1" });
    await accepted(worker, {
      json: body,
      query: { event: "temp" },
      headers: { ...sign(body), "x-particle-device-id": device },
    });
    assert.equal((await eventOf(worker, device)).event, "temp");
  });

  test(`${kind}: a wrong signature is 401 for Particle too, and is not kept`, async () => {
    const source = newSource();
    const body = JSON.stringify({ no: "event" });
    const headers = { ...sign(body), "user-agent": PARTICLE_AGENT };
    await refused(worker, 401, signedBy(headers, `${body} `, { source }));
    assert.deepEqual(await quarantineOf(worker, source), []);
  });
}

// Standard Webhooks.

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

// x-hub-signature-256.

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

test("one valid signature of two is enough", async () => {
  const body = eventText();
  await accepted(worker, signedBy({ ...standardHeaders("other"), ...hubHeaders(body) }, body));
  const second = eventText();
  await accepted(worker, signedBy({ ...standardHeaders(second), ...hubHeaders("other") }, second));
});

test("a wrong token beside a valid signature does no harm", async () => {
  const body = eventText();
  await accepted(worker, { json: body, token: "wrong-token-0123456789", headers: standardHeaders(body) });
});

test("a deployment without tokens is opened by signatures only", async () => {
  const body = eventText({ published_at: secondsAgo(1) });
  await accepted(shortWindow, signedBy(standardHeaders(body), body));
  await refused(shortWindow, 401, { json: eventText(), token: TOKEN });
});

// Batches.

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
