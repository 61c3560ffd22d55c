// A log as a chart: what the series says is what anyone would compute from the history.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { COUNTED, startWorker } from "./support/worker.mjs";

const BUCKETS = 100;
const BUCKETS_MAX = 2_000;
const DAY = 86_400_000;
/** What one call to a device's object looks at: see core/src/series. */
const ROWS_PER_CALL = 20_000;

/** The same by the plainest means: every event read back, every number summed. */
function naive(events, { from, to, width }, pick) {
  const buckets = new Map();
  const start = Date.parse(from);
  const last = Math.max(0, Math.ceil((Date.parse(to) - start) / width) - 1);
  for (const { received_at, data } of events) {
    const number = pick(data);
    if (number === undefined) continue;
    const at = start + Math.min(Math.floor((Date.parse(received_at) - start) / width), last) * width;
    buckets.set(at, [...(buckets.get(at) ?? []), number]);
  }
  return [...buckets].map(([at, values]) => ({
    at: new Date(at).toISOString(),
    count: values.length,
    min: Math.min(...values),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    max: Math.max(...values),
  }));
}

/** Equal but for the last digits of a mean, which depend on the order of summing. */
function assertSame(found, expected) {
  const rounded = (buckets) => buckets.map((bucket) => ({ ...bucket, mean: bucket.mean.toPrecision(12) }));
  assert.deepEqual(rounded(found), rounded(expected));
}

describe("series", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ entry: COUNTED, vars: { MAX_BODY: "1000000", DEVICE_RATE: "0" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const series = (device, query = {}) =>
    client.read("GET", `/v1/devices/${device}/series?${new URLSearchParams(query)}`);

  /** The buckets of what must be accepted; the whole day is one where nothing else is asked. */
  async function buckets(device, query) {
    const { status, text, body } = await series(device, { buckets: 1, ...query });
    assert.equal(status, 200, text);
    return body.buckets;
  }

  /** Publishes each as an event's data, and answers the numbers that the series has for a field. */
  async function pickedOf(device, data, field = "") {
    await client.accepted(data.map((value) => anEvent({ coreid: device, data: value })));
    const [bucket] = await buckets(device, { field });
    return bucket && [bucket.count, bucket.min, bucket.max];
  }

  test("is the last day in a hundred buckets, of data that is itself a number", async () => {
    await client.accepted([1, "2.50", "none", { t: 3 }].map((data) => anEvent({ coreid: "plain", data })));
    const before = Date.now();
    const { status, headers, body } = await series("plain");
    assert.deepEqual([status, headers.get("content-type")], [200, "application/json"]);
    assert.equal(body.field, "");
    assert.ok(Date.parse(body.to) >= before && Date.parse(body.to) <= Date.now());
    assert.equal(Date.parse(body.to) - Date.parse(body.from), DAY);
    assert.equal(body.width, DAY / BUCKETS);
    assert.deepEqual(
      body.buckets.map(({ count, min, mean, max }) => [count, min, mean, max]),
      [[2, 1, 1.75, 2.5]],
    );
  });

  test("is what the history comes to, in whatever buckets", async () => {
    for (let round = 0; round < 6; round++) {
      const event = (n) => ({
        event: n % 3 ? "temp" : "other",
        data: [{ t: { c: n * 1.1 - round } }, { t: { c: String(-n) } }, { t: "x" }, n][n % 4],
      });
      await client.accepted(numbers(1, 40).map((n) => anEvent({ coreid: "compared", ...event(n + round) })));
      await sleep(20);
    }
    const events = await client.log("compared");
    const [first, last] = [events[0], events.at(-1)].map(({ received_at }) => received_at);
    const pick = ({ t }) => (t?.c === undefined ? undefined : Number(t.c));
    for (const count of [1, 2, 7, BUCKETS_MAX]) {
      const query = { field: "t.c", from: first, to: last, buckets: count };
      const { body } = await series("compared", query);
      assert.ok(body.buckets.length <= count && body.buckets.length > 0);
      assert.deepEqual([body.from, body.to], [first, last]);
      assertSame(body.buckets, naive(events, body, pick));

      const named = (await series("compared", { ...query, event: "temp" })).body;
      assertSame(
        named.buckets,
        naive(
          events.filter(({ event }) => event === "temp"),
          named,
          pick,
        ),
      );
    }
  });

  test("has the events of its time and no other, both ends among them", async () => {
    for (const data of [1, 2, 3]) {
      await client.accepted(anEvent({ coreid: "timed", data }));
      await sleep(15);
    }
    const times = (await client.log("timed")).map(({ received_at }) => received_at);
    const counted = async (query) => (await buckets("timed", query)).map(({ count, min }) => [count, min]);
    assert.deepEqual(await counted({ from: times[1], to: times[2] }), [[2, 2]]);
    assert.deepEqual(await counted({ from: times[1], to: times[1] }), [[1, 2]]);
    assert.deepEqual(await counted({ to: times[0] }), [[1, 1]]);
    assert.deepEqual(await counted({ to: "2020-01-01T00:00:00Z" }), []);
    assert.deepEqual(await counted({ from: "2020-01-01T00:00:00Z" }), [[3, 1]]);
    assert.deepEqual(await counted({ from: "9999-01-01T00:00:00Z", to: "9999-12-31T00:00:00Z" }), []);
  });

  for (const [what, field, data, expected] of [
    ["a name", "t", [{ t: 1 }, { u: 9 }, { t: 2 }], [2, 1, 2]],
    ["a path", "a.b.c", [{ a: { b: { c: -4 } } }, { a: { b: 9 } }, { a: 9 }], [1, -4, -4]],
    ["an index", "a.1", [{ a: [9, 1, 9] }, { a: [9] }, { a: { 1: 2 } }], [2, 1, 2]],
    ["an index in data that is an array", "0.1", [[[9, 5]], [[9]], []], [1, 5, 5]],
    ["a path of 60 names", Array(60).fill("d").join("."), [nested(60, 7)], [1, 7, 7]],
    ["a name with a dot in it", "a.b", [{ "a.b": 3 }, { a: { b: 4 } }], [2, 3, 4]],
    ["text that is a number", "t", [{ t: "21.50" }, { t: " -3e1 " }, { t: "+1" }], [3, -30, 21.5]],
    ["data that is text", "", ["21.50", '"7"', " 8 ", "8 V", "", "0x10", "Infinity"], [3, 7, 21.5]],
    ["nothing but numbers", "t", [true, null, [], [1], {}, "", "NaN"].map((t) => ({ t })), undefined],
  ]) {
    test(`finds ${what}`, async () => {
      assert.deepEqual(
        await pickedOf(`found-${field.length}-${data.length}-${what.length}`, data, field),
        expected,
      );
    });
  }

  test("numbers are doubles, and one that no double holds is none", async () => {
    const data = [
      "1e308",
      "-1e308",
      "1e309",
      "9007199254740993",
      "1E-7",
      "-0",
      "123456789012345678901234567890",
    ];
    assert.deepEqual(await pickedOf("huge", data), [6, -1e308, 1e308]);
    const [{ mean }] = await buckets("huge");
    assert.equal(mean, (9007199254740992 + 1e-7 + 123456789012345678901234567890) / 6);
    await pickedOf("overflow", Array(10).fill("1.5e308"));
    assert.equal((await buckets("overflow"))[0].mean, 1.5e308);
  });

  for (const name of [
    "a b",
    "ä€😀",
    "'; DROP TABLE log; --",
    "$.t",
    "%",
    "__proto__",
    '"',
    "\\",
    "a\nb",
    "\0",
    ".",
  ]) {
    test(`a field may be called ${JSON.stringify(name)}`, async () => {
      const coreid = `named-${Buffer.from(name).toString("hex")}`;
      const data = `{${JSON.stringify(name)}:6,"t":1}`;
      await client.accepted(anEvent({ coreid, data }));
      const { body } = await series(coreid, { field: name });
      assert.equal(body.field, name);
      assert.deepEqual(
        body.buckets.map(({ count, mean }) => [count, mean]),
        [[1, 6]],
      );
    });
  }

  for (const [name, query] of [
    ["buckets", { buckets: 0 }],
    ["buckets", { buckets: BUCKETS_MAX + 1 }],
    ["buckets", { buckets: -1 }],
    ["buckets", { buckets: "many" }],
    ["from", { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" }],
    ["from", { from: "yesterday" }],
    ["to", { to: "1" }],
    ["field", { field: "x".repeat(513) }],
  ]) {
    test(`${JSON.stringify(query).slice(0, 60)} is refused by name`, async () => {
      assertProblem(await series("plain", query), 400, { code: "bad-query", naming: name });
    });
  }

  test("an unknown device is 404", async () => {
    assertProblem(await series("nobody"), 404, { code: "unknown-device" });
    assertProblem(await series("a%20b"), 404, { code: "unknown-device" });
  });

  const callsDuring = async (work) => {
    await worker.fetch("/__counts", { method: "DELETE" });
    await work();
    return (await (await worker.fetch("/__counts")).json()).calls["DEVICE.series"];
  };

  test("a long log is read in pieces", async () => {
    const rows = ROWS_PER_CALL + 700;
    for (let n = 0; n < rows; n += 500) {
      const batch = numbers(n + 1, Math.min(n + 500, rows));
      await client.accepted(
        batch.map((data) => ({ event: "n", coreid: "long", data, event_id: `long-${data}` })),
      );
    }
    const whole = await callsDuring(async () => {
      const [{ count, min, mean, max }] = await buckets("long");
      assert.deepEqual([count, min, mean, max], [rows, 1, (rows + 1) / 2, rows]);
    });
    assert.equal(whole, 2);
    const filtered = await buckets("long", { event: "other" });
    assert.deepEqual(filtered, []);
  });

  test("large events are read in pieces too", async () => {
    const event = (n) => anEvent({ coreid: "large", data: { n, filler: "x".repeat(280_000) } });
    for (let n = 1; n <= 75; n += 3) await client.accepted([event(n), event(n + 1), event(n + 2)]);
    const calls = await callsDuring(async () => {
      const [{ count, min, mean, max }] = await buckets("large", { field: "n" });
      assert.deepEqual([count, min, mean, max], [75, 1, 38, 75]);
    });
    assert.equal(calls, 2);
  });
});

function nested(depth, value) {
  return depth === 0 ? value : { d: nested(depth - 1, value) };
}
