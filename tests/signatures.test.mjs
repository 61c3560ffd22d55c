// What a signature of either kind proves: the body it covers. Nothing else.

import assert from "node:assert/strict";
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
import { SECRETS, eventText, secondsAgo, signedBy } from "./support/signed.mjs";
import { TOKEN, startWorker } from "./support/worker.mjs";

const [worker, shortWindow] = await Promise.all([
  startWorker({ vars: { HMAC_SECRETS: SECRETS } }),
  startWorker({ vars: { INGEST_TOKENS: undefined, DEDUP_WINDOW: "60" } }),
]);
after(() => Promise.all([worker.stop(), shortWindow.stop()]));

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
