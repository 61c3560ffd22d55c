// The requests of Particle's own documentation, byte for byte, as its cloud sends them.
// https://github.com/particle-iot/docs, src/content/reference/cloud-apis/webhooks.md

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  PARTICLE_AGENT,
  accepted,
  bearer,
  eventOf,
  eventsOf,
  historyText,
  isDuplicate,
  newDevice,
  newSource,
  quarantineOf,
} from "./support/send.mjs";
import { TOKEN, rawRequest, startWorker } from "./support/worker.mjs";

const worker = await startWorker();
after(() => worker.stop());

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const JSON_REQUEST = { "content-type": "application/json", accept: "application/json" };
const COORDINATES = '{ "coordinates": { "lat": 39.739155, "lng": -104.984703 } }';

/** Sends as Particle does, over a socket, so that nothing is added to the request or taken from it. */
const sendAsParticle = (path, { method = "POST", headers = {}, body } = {}) =>
  rawRequest(worker.url + path, {
    method,
    headers: { "user-agent": PARTICLE_AGENT, ...bearer(TOKEN), ...headers },
    body,
  });

/** What a user adds to a webhook's headers where the body holds no defaults. */
const named = (event, device) => ({ "x-particle-event-name": event, "x-particle-device-id": device });

test("a webhook with event and URL only", async () => {
  const body =
    "event=demo&data=mydata&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=3f002b000000000000000000";
  assert.equal(Buffer.byteLength(body), 96);
  const answer = await sendAsParticle("/hook", { headers: FORM, body });
  assert.deepEqual([answer.status, answer.body.length], [204, 0]);
  const { id, received_at, ...event } = await eventOf(worker, "3f002b000000000000000000");
  assert.deepEqual(event, {
    seq: 1,
    event: "demo",
    data: "mydata",
    coreid: "3f002b000000000000000000",
    published_at: "2017-02-01T21:08:05.763Z",
    source: "default",
    derived: true,
  });
});

test("the same webhook sent again by Particle is counted once", async () => {
  const device = newDevice();
  const body = `event=demo&data=mydata&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=${device}`;
  const [first, again] = [
    await sendAsParticle("/hook", { headers: FORM, body }),
    await sendAsParticle("/hook", { headers: FORM, body }),
  ];
  assert.deepEqual([first.status, again.status], [204, 204]);
  assert.equal(again.headers.get("fieldhook-duplicate"), "true");
  assert.equal((await eventsOf(worker, device)).length, 1);
});

test("a json template without defaults, named by headers", async () => {
  const device = newDevice();
  const body = '{"Temperature/Kitchen":"20.00"}';
  assert.equal(Buffer.byteLength(body), 31);
  const headers = { ...JSON_REQUEST, ...named("Temperature/Kitchen", device) };
  assert.equal((await sendAsParticle("/hook", { headers, body })).status, 204);
  const event = await eventOf(worker, device);
  assert.equal(event.event, "Temperature/Kitchen");
  assert.deepEqual(event.extra, { "Temperature/Kitchen": "20.00" });
});

test("a body template without defaults, named by headers", async () => {
  const device = newDevice();
  assert.equal(Buffer.byteLength(COORDINATES), 59);
  const headers = { "content-type": "application/json", ...named("Elevation", device) };
  assert.equal((await sendAsParticle("/hook", { headers, body: COORDINATES })).status, 204);
  const event = await eventOf(worker, device);
  assert.equal(event.event, "Elevation");
  assert.deepEqual(event.extra, { coordinates: { lat: 39.739155, lng: -104.984703 } });
});

test("the same body sent as text is the data, and is read back parsed", async () => {
  const device = newDevice();
  const headers = { "content-type": "text/plain", ...named("Elevation", device) };
  assert.equal((await sendAsParticle("/hook", { headers, body: COORDINATES })).status, 204);
  assert.ok((await historyText(worker, device)).includes(`"data":${COORDINATES}`));
});

test("a GET with its fields in the query, commas encoded", async () => {
  const device = newDevice();
  const path = `/hook?event=Elevation&coreid=${device}&locations=39.739155%2C-104.984703`;
  assert.equal((await sendAsParticle(path, { method: "GET" })).status, 204);
  const event = await eventOf(worker, device);
  assert.deepEqual([event.event, event.data], ["Elevation", ""]);
  assert.deepEqual(event.extra, { locations: "39.739155,-104.984703" });
});

for (const [what, request] of [
  ["the json template", { headers: JSON_REQUEST, body: '{"Temperature/Kitchen":"20.00"}' }],
  ["the body template", { headers: { "content-type": "application/json" }, body: COORDINATES }],
  ["the GET", { method: "GET", query: "?locations=39.739155%2C-104.984703" }],
]) {
  test(`${what} without defaults and without a name is no event: Particle hears 202 and it is kept`, async () => {
    const source = newSource();
    const answer = await sendAsParticle(`/hook/${source}${request.query ?? ""}`, request);
    assert.deepEqual([answer.status, answer.body.length], [202, 0]);
    const [entry] = await quarantineOf(worker, source);
    assert.deepEqual([entry.field, entry.body], ["event", request.body ?? ""]);
    assert.equal((await eventsOf(worker, `source:${source}`)).length, 0);
  });
}

test("a product's webhook with all that is seen in one", async () => {
  const device = newDevice();
  const fields = {
    event: "temp",
    data: '{"t":21.10}',
    published_at: "2026-01-31T12:00:00.000Z",
    coreid: device,
    ttl: "60",
    userid: "5a7d7e9b1234567890abcdef",
    fw_version: "3",
    public: "false",
    productID: "12345",
  };
  await accepted(worker, {
    json: fields,
    headers: { "user-agent": PARTICLE_AGENT, accept: "application/json" },
  });
  const event = await eventOf(worker, device);
  assert.deepEqual(
    [event.product_id, event.fw_version, event.userid],
    ["12345", "3", "5a7d7e9b1234567890abcdef"],
  );
  assert.deepEqual(event.extra, { ttl: "60", public: "false" });
  assert.ok((await historyText(worker, device)).includes('"data":{"t":21.10}'));
});

test("CBOR data arrives as JSON with its buffers, and is kept as it came", async () => {
  const device = newDevice();
  const data = '{"a":1,"b":{"_type":"buffer","_data":"AAEC/w=="}}';
  const body = `{"event":"cbor","data":${data},"coreid":"${device}"}`;
  assert.equal((await sendAsParticle("/hook", { headers: JSON_REQUEST, body })).status, 204);
  assert.ok((await historyText(worker, device)).includes(`"data":${data}`));
});

test("the largest data that a device can publish is kept whole", async () => {
  const device = newDevice();
  const data = "x".repeat(16_384);
  const answer = await accepted(worker, { form: { event: "large", data, coreid: device } });
  assert.ok(!isDuplicate(answer));
  assert.equal((await eventOf(worker, device)).data, data);
});
