// Retention: a log keeps what is young enough and as much as may be, and its numbers never start again.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { rowsWith } from "./support/storage.mjs";
import { startWorker } from "./support/worker.mjs";

const RETENTION_MS = 3_000;
const MEGABYTE = 1_048_576;

describe("retention", { concurrency: true }, () => {
  describe("with RETENTION_DAYS of three seconds", { concurrency: 1 }, () => {
    let worker, client;
    before(async () => {
      worker = await startWorker({ vars: { RETENTION_DAYS: String(RETENTION_MS / 86_400_000) } });
      client = clientOf(worker);
      for (const n of numbers(1, 3))
        await client.accepted(anEvent({ coreid: "silent", data: `silent-${n}` }));
      assert.equal(onDisk("silent-").length, 3, "the disk is where they are");
    });
    after(() => worker.stop());

    const seqs = async (device) => (await client.log(device)).map(({ seq }) => seq);
    const onDisk = (text) => rowsWith(worker.storage, "Device", text);

    test("old events go from history and from disk, young ones stay, and numbers go on", async () => {
      for (const n of numbers(1, 3)) await client.accepted(anEvent({ coreid: "ageing", data: `old-${n}` }));
      assert.equal(onDisk("old-").length, 3);

      // What was sent just now is always young, however slow the machine: the old ones age beside it.
      let sent = 3;
      const youngOnly = async () => {
        sent += 1;
        await client.accepted(anEvent({ coreid: "ageing", data: `young-${sent}` }));
        const kept = await seqs("ageing");
        assert.deepEqual(kept, numbers(kept[0], sent), "what is kept is the newest, without gaps");
        return kept[0] > 3;
      };
      await until(youngOnly, { within: RETENTION_MS + 10_000, what: "the old events to leave history" });
      await until(() => onDisk("old-").length === 0, { within: 10_000, what: "the deletion of old rows" });

      await client.accepted(anEvent({ coreid: "ageing", data: "younger" }));
      assert.equal((await client.newest("ageing")).seq, sent + 1);
    });

    test("a device all of whose events are too old is known, and goes on counting after a restart", async () => {
      await until(() => onDisk("silent-").length === 0, {
        within: RETENTION_MS + 5_000,
        what: "the deletion of all rows",
      });
      await worker.restart();
      const page = await client.read("GET", "/v1/devices/silent/history");
      assert.deepEqual([page.status, page.body], [200, { events: [], next: null }]);
      assert.equal((await client.read("GET", "/v1/devices/silent")).status, 200);
      await client.accepted(anEvent({ coreid: "silent" }));
      assert.deepEqual(await seqs("silent"), [4]);
    });

    test("deletion also comes to a device that was silent through a restart", async () => {
      await client.accepted(anEvent({ coreid: "slept", data: "slept-through" }));
      await worker.kill();
      await sleep(RETENTION_MS);
      await worker.restart();
      await until(() => onDisk("slept-through").length === 0, { within: 8_000, what: "the alarm" });
    });
  });

  describe("with MAX_LOG_MB=0.5", { concurrency: 1 }, () => {
    const BOUND = 0.5 * MEGABYTE;
    const SIZE = 4_000;
    const SENT = 300;
    let worker, client;
    before(async () => {
      worker = await startWorker({ vars: { MAX_LOG_MB: "0.5" } });
      client = clientOf(worker);
    });
    after(() => worker.stop());

    /** Sends events of 4 KB, `at` of them in one request, and looks at what is kept of them. */
    async function fill(device, at) {
      const event = () => anEvent({ coreid: device, data: "x".repeat(SIZE) });
      const requests = numbers(1, SENT / at).map(() => (at === 1 ? event() : numbers(1, at).map(event)));
      while (requests.length) await Promise.all(requests.splice(0, 10).map((body) => client.accepted(body)));
      return (await client.log(device)).map(({ seq }) => seq);
    }

    for (const at of [1, 10, 15]) {
      test(`the oldest events are dropped, the newest kept (${at} a request)`, async () => {
        const device = `full-${at}`;
        const kept = await fill(device, at);
        assert.deepEqual(kept, numbers(kept[0], SENT), "what is kept is the newest, without gaps");
        assert.ok(kept[0] > 1, "something was dropped");
        assert.ok(kept.length * SIZE < 2 * BOUND, `${kept.length} events of ${SIZE} bytes are kept`);
        assert.ok(kept.length * SIZE > BOUND / 4, "no more is dropped than has to be");

        await worker.restart();
        await client.accepted(anEvent({ coreid: device }));
        assert.equal((await client.newest(device)).seq, SENT + 1);
      });
    }

    test("a small log is left alone", async () => {
      for (const n of numbers(1, 70)) await client.accepted(anEvent({ coreid: "small", data: n }));
      assert.equal((await client.log("small")).length, 70);
    });
  });
});
