// Objects live in memory only as long as the platform likes. A day in the life of a device is answered the same, word
// for word, whether every object keeps its memory or loses it between any two requests.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { anEvent, numbers, until } from "../support/client.mjs";
import { WITHIN, datasOf, onceEach, startDelivering } from "../support/integrations.mjs";
import { assertWhole, kept, openSse } from "../support/sse.mjs";

const EVICTING = fileURLToPath(new URL("evicting.mjs", import.meta.url));
const DEVICE = "evicted";
const OBJECTS = [
  ["DEVICE", DEVICE],
  ["DEVICE", "unheard"],
  ["FLEET", "shard-0"],
  ["REGISTRY", "registry"],
];

/** Published as it is; the same ids in both lives. */
const event = (n, fields) =>
  anEvent({ coreid: DEVICE, event_id: `e-${n}`, event: "day/temp", data: `${n}`, ...fields });
const report = (n, data) => event(n, { event: "fieldhook/report", data: JSON.stringify(data) });

/** What a life consists of: each step is one request, and gives what is compared. */
function stepsOf(client) {
  const published = async (body, options) => {
    const response = await client.publish(body, options);
    const repeat = response.headers.get("fieldhook-duplicate");
    return [response.status, repeat, await response.text()];
  };
  const told = (answer) => [answer.status, answer.headers.get("etag"), timeless(answer.body)];
  const admin = async (...request) => told(await client.admin(...request));
  const twin = `/v1/devices/${DEVICE}/twin`;
  const commands = `/v1/devices/${DEVICE}/commands`;
  return [
    () => admin("PUT", "/v1/sources/greeting", { responseTemplate: "hello {{{PARTICLE_EVENT_VALUE}}}" }),
    () => published(event(1)),
    () => published(event(1)),
    () => admin("GET", twin),
    () => admin("PATCH", twin, { led: { on: true }, mode: "eco" }),
    () => published(event(2)),
    () => published(event(2)),
    () => published(report(3, { led: { on: true }, _v: 0 })),
    () => published(report(4, { mode: "eco", _v: 1 })),
    () => admin("GET", twin),
    () => admin("PATCH", twin, { mode: null }),
    () => admin("POST", commands, { name: "blink", args: { times: 3 }, ttl: 600 }),
    () => published(event(5)),
    () => published(report(6, { mode: null, _v: 2, _ack: [1] })),
    () => published(report(6, { mode: null, _v: 2, _ack: [1] })),
    () => admin("GET", commands),
    () => admin("PATCH", twin, { mode: "x".repeat(9_000) }),
    () => admin("GET", "/v1/devices/unheard/twin"),
    () => published(event(7), { to: "/hook/greeting" }),
    () => published(event(7), { to: "/hook/greeting" }),
    () => published([event(8), event(2), event(9), { data: "no name" }]),
    () => published([event(8), event(9)]),
    () => published("{broken"),
    () => admin("GET", "/v1/quarantine"),
    () => admin("GET", `/v1/devices/${DEVICE}/history?limit=1000`),
    () => admin("GET", `/v1/devices/${DEVICE}/history?order=desc&limit=3`),
    () => admin("GET", "/v1/sources/greeting"),
    () => admin("DELETE", `${commands}`),
    () => published(event(10)),
  ];
}

/** Without times, and without what hangs on them. */
const timeless = (value) =>
  JSON.parse(
    JSON.stringify(value, (name, inner) =>
      /_at$|^timestamps$|^at$|^next$|^id$/.test(name) && !Number.isInteger(inner) && !/^e-/.test(inner)
        ? undefined
        : inner,
    ) ?? "null",
  );

/** Lives through it; `evict` is called between any two requests. */
async function live(evict) {
  const { worker, client, service, integrations, stop } = await startDelivering({
    entry: EVICTING,
    // A repeat is to reach the object, and no attempt to be given up.
    vars: { DEDUP_KV: "off", RETRY_SCHEDULE: "0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2" },
  });
  try {
    await integrations.create({ event: "day", url: service.url });
    let count = 0;
    service.answer((request, response) => response.writeHead((count += 1) % 3 ? 200 : 500).end());
    const streams = [await openSse(worker), await openSse(worker, `/v1/devices/${DEVICE}/events`)];
    const answers = [];
    for (const step of stepsOf(client)) {
      if (evict) await worker.fetch("/__evict", { method: "PUT", body: JSON.stringify(OBJECTS) });
      answers.push(await step());
    }
    const log = await client.log(DEVICE);
    for (const stream of streams) await stream.have(log.length, kept, WITHIN);
    const wanted = log.filter(({ event }) => event.startsWith("day")).map(({ data }) => String(data));
    const delivered = () => onceEach(service.requests.filter(({ status }) => status === 200));
    await until(() => delivered().length >= wanted.length, { within: WITHIN, what: "the deliveries" });
    for (const stream of streams) await stream.close();
    const { made } = await (await worker.fetch("/__evict", { method: "PUT", body: "[]" })).json();
    return {
      made,
      answers,
      streamed: streams.map(
        ({ items }) => (assertWhole(items), items.filter(kept).map(({ data }) => data.id)),
      ),
      delivered: datasOf(delivered()),
      log: log.map(({ seq, id }) => [seq, id]),
      wanted,
    };
  } finally {
    await stop();
  }
}

describe("an eviction between any two requests", () => {
  let spared, evicted;
  before(async () => ([spared, evicted] = [await live(false), await live(true)]));

  test("objects are made anew each time", () => {
    assert.ok(evicted.made > spared.made + 60, `${spared.made} and ${evicted.made}`);
  });

  test("every answer is the same", () => {
    for (const [index, answer] of spared.answers.entries())
      assert.deepEqual(evicted.answers[index], answer, `step ${index + 1}`);
  });

  test("the log, both streams and the deliveries are whole and in order", () => {
    for (const { log, streamed, delivered, wanted } of [spared, evicted]) {
      assert.deepEqual(
        log,
        numbers(1, 10).map((n) => [n, `e-${n}`]),
      );
      for (const ids of streamed)
        assert.deepEqual(
          ids,
          log.map(([, id]) => id),
        );
      assert.deepEqual(delivered, wanted);
    }
  });
});
