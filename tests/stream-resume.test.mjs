// A stream can be left and gone on with anywhere: no event is missing, none comes twice, and each device's come in
// the order of its log. Also over several shards, over another number of them, and over a killed machine.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { assertWhole, kept, openLines, openSse } from "./support/sse.mjs";
import { READ, startWorker } from "./support/worker.mjs";
import { fileURLToPath } from "node:url";

const WATCHED = fileURLToPath(new URL("support/watched.mjs", import.meta.url));
const DEVICES = numbers(1, 7).map((n) => `device-${n}`);
const PER_DEVICE = 30;
const TOTAL = DEVICES.length * PER_DEVICE;

/** Some singly, some in batches, all devices at once. */
async function publishAll(client, perDevice = PER_DEVICE) {
  await Promise.all(
    DEVICES.map(async (coreid, index) => {
      for (let sent = 0; sent < perDevice;) {
        const size = Math.min(perDevice - sent, (index % 3) * 4 + 1);
        const events = numbers(1, size).map(() =>
          anEvent({ coreid, data: `${coreid} é ${"x".repeat(size * 10)}` }),
        );
        await client.accepted(size === 1 ? events[0] : events);
        sent += size;
      }
    }),
  );
}

const cursorOf = (item) => item.cursor ?? item.id;
const nameOf = (item) =>
  `${(item.data.seq === undefined ? item : item.data).coreid} ${item.seq ?? item.data.seq}`;

/** Every event, page by page, with the place before the first one. */
async function history(worker) {
  const events = [];
  for (let next = ""; next !== null;) {
    const response = await worker.fetch(`/v1/events?limit=50${next && `&after=${next}`}`, {
      headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
    });
    const page = await response.json();
    events.push(...page.events);
    next = page.next;
  }
  return events;
}

for (const shards of [1, 4]) {
  describe(`with ${shards} shards`, () => {
    let worker, client, live;
    before(async () => {
      worker = await startWorker({ vars: { FLEET_SHARDS: String(shards), STREAM_OPENS: "10000" } });
      client = clientOf(worker);
      live = await openSse(worker);
      await publishAll(client);
    });
    after(async () => {
      await live.close();
      await worker.stop();
    });

    test("a live stream has every event once, each device's in the order of its log", async () => {
      await live.have(TOTAL, kept, 30_000);
      assert.equal(assertWhole(live.items), TOTAL);
      for (const device of DEVICES) {
        const log = (await client.log(device)).map(({ id }) => id);
        const seen = live.items
          .filter((item) => kept(item) && item.data.coreid === device)
          .map(({ data }) => data.id);
        assert.deepEqual(seen, log);
      }
    });

    test("history has the same", async () => {
      assert.equal(assertWhole(await history(worker)), TOTAL);
    });

    test("from any cursor exactly the rest comes", async () => {
      const events = live.items.filter(kept);
      const names = events.map(nameOf);
      const places = [...numbers(0, 5), ...numbers(1, 14).map((n) => n * 14), TOTAL - 2, TOTAL - 1];
      for (const place of places) {
        const again = await openSse(worker, `/v1/events?after=${cursorOf(events[place])}`);
        const rest = names.slice(place + 1);
        await again.have(rest.length, kept);
        const device = events[place].data.coreid;
        assert.deepEqual(again.items.filter(kept).map(nameOf).sort(), rest.toSorted(), `behind ${place}`);
        const seqs = again.items.filter((item) => item.data?.coreid === device).map(({ data }) => data.seq);
        assert.deepEqual(seqs, numbers(events[place].data.seq + 1, PER_DEVICE));
        await again.close();
      }
    });

    test("a reader that comes and goes while events come misses none", async () => {
      const items = [];
      let after = cursorOf(live.items.filter(kept).at(-1));
      const stopped = { now: false };
      const reading = (async () => {
        for (let round = 0; !stopped.now || items.length < TOTAL; round++) {
          const open = round % 2 ? openLines : openSse;
          const stream = await open(worker, `/v1/events?after=${after}`);
          assert.equal(stream.status, 200);
          await until(() => stream.items.filter(kept).length > round % 5 || stopped.now, { within: 10_000 });
          if (stopped.now) await sleep(300);
          await stream.close();
          items.push(...stream.items.filter(kept));
          after = items.length ? cursorOf(items.at(-1)) : after;
        }
      })();
      await publishAll(client);
      await until(async () => (await history(worker)).length === 2 * TOTAL, { within: 20_000 });
      stopped.now = true;
      await reading;
      assert.equal(assertWhole(items, PER_DEVICE + 1), TOTAL);
    });
  });
}

test("a shard that goes away is read on when it is back; the client does not notice", async () => {
  const worker = await startWorker({ vars: { FLEET_SHARDS: "2" }, entry: WATCHED });
  const client = clientOf(worker);
  const streams = [await openSse(worker), await openLines(worker)];
  await publishAll(client, 3);
  for (const round of [1, 2, 3]) {
    await Promise.all(["shard-0", "shard-1"].map((shard) => worker.fetch(`/__fail?shard=${shard}`)));
    await publishAll(client, 3);
    const so_far = DEVICES.length * 3 * (round + 1);
    for (const stream of streams) await stream.have(so_far, kept, 30_000);
  }
  for (const stream of streams) {
    assert.equal(assertWhole(stream.items), DEVICES.length * 12);
    await stream.close();
  }
  await worker.stop();
});

test("an address is counted on after its streams were connected anew", async () => {
  const worker = await startWorker({ vars: { STREAM_MAX: "2" }, entry: WATCHED });
  const sockets = async () => (await worker.fetch("/__sockets")).json();
  const streams = [await openSse(worker), await openSse(worker)];
  await worker.fetch("/__fail?shard=shard-0");
  await until(async () => (await sockets()) === 2, { within: 10_000, what: "both streams again" });
  const third = await openSse(worker);
  assert.deepEqual([third.status, third.problem?.code], [429, "too-many-streams"]);
  for (const stream of streams) await stream.close();
  await worker.stop();
});

test("an open stream goes on over more shards than it began with", async () => {
  // Its Worker is of the old configuration, and its shards are of the new one already.
  const worker = await startWorker({ entry: WATCHED });
  const client = clientOf(worker);
  const streams = [await openSse(worker), await openLines(worker)];
  await client.accepted(anEvent({ coreid: "d-stays" }));
  for (const stream of streams) await stream.have(1, kept);
  const append = (shard, seq) => worker.fetch(`/__append?shard=${shard}&device=d-moved&seq=${seq}`);
  await append("shard-2", 1);
  await worker.fetch("/__shards?count=3");
  await worker.fetch("/__fail?shard=shard-0");
  for (const stream of streams) await stream.have(2, kept);
  await append("shard-2", 2);
  await client.accepted(anEvent({ coreid: "d-stays" }));
  for (const stream of streams) {
    await stream.have(4, kept);
    assert.equal(assertWhole(stream.items), 4);
  }
  const opened = await openSse(worker);
  await append("shard-1", 3);
  await opened.have(1, kept);
  assert.deepEqual(
    opened.items.filter(kept).map(nameOf),
    ["d-moved 3"],
    "one that is opened begins at the heads",
  );
  for (const stream of [...streams, opened]) await stream.close();
  await worker.stop();
});

test("a machine killed under load: what was acknowledged comes, once and in order", async () => {
  const worker = await startWorker({ vars: { FLEET_SHARDS: "4" } });
  const client = clientOf(worker);
  const acknowledged = new Set();
  const seen = [];
  let after;
  await client.accepted(anEvent({ coreid: DEVICES[0], event_id: "first" }));
  await until(async () => (await history(worker)).length === 1);
  for (const round of [1, 2]) {
    const live = await openSse(worker, "/v1/events", { lastEventId: after });
    const stopped = { now: false };
    const load = DEVICES.map(async (coreid) => {
      while (!stopped.now) {
        const events = numbers(1, 3).map(() => anEvent({ coreid }));
        try {
          const response = await client.publish(events);
          await response.text();
          if (response.status === 200) events.forEach(({ event_id }) => acknowledged.add(event_id));
        } catch {
          // Cut off: nothing of it is acknowledged.
        }
      }
    });
    const enough = acknowledged.size + 60;
    await until(() => acknowledged.size >= enough && live.items.filter(kept).length > 20, { within: 20_000 });
    const killed = worker.kill();
    stopped.now = true;
    await Promise.all([killed, ...load]);
    await live.ended;
    seen.push(...live.items.filter(kept));
    after = cursorOf(seen.at(-1));
    await worker.restart();
    // What was committed and not appended comes with the device's next event, or its alarm.
    for (const coreid of DEVICES)
      await client.accepted(anEvent({ coreid, event_id: `after-${round}-${coreid}` }));
  }
  const logged = (await Promise.all(DEVICES.map((device) => client.log(device)))).flat().map(({ id }) => id);
  const rest = await openSse(worker, "/v1/events", { lastEventId: after });
  await rest.have(logged.length - 1 - seen.length, kept, 30_000);
  seen.push(...rest.items.filter(kept));
  await rest.close();
  assert.equal(new Set(seen.map(nameOf)).size, seen.length, "none comes twice");
  const ids = new Set(seen.map(({ data }) => data.id));
  for (const id of acknowledged) assert.ok(ids.has(id), `${id} was acknowledged`);
  const all = [{ data: { seq: 1, coreid: DEVICES[0] } }, ...seen.filter(({ data }) => data.id !== "first")];
  assert.equal(assertWhole(all), logged.length);
  assert.equal(assertWhole(await history(worker)), logged.length);
  await worker.stop();
});

test("a device that is deleted takes its events along, and no cursor with them", async () => {
  const worker = await startWorker();
  const client = clientOf(worker);
  const live = await openSse(worker);
  await client.accepted([1, 2].map(() => anEvent({ coreid: "d-stays" })));
  await live.have(2, kept);
  await client.accepted([1, 2, 3].map(() => anEvent({ coreid: "d-goes" })));
  const newest = cursorOf((await live.have(5, kept)).at(-1));
  await live.close();
  assert.equal((await client.admin("DELETE", "/v1/devices/d-goes")).status, 200);
  // So that the shard reads anew how far its log is.
  await worker.kill();
  await worker.restart();
  assert.deepEqual((await history(worker)).map(nameOf), ["d-stays 1", "d-stays 2"]);
  const again = await openSse(worker, "/v1/events", { lastEventId: newest });
  assert.equal(again.status, 200);
  await client.accepted(anEvent({ coreid: "d-stays" }));
  assert.deepEqual((await again.have(1, kept)).map(nameOf), ["d-stays 3"]);
  await again.close();
  await worker.stop();
});

test("another number of shards: readers go on, and no device's events are lost or out of order", async () => {
  const first = await startWorker({ vars: { FLEET_SHARDS: "1" } });
  const { storage } = first;
  let worker = first;
  let client = clientOf(worker);
  const live = await openSse(worker);
  await publishAll(client, 5);
  await live.have(DEVICES.length * 5, kept);
  await live.close();
  const seen = live.items.filter(kept);
  for (const [round, shards] of [4, 2].entries()) {
    await worker.release();
    worker = await startWorker({ vars: { FLEET_SHARDS: String(shards) }, persist: storage });
    client = clientOf(worker);
    const stream = await openSse(worker, "/v1/events", { lastEventId: cursorOf(seen.at(-1)) });
    await publishAll(client, 5);
    await stream.have(DEVICES.length * 5, kept, 30_000);
    await stream.close();
    seen.push(...stream.items.filter(kept));
    assert.equal(assertWhole(seen), DEVICES.length * 5 * (round + 2));
  }
  await worker.stop();
  await first.stop();
});
