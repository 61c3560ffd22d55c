// What a definition says is what a service gets: every property, on the wire.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent } from "./support/client.mjs";
import { publish, startDelivering, unique } from "./support/integrations.mjs";
import { formOf, jsonOf } from "./support/service.mjs";

const DEVICE = "3f002b000000000000000000";
const AT = "2017-02-01T21:08:05.763Z";
const FORM = /^application\/x-www-form-urlencoded/;
const JSON_TYPE = /^application\/json/;

let client, service, integrations, stop;
before(async () => ({ client, service, integrations, stop } = await startDelivering()));
after(() => stop());

/** Delivers one event by one definition; answers the request that came, and checks that no other did. */
async function deliver(definition, event = {}, { under } = {}) {
  const name = event.event ?? unique("wire");
  const door = service.door(`/${unique("door")}`);
  const filled = typeof definition === "function" ? definition(door.url) : definition;
  const id = await integrations.create({ event: name, url: `${door.url}/in`, ...filled }, under);
  const fields = { event: name, coreid: DEVICE, published_at: AT, ...event };
  await publish(client, fields);
  const [request] = await door.have(1);
  await publish(client, { ...fields, data: "the next one" });
  await door.have(2);
  assert.equal(door.requests.length, 2, "one request for each event");
  await integrations.remove(id);
  return request;
}

describe("Particle's documented requests, byte for byte", () => {
  test("event and url only: a form", async () => {
    const request = await deliver({}, { event: "demo", data: "mydata" });
    assert.equal(request.method, "POST");
    assert.match(request.headers["content-type"], FORM);
    assert.equal(
      request.body,
      "event=demo&data=mydata&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=3f002b000000000000000000",
    );
  });

  test("json with a templated key, without defaults", async () => {
    const json = { "{{PARTICLE_EVENT_NAME}}": "{{{PARTICLE_EVENT_VALUE}}}" };
    const event = { event: "Temperature/Kitchen", data: "20.00" };
    const request = await deliver({ json, noDefaults: true }, event);
    assert.equal(request.body, '{"Temperature/Kitchen":"20.00"}');
    assert.match(request.headers["content-type"], JSON_TYPE);
    assert.match(request.headers.accept, /application\/json/);
  });

  const PLACE = { event: "Elevation", data: '{"lat":39.739155, "lng":-104.984703}' };

  test("a body with a content type of its own", async () => {
    const request = await deliver(
      {
        body: '{ "coordinates": { "lat": {{{lat}}}, "lng": {{{lng}}} } }',
        headers: { "Content-Type": "application/json" },
        noDefaults: true,
      },
      PLACE,
    );
    assert.equal(request.body, '{ "coordinates": { "lat": 39.739155, "lng": -104.984703 } }');
    assert.equal(request.headers["content-type"], "application/json");
  });

  test("GET with a query of its own, without defaults", async () => {
    const request = await deliver(
      { requestType: "GET", query: { locations: "{{{lat}}},{{{lng}}}" }, noDefaults: true },
      PLACE,
    );
    assert.deepEqual([request.method, request.body], ["GET", ""]);
    assert.match(request.target, /\?locations=39\.739155%2C-104\.984703$/i);
  });
});

describe("what is in the request", () => {
  const defaults = (event, data) => ({ event, data, published_at: AT, coreid: DEVICE });

  test("GET: the default fields are in the query", async () => {
    const event = unique();
    const request = await deliver({ requestType: "GET" }, { event, data: "a b&c" });
    assert.deepEqual(Object.fromEntries(request.query), defaults(event, "a b&c"));
    assert.equal(request.body, "");
  });

  for (const requestType of ["POST", "PUT", "DELETE"]) {
    test(`${requestType}: the method, and the event`, async () => {
      const request = await deliver({ requestType }, { data: "by-method" });
      assert.equal(request.method, requestType);
      assert.ok(`${request.target} ${request.body}`.includes("by-method"));
    });
  }

  test("json: its own members beside the default fields, which are strings", async () => {
    const event = unique();
    const request = await deliver(
      { json: { t: "{{{PARTICLE_EVENT_VALUE}}}", n: 7 } },
      { event, data: "21.5" },
    );
    assert.deepEqual(jsonOf(request), { ...defaults(event, "21.5"), t: "21.5", n: 7 });
  });

  test("form: its own fields beside the default ones", async () => {
    const event = unique();
    const form = { field1: "{{{PARTICLE_EVENT_VALUE}}}", "odd name": "ü&=" };
    const request = await deliver({ form }, { event, data: "21.5" });
    assert.match(request.headers["content-type"], FORM);
    assert.deepEqual(formOf(request), { ...defaults(event, "21.5"), field1: "21.5", "odd name": "ü&=" });
  });

  test("form without defaults: nothing else", async () => {
    const request = await deliver({ form: { only: "{{{PARTICLE_DEVICE_ID}}}" }, noDefaults: true });
    assert.deepEqual(formOf(request), { only: DEVICE });
  });

  test("body: the text as it is, without a content type", async () => {
    const request = await deliver(
      { body: 'weather,device={{{PARTICLE_DEVICE_ID}}} t={{{PARTICLE_EVENT_VALUE}}}\n"é"' },
      { data: "21.5" },
    );
    assert.equal(request.body, `weather,device=${DEVICE} t=21.5\n"é"`);
    assert.equal(request.headers["content-type"], undefined);
  });

  test("query beside a body, and beside what the url has already", async () => {
    const request = await deliver((url) => ({
      url: `${url}/in?fixed=1`,
      query: { place: "{{{PARTICLE_EVENT_NAME}}} & co" },
      json: { a: 1 },
      noDefaults: true,
    }));
    assert.equal(request.query.get("fixed"), "1");
    assert.match(request.query.get("place"), /^wire-\d+- & co$/);
    assert.equal(request.body, '{"a":1}');
  });

  test("headers, templated too", async () => {
    const request = await deliver(
      { headers: { "X-Device": "{{{PARTICLE_DEVICE_ID}}}", "x-fixed": "a: b" } },
      { data: "1" },
    );
    assert.deepEqual([request.headers["x-device"], request.headers["x-fixed"]], [DEVICE, "a: b"]);
  });

  test("the url's path, templated", async () => {
    const event = unique();
    const request = await deliver(
      (url) => ({ url: `${url}/devices/{{{PARTICLE_DEVICE_ID}}}/{{{PARTICLE_EVENT_NAME}}}?v={{{a.b.0}}}` }),
      { event, data: '{"a":{"b":[42]}}' },
    );
    assert.ok(request.target.endsWith(`/devices/${DEVICE}/${event}?v=42`), request.target);
  });

  const basic = (text) => `Basic ${Buffer.from(text).toString("base64")}`;
  for (const [auth, authorization] of [
    [{ username: "ann", password: "pass:word" }, basic("ann:pass:word")],
    [{ user: "bob", pass: "geheim-ü" }, basic("bob:geheim-ü")],
    [{ bearer: "token-1234567890" }, "Bearer token-1234567890"],
  ]) {
    test(`auth by ${Object.keys(auth).join(" and ")}`, async () => {
      assert.equal((await deliver({ auth })).headers.authorization, authorization);
    });
  }

  test("json as a string is a template of text: numbers stay numbers", async () => {
    const json = '{"t": {{{t}}}, "who": "{{{PARTICLE_DEVICE_ID}}}"}';
    const request = await deliver({ json, noDefaults: true }, { data: '{"t":12345678901234567890.10}' });
    assert.equal(request.body.replaceAll(" ", ""), `{"t":12345678901234567890.10,"who":"${DEVICE}"}`);
  });

  test("a quote in the data breaks no json", async () => {
    const data = '{"says":"\\"hello\\" \\\\ \\n"}';
    const json = { whole: "{{{PARTICLE_EVENT_VALUE}}}", says: "{{{says}}}", "{{{says}}}": "key" };
    const request = await deliver({ json, noDefaults: true }, { data });
    const says = '"hello" \\ \n';
    const { whole, ...others } = jsonOf(request);
    assert.deepEqual(JSON.parse(whole), JSON.parse(data));
    assert.deepEqual(others, { says, [says]: "key" });
  });

  test("two braces escape, three do not", async () => {
    const json = { two: "{{PARTICLE_EVENT_VALUE}}", three: "{{{PARTICLE_EVENT_VALUE}}}" };
    const request = await deliver({ json, noDefaults: true }, { data: 'a<b & "c"' });
    assert.deepEqual(jsonOf(request), { two: "a&lt;b &amp; &quot;c&quot;", three: 'a<b & "c"' });
  });

  test("every variable of Particle's", async () => {
    const names = ["DEVICE_ID", "EVENT_NAME", "EVENT_VALUE", "PUBLISHED_AT", "EVENT_ID"].map(
      (n) => `PARTICLE_${n}`,
    );
    names.push("PRODUCT_ID", "PRODUCT_USER_ID", "PRODUCT_VERSION");
    names.push("SPARK_CORE_ID", "SPARK_EVENT_NAME", "SPARK_EVENT_VALUE", "SPARK_PUBLISHED_AT");
    const json = Object.fromEntries(names.map((name) => [name, `{{{${name}}}}`]));
    const event = { event: unique(), data: "21.5", event_id: `id-of-${unique()}` };
    const product = { product_id: "12345", userid: "5e7f", fw_version: "7" };
    // Its id is of one event only, so that the second, which `deliver` sends, has another.
    const door = service.door(`/${unique("door")}`);
    const id = await integrations.create({ event: event.event, url: door.url, json, noDefaults: true });
    await publish(client, { ...event, ...product, coreid: DEVICE, published_at: AT });
    const [request] = await door.have(1);
    await integrations.remove(id);
    assert.deepEqual(jsonOf(request), {
      PARTICLE_DEVICE_ID: DEVICE,
      PARTICLE_EVENT_NAME: event.event,
      PARTICLE_EVENT_VALUE: "21.5",
      PARTICLE_PUBLISHED_AT: AT,
      PARTICLE_EVENT_ID: event.event_id,
      PRODUCT_ID: "12345",
      PRODUCT_USER_ID: "5e7f",
      PRODUCT_VERSION: "7",
      SPARK_CORE_ID: DEVICE,
      SPARK_EVENT_NAME: event.event,
      SPARK_EVENT_VALUE: "21.5",
      SPARK_PUBLISHED_AT: AT,
    });
  });

  test("what every delivery carries", async () => {
    const { headers } = await deliver({});
    assert.match(headers["user-agent"], /^fieldhook\/\d+\.\d+\.\d+/);
    assert.match(headers["webhook-id"], /^msg_[A-Za-z0-9_-]{20,}$/);
    assert.match(headers["webhook-timestamp"], /^\d{10}$/);
    assert.ok(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000) < 120);
    assert.equal(headers["fieldhook-hop"], "1");
    for (const absent of ["fieldhook-replayed", "webhook-signature", "authorization", "cookie"])
      assert.equal(headers[absent], undefined, absent);
  });

  test("a definition's own headers do not take the place of those", async () => {
    const { headers } = await deliver({
      headers: { "Webhook-Id": "mine", "webhook-timestamp": "1", "Fieldhook-Hop": "0" },
    });
    assert.match(headers["webhook-id"], /^msg_[A-Za-z0-9_-]{20,}$/);
    assert.notEqual(headers["webhook-timestamp"], "1");
    assert.equal(headers["fieldhook-hop"], "1");
  });
});

describe("a loop", () => {
  test("ends: a delivery says how often it was delivered on", async () => {
    const event = unique("hop");
    const door = service.door(`/${event}`);
    await integrations.create({ event, url: door.url });
    for (const hops of [1, 3]) await client.accepted(anEvent({ event }), { "fieldhook-hop": String(hops) });
    const requests = await door.have(2);
    assert.deepEqual(
      requests.map(({ headers }) => headers["fieldhook-hop"]),
      ["2", "4"],
    );
    const refused = await client.publish(anEvent({ event }), { "fieldhook-hop": "4" });
    assert.equal(refused.status, 508, await refused.text());
  });
});
