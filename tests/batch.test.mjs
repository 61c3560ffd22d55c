// Many events in one request: each is judged by itself, in order, and sending again is safe.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  FAILING,
  FAILS,
  PARTICLE_AGENT,
  api,
  eventOf,
  eventsOf,
  historyText,
  isDuplicate,
  newDevice,
  newId,
  newSource,
  accepted,
  problemOf,
  quarantineOf,
  refused,
  send,
} from "./support/send.mjs";
import { startWorker } from "./support/worker.mjs";

const worker = await startWorker({ entry: FAILING });
after(() => worker.stop());

const LINES = { "content-type": "application/x-ndjson" };

const event = (fields = {}) => ({
  event: "temp",
  data: "1",
  coreid: newDevice(),
  event_id: newId(),
  ...fields,
});
const many = (count, make) => Array.from({ length: count }, (_, n) => make(n));

/** Sends a batch that is answered with its summary. */
async function summary(request) {
  const response = await send(worker, request);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.match(response.headers.get("content-type"), /^application\/json/);
  return JSON.parse(text);
}

const dataOf = async (device) => (await eventsOf(worker, device)).map(({ data }) => data);

test("a JSON array is a batch", async () => {
  const device = newDevice();
  const json = ["a", "b", "c"].map((data) => event({ data, coreid: device }));
  assert.deepEqual(await summary({ json }), { accepted: 3, duplicates: 0, refused: [] });
  assert.deepEqual(await dataOf(device), ["a", "b", "c"]);
});

test("an array of one event is a batch", async () => {
  assert.deepEqual(await summary({ json: [event()] }), { accepted: 1, duplicates: 0, refused: [] });
});

test("JSON Lines are a batch", async () => {
  const device = newDevice();
  const rows = ["a", "b", "c"].map((data) => JSON.stringify(event({ data, coreid: device })));
  const body = `${rows[0]}\n${rows[1]}\r\n\n${rows[2]}`;
  assert.deepEqual(await summary({ body, headers: LINES }), { accepted: 3, duplicates: 0, refused: [] });
  assert.deepEqual(await dataOf(device), ["a", "b", "c"]);
});

test("one JSON line is a batch of one", async () => {
  const body = JSON.stringify(event());
  assert.deepEqual(await summary({ body, headers: LINES }), { accepted: 1, duplicates: 0, refused: [] });
});

test("without a Content-Type, an array and lines of objects are batches too", async () => {
  const device = newDevice();
  const rows = ["a", "b"].map((data) => JSON.stringify(event({ data, coreid: device })));
  assert.equal((await summary({ body: `[${rows}]` })).accepted, 2);
  assert.equal((await summary({ body: rows.join("\n") })).duplicates, 2);
  assert.deepEqual(await dataOf(device), ["a", "b"]);
});

test("a batch can be PUT", async () => {
  assert.equal((await summary({ method: "PUT", json: [event(), event()] })).accepted, 2);
});

test("items keep their digits, their fields and their spellings", async () => {
  const device = newDevice();
  const json = `[{"name":"temp","value":{"t":21.10},"deviceID":"${device}","id":"1","productID":7,"ttl":60}]`;
  await summary({ json, source: "greenhouse" });
  assert.ok((await historyText(worker, device)).includes('"data":{"t":21.10}'));
  const { id, event, product_id, source, extra } = await eventOf(worker, device);
  assert.deepEqual([id, event, product_id, source], ["1", "temp", "7", "greenhouse"]);
  assert.deepEqual(extra, { ttl: 60 });
});

test("each device has its events in the order of the batch", async () => {
  const [one, other] = [newDevice(), newDevice()];
  const json = many(60, (n) => event({ data: String(n), coreid: n % 3 ? one : other }));
  await summary({ json });
  const numbers = [...json.keys()];
  assert.deepEqual(
    await dataOf(one),
    numbers.filter((n) => n % 3),
  );
  assert.deepEqual(
    await dataOf(other),
    numbers.filter((n) => n % 3 === 0),
  );
  const events = await eventsOf(worker, one);
  assert.deepEqual(
    events.map(({ seq }) => seq),
    many(40, (n) => n + 1),
  );
});

test("items without a device belong to the source", async () => {
  const source = newSource();
  await summary({ source, json: [event({ coreid: undefined }), event({ coreid: undefined })] });
  assert.equal((await eventsOf(worker, `source:${source}`)).length, 2);
});

test("a batch sent again is all duplicates, and 200", async () => {
  const device = newDevice();
  const json = many(5, () => event({ coreid: device }));
  assert.deepEqual(await summary({ json }), { accepted: 5, duplicates: 0, refused: [] });
  assert.deepEqual(await summary({ json }), { accepted: 0, duplicates: 5, refused: [] });
  assert.equal((await eventsOf(worker, device)).length, 5);
});

test("an event twice in one batch is counted once", async () => {
  const twice = event();
  assert.deepEqual(await summary({ json: [twice, twice] }), { accepted: 1, duplicates: 1, refused: [] });
  assert.equal((await eventsOf(worker, twice.coreid)).length, 1);
});

test("an event that came alone is known in a batch, and the other way about", async () => {
  const [alone, inBatch] = [event(), event()];
  await accepted(worker, { json: alone });
  assert.deepEqual(await summary({ json: [alone, inBatch] }), { accepted: 1, duplicates: 1, refused: [] });
  assert.ok(isDuplicate(await accepted(worker, { json: inBatch })));
});

test("a refused item is named with index, code and field, and takes no other with it", async () => {
  const source = newSource();
  const [first, last] = [event(), event()];
  const json = [first, { no: "name" }, event({ coreid: "not a device" }), 7, "text", null, [], last];
  const answer = await summary({ source, json });
  assert.equal(answer.accepted, 2);
  assert.deepEqual(
    answer.refused.map(({ index }) => index),
    [1, 2, 3, 4, 5, 6],
  );
  for (const item of answer.refused) {
    assert.deepEqual(Object.keys(item).sort(), ["code", "field", "index"]);
    assert.match(item.code, /^[a-z-]+$/);
  }
  assert.deepEqual(
    answer.refused.slice(0, 2).map(({ field }) => field),
    ["event", "coreid"],
  );
  for (const { coreid } of [first, last]) assert.equal((await eventsOf(worker, coreid)).length, 1);
});

test("a broken line is refused by itself", async () => {
  const [first, last] = [event(), event()];
  const body = [JSON.stringify(first), '{"event":"temp"', JSON.stringify(last)].join("\n");
  const answer = await summary({ body, headers: LINES });
  assert.equal(answer.accepted, 2);
  assert.deepEqual(
    answer.refused.map(({ index }) => index),
    [1],
  );
});

test("refused items are kept, each with what it was and why", async () => {
  const source = newSource();
  await summary({ source, json: `[{"event":"temp","coreid":"${newDevice()}"},{"no":"name","n":1.0}]` });
  const kept = await quarantineOf(worker, source);
  assert.deepEqual(
    kept.map(({ body, field }) => [body, field]),
    [['{"no":"name","n":1.0}', "event"]],
  );
});

test("a batch of which no item is an event is 400", async () => {
  const problem = await refused(worker, 400, { json: [{ no: "name" }, event({ coreid: "not a device" })] });
  assert.deepEqual(
    problem.refused.map(({ index, field }) => [index, field]),
    [
      [0, "event"],
      [1, "coreid"],
    ],
  );
  assert.deepEqual([problem.accepted, problem.duplicates], [0, 0]);
});

test("the same batch from Particle is an empty 202, and kept", async () => {
  const source = newSource();
  const response = await send(worker, {
    source,
    json: [{ no: "name" }, { no: "name either" }],
    headers: { "user-agent": PARTICLE_AGENT },
  });
  assert.deepEqual([response.status, await response.text()], [202, ""]);
  assert.equal((await quarantineOf(worker, source)).length, 2);
});

test("a batch of which one item is an event is 200 for Particle too, and names the others", async () => {
  const answer = await summary({
    json: [event(), { no: "name" }],
    headers: { "user-agent": PARTICLE_AGENT },
  });
  assert.deepEqual([answer.accepted, answer.refused.length], [1, 1]);
});

test("an empty array is no event", async () => {
  await refused(worker, 400, { json: [] });
});

test("500 events are a batch, and 501 are 413", async () => {
  const coreid = newDevice();
  assert.equal((await summary({ json: many(500, () => event({ coreid })) })).accepted, 500);
  const json = many(501, () => event({ coreid }));
  await refused(worker, 413, { json });
  await refused(worker, 413, { body: json.map((item) => JSON.stringify(item)).join("\n"), headers: LINES });
  assert.equal((await eventsOf(worker, coreid)).length, 500);
});

test("100 devices are a batch, and 101 are 413", async () => {
  const json = many(100, () => event());
  assert.equal((await summary({ json })).accepted, 100);
  const more = [...many(100, () => event()), event()];
  await refused(worker, 413, { json: more });
  assert.deepEqual(await eventsOf(worker, more[0].coreid), []);
});

test("a batch has no device reply, though its source has a template", async () => {
  const source = newSource();
  const put = await api(worker, "PUT", `/v1/sources/${source}`, { json: { responseTemplate: "hello" } });
  assert.ok(put.ok, await put.text());
  const alone = await send(worker, { source, json: event() });
  assert.deepEqual([alone.status, await alone.text()], [200, "hello"]);
  const json = [event(), event()];
  assert.deepEqual(await summary({ source, json }), { accepted: 2, duplicates: 0, refused: [] });
  // Known from a batch, an event has no stored reply to repeat.
  const again = await send(worker, { source, json: json[0] });
  assert.ok(isDuplicate(again));
  assert.deepEqual([again.status, await again.text()], [204, ""]);
});

test("transforms apply to each item", async () => {
  const [name, coreid] = [`t-${newDevice()}`, newDevice()];
  const json = { event: name, json: { temperature: "{{{t}}}" } };
  assert.ok((await api(worker, "PUT", `/v1/transforms/${name}`, { json })).ok);
  await summary({
    json: [event({ event: name, data: '{"t":21.1}', coreid }), event({ data: '{"t":1}', coreid })],
  });
  const [changed, other] = await eventsOf(worker, coreid);
  assert.deepEqual(changed.raw, { t: 21.1 });
  assert.equal(String(changed.data.temperature), "21.1");
  assert.deepEqual(other.data, { t: 1 });
});

test("if any commit fails the batch is 503, and sending it again is safe", async () => {
  const [good, failing] = [event(), event({ data: FAILS })];
  const response = await send(worker, { json: [good, failing] });
  const retryAfter = response.headers.get("retry-after");
  await problemOf(response, 503);
  assert.match(retryAfter ?? "", /^[1-9]\d*$/);
  assert.deepEqual(await eventsOf(worker, failing.coreid), []);

  const again = await summary({ json: [good, { ...failing, data: "1" }] });
  assert.equal(again.accepted + again.duplicates, 2);
  for (const { coreid } of [good, failing]) assert.equal((await eventsOf(worker, coreid)).length, 1);
});
