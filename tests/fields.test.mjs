// Where each field of an event is looked for, under which names, and what is said when one is missing or wrong.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  accepted,
  eventOf,
  eventsOf,
  isDuplicate,
  newDevice,
  newId,
  newSource,
  quarantineOf,
  refused,
} from "./support/send.mjs";
import { startWorker } from "./support/worker.mjs";

const worker = await startWorker();
after(() => worker.stop());

/** The fields, as an event shows them, with their spellings in body and query and their header. */
const FIELDS = {
  id: { spellings: ["event_id", "id"], header: "x-particle-event-id" },
  event: { spellings: ["event", "name"], header: "x-particle-event-name" },
  data: { spellings: ["data", "value"] },
  coreid: { spellings: ["coreid", "device_id", "deviceID"], header: "x-particle-device-id" },
  published_at: { spellings: ["published_at"], header: "x-particle-published-at" },
  product_id: { spellings: ["productID", "product_id"], header: "x-particle-product-id" },
  fw_version: { spellings: ["fw_version", "version"] },
  userid: { spellings: ["userid"] },
};

/** A value for each field, unlike that of any other test; `mark` tells where it was. */
const valuesOf = (mark, device = newDevice()) => ({
  id: newId(),
  event: `event-${mark}`,
  data: `data-${mark}`,
  coreid: device,
  published_at: new Date(Date.now() - 1000 * (mark.length + 1)).toISOString(),
  product_id: `product-${mark}`,
  fw_version: `version-${mark}`,
  userid: `user-${mark}`,
});

/** Values under the given spelling of each field; the first where a field has fewer. */
const spelled = (values, nth = 0) =>
  Object.fromEntries(
    Object.entries(values).map(([field, value]) => [
      FIELDS[field].spellings[nth] ?? FIELDS[field].spellings[0],
      value,
    ]),
  );

const asHeaders = (values) =>
  Object.fromEntries(
    Object.entries(values)
      .filter(([field]) => FIELDS[field].header)
      .map(([field, value]) => [FIELDS[field].header, value]),
  );

const pick = (event, values) => Object.fromEntries(Object.keys(values).map((field) => [field, event[field]]));

const PLACES = {
  "a JSON body": (fields) => ({ json: fields }),
  "a form": (fields) => ({ form: fields }),
  "the query": (fields) => ({ method: "GET", query: fields }),
};

for (const [place, request] of Object.entries(PLACES)) {
  for (const nth of [0, 1, 2]) {
    test(`every field is found in ${place} under its spelling number ${nth + 1}`, async () => {
      const values = valuesOf("x");
      await accepted(worker, request(spelled(values, nth)));
      const event = await eventOf(worker, values.coreid);
      assert.deepEqual(pick(event, values), values);
      assert.ok(!("extra" in event), "a field that was understood is no extra");
    });
  }
}

test("every field that has a header is found there", async () => {
  const { fw_version, userid, data, ...values } = valuesOf("header");
  await accepted(worker, { body: "text", headers: { "content-type": "text/plain", ...asHeaders(values) } });
  const event = await eventOf(worker, values.coreid);
  assert.deepEqual(pick(event, values), values);
  assert.equal(event.data, "text");
});

test("the body wins over the query, and the query over a header", async () => {
  const device = newDevice();
  const [body, query, header] = ["body", "query", "header"].map((mark) => valuesOf(mark, device));
  await accepted(worker, { json: spelled(body), query: spelled(query), headers: asHeaders(header) });
  await accepted(worker, { method: "POST", query: spelled(query), headers: asHeaders(header) });
  const [first, second] = await eventsOf(worker, device);
  assert.deepEqual(pick(first, body), body);
  assert.deepEqual(pick(second, query), query);
});

test("the body wins over the query whichever spelling each of them has", async () => {
  const device = newDevice();
  const [body, query] = ["body", "query"].map((mark) => valuesOf(mark, device));
  await accepted(worker, { json: spelled(body, 1), query: spelled(query, 0) });
  assert.deepEqual(pick(await eventOf(worker, device), body), body);
});

test("each field is looked for by itself", async () => {
  const device = newDevice();
  await accepted(worker, {
    json: { data: "from body" },
    query: { event: "from-query" },
    headers: { "x-particle-device-id": device },
  });
  const event = await eventOf(worker, device);
  assert.deepEqual([event.data, event.event], ["from body", "from-query"]);
});

test("data in the query comes before a text body", async () => {
  const device = newDevice();
  await accepted(worker, {
    body: "from body",
    query: { event: "temp", coreid: device, data: "from query" },
    headers: { "content-type": "text/plain" },
  });
  assert.equal((await eventOf(worker, device)).data, "from query");
});

test("an event that names no device belongs to its source", async () => {
  const source = newSource();
  await accepted(worker, { source, json: { event: "temp", data: "1" } });
  const event = await eventOf(worker, `source:${source}`);
  assert.deepEqual([event.coreid, event.source], [`source:${source}`, source]);
});

test("/hook is the source default, and /hook/{source} labels the event", async () => {
  const [device, source] = [newDevice(), newSource()];
  await accepted(worker, { json: { event: "temp", coreid: device } });
  await accepted(worker, { source, json: { event: "temp", coreid: device } });
  await accepted(worker, { source: "default", json: { event: "temp", coreid: device } });
  const events = await eventsOf(worker, device);
  assert.deepEqual(
    events.map((event) => event.source),
    ["default", source, "default"],
  );
});

test("a time with an offset is the same instant", async () => {
  const device = newDevice();
  await accepted(worker, {
    json: { event: "temp", coreid: device, published_at: "2017-02-01T22:08:05.763+01:00" },
  });
  const { published_at } = await eventOf(worker, device);
  assert.equal(Date.parse(published_at), Date.parse("2017-02-01T21:08:05.763Z"));
});

test("without a time, the event has the time of its arrival", async () => {
  const device = newDevice();
  const before = Date.now();
  await accepted(worker, { json: { event: "temp", coreid: device } });
  const event = await eventOf(worker, device);
  assert.equal(event.published_at, event.received_at);
  assert.ok(Date.parse(event.received_at) >= before - 5 && Date.parse(event.received_at) <= Date.now() + 5);
});

for (const time of ["yesterday", "2017-02-01", "1485983285", 1485983285, "", {}, [], true]) {
  test(`the unreadable time ${JSON.stringify(time)} gives way to that of arrival`, async () => {
    const device = newDevice();
    await accepted(worker, { json: { event: "temp", coreid: device, published_at: time } });
    const event = await eventOf(worker, device);
    assert.equal(event.published_at, event.received_at);
  });
}

test("an event without an id has a derived one, and says so", async () => {
  const device = newDevice();
  await accepted(worker, { json: { event: "temp", coreid: device } });
  await accepted(worker, { json: { event: "temp", coreid: device, event_id: "mine" } });
  const [derived, given] = await eventsOf(worker, device);
  assert.equal(derived.derived, true);
  assert.ok(derived.id.length > 0);
  assert.equal(given.id, "mine");
  assert.ok(!given.derived);
});

test("a derived id is made of name, data and published_at", async () => {
  const coreid = newDevice();
  const json = { event: "temp", data: "1", coreid, published_at: "2026-01-31T12:00:00Z" };
  assert.ok(!isDuplicate(await accepted(worker, { json })));
  assert.ok(isDuplicate(await accepted(worker, { json })));
  for (const change of [{ event: "temp2" }, { data: "2" }, { published_at: "2026-01-31T12:00:01Z" }]) {
    assert.ok(!isDuplicate(await accepted(worker, { json: { ...json, ...change } })), JSON.stringify(change));
  }
  assert.equal((await eventsOf(worker, coreid)).length, 4);
});

test("without a published_at, a derived id is never a duplicate", async () => {
  const coreid = newDevice();
  for (let n = 0; n < 3; n++) {
    assert.ok(!isDuplicate(await accepted(worker, { json: { event: "temp", data: "1", coreid } })));
  }
  assert.equal((await eventsOf(worker, coreid)).length, 3);
});

test("one id on two devices is two events, by two ways in it is one", async () => {
  const [one, other, event_id] = [newDevice(), newDevice(), newId()];
  assert.ok(!isDuplicate(await accepted(worker, { json: { event: "temp", coreid: one, event_id } })));
  assert.ok(!isDuplicate(await accepted(worker, { json: { event: "temp", coreid: other, event_id } })));
  const again = await accepted(worker, {
    source: newSource(),
    json: { event: "temp", coreid: one, event_id },
  });
  assert.ok(isDuplicate(again));
});

test("a field that is null is absent, and no extra", async () => {
  const nothing = {
    event_id: null,
    data: null,
    published_at: null,
    productID: null,
    version: null,
    userid: null,
  };
  const coreid = newDevice();
  await accepted(worker, { json: { event: "temp", coreid, ...nothing } });
  const event = await eventOf(worker, coreid);
  assert.deepEqual([event.derived, event.published_at], [true, event.received_at]);
  for (const field of ["product_id", "fw_version", "userid", "extra"]) {
    assert.ok(!(field in event), `${field}: ${JSON.stringify(event[field])}`);
  }
});

test("a missing name is refused, and named", async () => {
  for (const request of [
    { json: { data: "1", coreid: "d" } },
    { form: { data: "1" } },
    { method: "GET", query: { data: "1" } },
    { body: "only text", headers: { "content-type": "text/plain" } },
    { json: { event: "", data: "1" } },
    { json: { event: null, data: "1" } },
    {},
  ]) {
    const problem = await refused(worker, 400, request);
    assert.equal(problem.field, "event", JSON.stringify(request));
  }
});

test("a name has 1 to 64 characters, counted as characters", async () => {
  for (const event of ["t", "x".repeat(64), "é".repeat(64), "a/b c:d"]) {
    const device = newDevice();
    await accepted(worker, { json: { event, coreid: device } });
    assert.equal((await eventOf(worker, device)).event, event);
  }
  for (const event of ["x".repeat(65), "é".repeat(65)]) {
    assert.equal((await refused(worker, 400, { json: { event } })).field, "event");
  }
});

for (const event of ["a\nb", "a\tb", "\u0000", "bell\u0007", "a\u007f"]) {
  test(`the name ${JSON.stringify(event)} is refused for its control character`, async () => {
    assert.equal((await refused(worker, 400, { json: { event } })).field, "event");
    assert.equal((await refused(worker, 400, { method: "GET", query: { event } })).field, "event");
  });
}

test("a device id has 1 to 64 of the characters A-Z a-z 0-9 _ . -", async () => {
  for (const coreid of [`${newDevice()}_A.z-0`, newDevice().padEnd(64, "x")]) {
    await accepted(worker, { json: { event: "temp", coreid } });
    assert.equal((await eventOf(worker, coreid)).coreid, coreid);
  }
});

for (const coreid of ["x".repeat(65), "a b", "a/b", "ä", "source:default", "a\nb", "a%62"]) {
  test(`the device id ${JSON.stringify(coreid)} is refused wherever it stands`, async () => {
    assert.equal((await refused(worker, 400, { json: { event: "temp", coreid } })).field, "coreid");
    assert.equal((await refused(worker, 400, { json: { event: "temp", deviceID: coreid } })).field, "coreid");
    assert.equal((await refused(worker, 400, { form: { event: "temp", coreid } })).field, "coreid");
    assert.equal(
      (await refused(worker, 400, { method: "GET", query: { event: "temp", coreid } })).field,
      "coreid",
    );
  });
}

test("a bad device id in a header is refused", async () => {
  const problem = await refused(worker, 400, {
    json: { event: "temp" },
    headers: { "x-particle-device-id": "not a device" },
  });
  assert.equal(problem.field, "coreid");
});

test("what is refused is kept, with the field at fault", async () => {
  const source = newSource();
  await refused(worker, 400, { source, json: '{"event":"temp","coreid":"not a device"}' });
  const [entry] = await quarantineOf(worker, source);
  assert.deepEqual([entry.field, entry.body], ["coreid", '{"event":"temp","coreid":"not a device"}']);
});
