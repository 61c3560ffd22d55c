// What a definition says is what a service gets: every property, on the wire, and each device's events in order.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, numbers } from "./support/client.mjs";
import { datasOf, idsOf, publish, publishInTurn, startDelivering, unique } from "./support/integrations.mjs";
import { formOf, held, jsonOf } from "./support/service.mjs";

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

describe("which events", () => {
  /** Publishes and answers which of them were delivered, in the order they came. */
  async function delivered(definition, events, { under, marker = {} } = {}) {
    const door = service.door(`/${unique("door")}`);
    const id = await integrations.create({ url: door.url, ...definition }, under);
    for (const event of [...events, { ...events[0], ...marker, data: "the end" }])
      await publish(client, event);
    await door.have(1, ({ body }) => body.includes("the+end"));
    await integrations.remove(id);
    return datasOf(door.requests).filter((data) => data !== "the end");
  }

  test("those whose name begins with `event`, upper and lower case apart", async () => {
    const event = unique("which");
    const names = [event, `${event}/kitchen`, `x${event}`, event.toUpperCase(), event.slice(0, -1)];
    const events = names.map((name) => ({ event: name, data: name, coreid: "which" }));
    assert.deepEqual(await delivered({ event }, events), [event, `${event}/kitchen`]);
  });

  test("`eventName` is the old spelling", async () => {
    const event = unique("which");
    assert.deepEqual(await delivered({ eventName: event }, [{ event, data: "1" }]), ["1"]);
  });

  test("`deviceID`: one device's", async () => {
    const event = unique("which");
    const events = ["d-one", "d-two", "d-one"].map((coreid, n) => ({
      event,
      coreid,
      data: `${coreid} ${n}`,
    }));
    assert.deepEqual(await delivered({ event, deviceID: "d-one" }, events), ["d-one 0", "d-one 2"]);
  });

  test("under a product: that product's", async () => {
    const event = unique("which");
    const ids = ["101", undefined, "102", "101"];
    const events = ids.map((product_id, n) => ({
      event,
      product_id,
      coreid: `p-${product_id}`,
      data: `${n}`,
    }));
    const under = "/v1/products/101/integrations";
    assert.deepEqual(await delivered({ event }, events, { under }), ["0", "3"]);
  });

  test("none from before it was there", async () => {
    const event = unique("which");
    await publish(client, { event, data: "too early" });
    assert.deepEqual(await delivered({ event }, [{ event, data: "1" }]), ["1"]);
  });

  test("also a batch's, and one that came through the api; data as a transform has left it", async () => {
    const event = unique("which");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: door.url });
    await client.define("/v1/transforms/which", {
      event: `${event}t`,
      body: "rewritten {{{PARTICLE_EVENT_VALUE}}}",
    });
    await client.accepted(["a", "b", "c"].map((data) => anEvent({ event, data, coreid: "d-batch" })));
    assert.equal((await client.admin("POST", "/v1/devices/events", { name: event, data: "d" })).status, 200);
    await publish(client, { event: `${event}t`, data: "e" });
    const datas = datasOf(await door.have(5));
    assert.deepEqual(
      datas.filter((data) => "abc".includes(data)),
      ["a", "b", "c"],
    );
    assert.deepEqual(datas.toSorted(), ["a", "b", "c", "d", "rewritten e"]);
    await integrations.remove(id);
  });

  test("a repeat is not delivered again", async () => {
    const event = unique("which");
    const door = service.door(`/${event}`);
    await integrations.create({ event, url: door.url });
    const once = anEvent({ event, data: "once" });
    for (const duplicate of [false, true, true])
      assert.equal((await client.accepted(once)).duplicate, duplicate);
    await publish(client, { event, data: "the next one" });
    assert.deepEqual(datasOf(await door.have(2)), ["once", "the next one"]);
  });
});

describe("in order", () => {
  test("each device's events come one after another, in the order of its log", async () => {
    const event = unique("order");
    const door = service.door(`/${event}`);
    door.script(200, 500, 200, 503, 500, 201);
    await integrations.create({ event, url: door.url });
    const devices = ["o-1", "o-2", "o-3"];
    const datas = numbers(1, 20).map(String);
    await Promise.all(devices.map((coreid) => publishInTurn(client, datas, { event, coreid })));
    await door.have(3 * 20 + 3);
    for (const coreid of devices) {
      const own = door.requests.filter((request) => formOf(request).coreid === coreid);
      const inTurn = datasOf(own).filter((data, index, all) => data !== all[index - 1]);
      assert.deepEqual(inTurn, datas, coreid);
      assert.equal(new Set(idsOf(own)).size, datas.length, "each has an id of its own");
    }
    assert.equal(door.requests.length, 3 * 20 + 3);
  });

  test("the next one waits for the one before", async () => {
    const event = unique("order");
    const door = service.door(`/${event}`);
    const gate = held();
    door.answer(gate.answer);
    await integrations.create({ event, url: door.url });
    await publishInTurn(client, [1, 2, 3], { event, coreid: "o-waits" });
    await door.have(1);
    assert.deepEqual(datasOf(door.requests), ["1"]);
    gate.release();
    assert.deepEqual(datasOf(onlyFirst(await door.have(3))), ["1", "2", "3"]);
  });

  /** Without the repeats of an attempt that took too long on a slow machine. */
  const onlyFirst = (requests) =>
    requests.filter(({ headers }, index) => idsOf(requests).indexOf(headers["webhook-id"]) === index);
});

describe("an answer that is a success", () => {
  for (const status of [200, 201, 202, 204, 299]) {
    test(`${status}: the next event follows`, async () => {
      const event = unique("ok");
      const door = service.door(`/${event}`).answer(status);
      const id = await integrations.create({ event, url: door.url });
      await publishInTurn(client, [1, 2], { event });
      assert.deepEqual(datasOf(await door.have(2)), ["1", "2"]);
      const attempts = await integrations.haveAttempts(id, 2);
      assert.deepEqual(
        attempts.map((attempt) => [attempt.status, attempt.http_status, attempt.tries]),
        [
          ["success", status, 1],
          ["success", status, 1],
        ],
      );
    });
  }
});

describe("pausing keeps the place", () => {
  async function paused(pause) {
    const event = unique("pause");
    const door = service.door(`/${event}`);
    const definition = { event, url: door.url };
    const id = await integrations.create(definition);
    await publish(client, { event, data: "before" });
    await door.have(1);
    await pause(id, definition);
    await integrations.becomes(id, "paused");
    await publishInTurn(client, [1, 2, 3], { event });
    return { id, door, event };
  }

  for (const [how, pause] of [
    ["POST …/pause", (id) => integrations.pause(id)],
    [
      "PUT with disabled",
      (id, definition) => client.define(`/v1/integrations/${id}`, { ...definition, disabled: true }),
    ],
  ]) {
    test(`${how}, then resume: what came meanwhile is delivered, in order`, async () => {
      const { id, door, event } = await paused(pause);
      assert.deepEqual(datasOf(door.requests), ["before"]);
      await integrations.resume(id);
      await integrations.becomes(id, "active");
      await publish(client, { event, data: "4" });
      assert.deepEqual(datasOf(await door.have(5)), ["before", "1", "2", "3", "4"]);
    });
  }

  test("resume from now skips it", async () => {
    const { id, door, event } = await paused((id) => integrations.pause(id));
    await integrations.resume(id, { from: "now" });
    await integrations.becomes(id, "active");
    await publish(client, { event, data: "4" });
    await door.have(1, (request) => formOf(request).data === "4");
    assert.deepEqual(datasOf(door.requests), ["before", "4"]);
  });

  test("one that was created disabled waits", async () => {
    const event = unique("pause");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: door.url, disabled: true });
    assert.equal((await integrations.get(id)).status, "paused");
    await publish(client, { event, data: "1" });
    await integrations.resume(id);
    assert.deepEqual(datasOf(await door.have(1)), ["1"]);
  });

  test("one that is deleted delivers no more", async () => {
    const [gone, stays] = [unique("door"), unique("door")].map((path) => service.door(`/${path}`));
    const event = unique("pause");
    const id = await integrations.create({ event, url: gone.url });
    await integrations.create({ event, url: stays.url });
    await publish(client, { event, data: "1" });
    await Promise.all([gone.have(1), stays.have(1)]);
    await integrations.remove(id);
    await publish(client, { event, data: "2" });
    await stays.have(2);
    assert.deepEqual(datasOf(gone.requests), ["1"]);
  });
});

test("PUT replaces: the next event goes by the new definition, at the old place", async () => {
  const event = unique("put");
  const door = service.door(`/${event}`);
  const id = await integrations.create({ event, url: `${door.url}/old`, json: { a: 1 } });
  await publish(client, { event, data: "1" });
  await door.have(1);
  await client.define(`/v1/integrations/${id}`, { event, url: `${door.url}/new`, requestType: "PUT" });
  await publish(client, { event, data: "2" });
  const [, request] = await door.have(2);
  assert.deepEqual([request.method, request.path, formOf(request).data], ["PUT", `${door.path}/new`, "2"]);
});
