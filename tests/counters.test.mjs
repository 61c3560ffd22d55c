// What an event comes to on a bill, counted: rows written and read, alarms, KV operations, and crossings into wasm.
// docs/COST.md multiplies them by prices. Object calls, statements and commits are counted in hot-path.test.mjs.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { kept, openLines, openSse } from "./support/sse.mjs";
import { COUNTED, startWorker } from "./support/worker.mjs";

const RETENTION_MS = 3_000;
/** What the runtime has to do after an answer takes a few milliseconds; this is ample. */
const SETTLED = 150;
/** Calls between JavaScript and wasm for a new event of a known device, in the Worker and both objects together. */
const CROSSINGS = { off: { into: 26, out: 36 }, on: { into: 37, out: 90 } };

const sum = (table) => Object.values(table).reduce((total, count) => total + count, 0);

describe("what is billed", () => {
  let worker, client;
  before(async () => {
    const retention = String(RETENTION_MS / 86_400_000);
    worker = await startWorker({ entry: COUNTED, vars: { DEDUP_KV: "off", RETENTION_DAYS: retention } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const takeCounts = async () => (await worker.fetch("/__counts", { method: "DELETE" })).json();

  async function counted(work) {
    await takeCounts();
    await work();
    await sleep(SETTLED);
    return takeCounts();
  }

  const alarm = (of) => worker.fetch(`/__alarm?${of}`, { method: "POST" });

  async function knownDevice(coreid) {
    await client.accepted(anEvent({ coreid }));
    await until(async () => (await client.devices()).includes(coreid), { what: `${coreid} in the list` });
    await sleep(SETTLED);
    return coreid;
  }

  test("a new event is two rows in its device and one in its shard, and sets no alarm if one is set", async () => {
    const coreid = await knownDevice("billed");
    for (let times = 0; times < 3; times++) {
      const { written, alarmsSet, alarms, kv } = await counted(() => client.accepted(anEvent({ coreid })));
      assert.deepEqual(
        { written, alarmsSet, alarms, kv },
        {
          written: { Device: 2, Fleet: 1 },
          alarmsSet: {},
          alarms: {},
          kv: {},
        },
      );
    }
  });

  test("a repeat is no row", async () => {
    const event = anEvent({ coreid: await knownDevice("repeated") });
    await client.accepted(event);
    await sleep(SETTLED);
    const { written, alarmsSet } = await counted(() => client.accepted(event));
    assert.deepEqual([sum(written), sum(alarmsSet)], [0, 0]);
  });

  test("an event that has gone is new again, however lately it was repeated", async () => {
    const event = anEvent({ coreid: "outlived" });
    await client.accepted(event);
    await sleep(RETENTION_MS + 100);
    assert.equal((await client.accepted(event)).duplicate, true, "its row is still there");
    assert.ok((await counted(() => alarm("device=outlived"))).written.Device > 0);
    assert.equal((await client.accepted(event)).duplicate, false);
  });

  test("a device's alarm that has nothing to do writes nothing and asks nobody", async () => {
    const coreid = await knownDevice("alarmed");
    const { written, calls, alarmsSet } = await counted(() => alarm(`device=${coreid}`));
    const others = Object.keys(calls).filter((name) => !name.startsWith("REGISTRY."));
    assert.deepEqual([sum(written), others, alarmsSet], [0, [], {}]);
  });

  test("a hundred events that age out cost a few rows, not a hundred", async () => {
    const coreid = await knownDevice("ageing");
    const aged = numbers(1, 100).map(() => anEvent({ coreid }));
    const { written } = await counted(() => client.accepted(aged));
    assert.deepEqual(written, { Device: 200, Fleet: 1 });
    // Into the next part; once that is as old, the first is.
    await sleep(RETENTION_MS / 3);
    await client.accepted(anEvent({ coreid }));
    await sleep(RETENTION_MS + 100);
    const ages = await counted(() => alarm(`device=${coreid}`));
    // A new table in the place of each of the two parts is three rows, and the device's state one.
    assert.deepEqual(ages.written, { Device: 7 });
    const { body } = await client.read("GET", `/v1/devices/${coreid}`);
    assert.deepEqual([body.newest_seq, body.oldest_seq], [102, null]);
    const again = await counted(() => client.accepted(anEvent({ coreid })));
    assert.equal(again.written.Device, 2);

    const shard = await counted(() => alarm("shard=shard-0"));
    assert.ok(shard.written.Fleet < 30, `${shard.written.Fleet} rows in the shard`);
  });
});

for (const DEDUP_KV of ["off", "on"]) {
  test(`a new event crosses between JavaScript and wasm a fixed number of times, with DEDUP_KV=${DEDUP_KV}`, async () => {
    const worker = await startWorker({ entry: COUNTED, vars: { DEDUP_KV } });
    try {
      const client = clientOf(worker);
      const seen = [];
      for (let times = 0; times < 8; times++) {
        await worker.fetch("/__counts", { method: "DELETE" });
        await client.accepted(anEvent({ coreid: "crossing", event_id: `crossing-event-${times}` }));
        await sleep(SETTLED);
        const { crossings } = await (await worker.fetch("/__counts")).json();
        seen.push({ into: sum(crossings.into), out: sum(crossings.out), crossings });
      }
      // The first makes the tables, and one of them may come upon what is due every few seconds.
      seen.sort((one, other) => one.into + one.out - other.into - other.out);
      const [{ into, out, crossings }] = seen;
      assert.deepEqual({ into, out }, CROSSINGS[DEDUP_KV], JSON.stringify(crossings, null, 1));
    } finally {
      await worker.stop();
    }
  });
}

test("what many streams are told alike is made in wasm once, and each of them goes on from its place", async () => {
  const worker = await startWorker({ entry: COUNTED });
  try {
    const client = clientOf(worker);
    const streams = await Promise.all([...numbers(1, 10).map(() => openSse(worker)), openLines(worker)]);
    await sleep(SETTLED);
    await worker.fetch("/__counts", { method: "DELETE" });
    for (const at of numbers(1, 5)) {
      await client.accepted(anEvent({ coreid: "heard", data: String(at) }));
      for (const stream of streams) await stream.have(at, kept);
    }
    const { crossings } = await (await worker.fetch("/__counts")).json();
    // One for server-sent events and one for JSON Lines, of each of five.
    assert.deepEqual([crossings.into.stream_receive, crossings.into.stream_follow], [10, 45]);
    for (const stream of streams) await stream.close();
  } finally {
    await worker.stop();
  }
});
