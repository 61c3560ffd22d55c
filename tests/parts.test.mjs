// A log lies in several tables, and ages out a table at a time: nobody who reads it can tell.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { rowsWith } from "./support/storage.mjs";
import { COUNTED, READ, startWorker } from "./support/worker.mjs";

/** The newest events of all devices that the shard still shows. */
async function fleetLog(worker) {
  const headers = { authorization: `Bearer ${READ}`, accept: "application/json" };
  return (await (await worker.fetch("/v1/events", { headers })).json()).events;
}

describe("with RETENTION_DAYS of six seconds, and alarms that come only when they are called", () => {
  const RETENTION_MS = 6_000;
  let worker, client;
  before(async () => {
    const RETENTION_DAYS = String(RETENTION_MS / 86_400_000);
    worker = await startWorker({ entry: COUNTED, vars: { DEDUP_KV: "off", RETENTION_DAYS } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const alarm = (of) => worker.fetch(`/__alarm?${of}`, { method: "POST" });
  const seqs = async (device) => (await client.log(device)).map(({ seq }) => seq);

  test("an event that has aged out is not shown while its table stays, and its repeat is still one", async () => {
    const coreid = "aged";
    const first = anEvent({ coreid, data: "1" });
    await client.accepted(first);
    await sleep(RETENTION_MS / 3);
    await client.accepted(anEvent({ coreid, data: "2" }));
    assert.deepEqual(await seqs(coreid), [1, 2], "two tables are read as one");
    assert.equal((await client.accepted(first)).duplicate, true, "a key is known in every table");

    await sleep(RETENTION_MS);
    await client.accepted(anEvent({ coreid, data: "3" }));
    await until(async () => (await client.devices()).includes(coreid));
    assert.deepEqual(await seqs(coreid), [3]);
    const shown = (await client.read("GET", `/v1/devices/${coreid}`)).body;
    assert.deepEqual([shown.oldest_seq, shown.newest_seq, shown.events], [3, 3, 3]);
    await until(async () => {
      const fleet = await fleetLog(worker);
      assert.ok(
        fleet.every(({ seq }) => seq > 2),
        JSON.stringify(fleet),
      );
      return fleet.length === 1;
    });
    const chart = (await client.read("GET", `/v1/devices/${coreid}/series?field=`)).body;
    assert.equal(
      chart.buckets.reduce((sum, { count }) => sum + count, 0),
      1,
      JSON.stringify(chart),
    );
    assert.equal(rowsWith(worker.storage, "Device", first.event_id).length, 1, "it is still there");
    assert.equal((await client.accepted(first)).duplicate, true, "and known");

    await alarm(`device=${coreid}`);
    assert.equal(rowsWith(worker.storage, "Device", first.event_id).length, 0);
    assert.deepEqual(await seqs(coreid), [3]);
    const again = await client.accepted(first);
    assert.equal(again.duplicate, false, "with its row its key is gone");
    assert.equal((await client.newest(coreid)).seq, 4);
  });

  test("a table that was read and left half-way is dropped like any other", async () => {
    const coreid = "left";
    const large = () => anEvent({ coreid, data: "x".repeat(200_000) });
    for (let sent = 0; sent < 24; sent++) await client.accepted(large());
    await sleep(RETENTION_MS / 3);
    await client.accepted(anEvent({ coreid }));
    const page = await client.read("GET", `/v1/devices/${coreid}/history?limit=1000`);
    assert.ok(page.body.events.length < 24 && page.body.next, "the page ends early: it is large enough");
    await sleep(RETENTION_MS + 100);
    await worker.fetch("/__counts", { method: "DELETE" });
    await alarm(`device=${coreid}`);
    const { written } = await (await worker.fetch("/__counts")).json();
    // A new table for each of four at most, and the state; had a row been deleted, it were all of them.
    assert.ok(written.Device <= 13, `${written.Device} rows`);
    assert.deepEqual(await seqs(coreid), []);
  });
});

test("a log that was written when it was one table goes on", async () => {
  const worker = await startWorker({ vars: { DEDUP_KV: "off" } });
  try {
    const client = clientOf(worker);
    const first = anEvent({ coreid: "older" });
    await client.accepted(first);
    await client.accepted(anEvent({ coreid: "older" }));
    await until(async () => (await fleetLog(worker)).length === 2);
    await worker.kill();
    asBefore(worker.storage, "Device", "events", 3);
    asBefore(worker.storage, "Fleet", "runs", 4);
    await worker.restart();

    assert.deepEqual(
      (await client.log("older")).map(({ seq }) => seq),
      [1, 2],
    );
    assert.equal((await client.accepted(first)).duplicate, true);
    await client.accepted(anEvent({ coreid: "older" }));
    assert.deepEqual(
      (await client.log("older")).map(({ seq }) => seq),
      [1, 2, 3],
    );
    await until(async () => (await fleetLog(worker)).length === 3);
  } finally {
    await worker.stop();
  }
});

/** Undoes the migration that made one table several. */
function asBefore(storage, className, view, version) {
  const folder = join(storage, "do", `fieldhook-${className}`);
  const names = readdirSync(folder).filter(
    (name) => name.endsWith(".sqlite") && !name.startsWith("metadata."),
  );
  assert.ok(names.length > 0);
  for (const name of names) {
    const database = new DatabaseSync(join(folder, name));
    database.exec(`DROP VIEW ${view}`);
    for (const part of numbers(1, 3)) database.exec(`DROP TABLE log${part}`);
    const { changes } = database.prepare("UPDATE schema_version SET version = ?").run(version);
    assert.equal(changes, 1);
    database.close();
  }
}
