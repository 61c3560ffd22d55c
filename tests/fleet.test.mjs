// The fleet's side: every device's log reaches its shard once and in order, whatever happens on the way; the list of
// devices and the counts are read from there.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, nextLink, numbers, until } from "./support/client.mjs";
import { rowsWith } from "./support/storage.mjs";
import { READ, startWorker } from "./support/worker.mjs";

/** Longer than the safety alarm waits. */
const SAFETY_MS = 25_000;

/** What the shards' logs on disk hold of a device: its sequence numbers, in the order of the merged log. */
function inShards(worker, device) {
  const rows = rowsWith(worker.storage, "Fleet", `"coreid":"${device}"`).flatMap((row) => {
    const [, pos, at, body] = /^(\d+) (\d+) \S+ \d+ (\[.*\])$/s.exec(row) ?? [];
    return body ? [{ pos: Number(pos), at: Number(at), seqs: JSON.parse(body).map(({ seq }) => seq) }] : [];
  });
  return rows.sort((a, b) => a.at - b.at || a.pos - b.pos).flatMap(({ seqs }) => seqs);
}

const reached = (worker, device, count, within = 5_000) =>
  until(() => inShards(worker, device).length >= count, { within, what: `${count} events of ${device}` });

describe("the list of devices", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { FLEET_SHARDS: "3" } });
    client = clientOf(worker);
    for (const [coreid, event, product_id] of [
      ["aa-1", "temp", "100"],
      ["aa-2", "door/front", "100"],
      ["bb-1", "temp/in", "200"],
      ["bb-2", "temp", undefined],
    ])
      await client.accepted(anEvent({ coreid, event, product_id, fw_version: "7" }));
    await until(async () => (await client.devices()).length === 4, { what: "all four in the list" });
  });
  after(() => worker.stop());

  const ids = async (query) => (await client.read("GET", `/v1/devices?${query}`)).body.map(({ id }) => id);

  test("shows what was last heard of each, in order of id, over all shards", async () => {
    const { body } = await client.read("GET", "/v1/devices");
    assert.deepEqual(
      body.map(({ id }) => id),
      ["aa-1", "aa-2", "bb-1", "bb-2"],
    );
    const { first_heard, last_heard, ...rest } = body[1];
    assert.ok(Date.parse(first_heard) <= Date.parse(last_heard));
    assert.deepEqual(rest, {
      id: "aa-2",
      name: "aa-2",
      online: true,
      connected: true,
      product_id: "100",
      firmware_version: "7",
      last_event: "door/front",
      events: 1,
    });
  });

  for (const [query, expected] of [
    ["product=100", ["aa-1", "aa-2"]],
    ["product=10", []],
    ["id=bb", ["bb-1", "bb-2"]],
    ["event=temp", ["aa-1", "bb-1", "bb-2"]],
    ["event=temp/", ["bb-1"]],
    ["online=true", ["aa-1", "aa-2", "bb-1", "bb-2"]],
    ["online=false", []],
    ["search=B-", ["bb-1", "bb-2"]],
    ["search=OO", ["aa-2"]],
    ["search=-1&id=aa", ["aa-1"]],
    ["id=a&event=door&product=100&online=true", ["aa-2"]],
    ["id=%25", []],
  ])
    test(`?${query} finds ${expected.join(", ") || "none"}`, async () =>
      assert.deepEqual(await ids(query), expected));

  test("a filter that cannot be read is named", async () => {
    assertProblem(await client.read("GET", "/v1/devices?online=perhaps"), 400, {
      code: "bad-query",
      naming: "online",
    });
  });

  test("pages do not shift while devices speak and new ones come", async () => {
    const seen = [];
    let added = 0;
    for (let path = "/v1/devices?limit=1"; path;) {
      const page = await client.read("GET", path);
      seen.push(...page.body.map(({ id }) => id));
      path = nextLink(page.headers);
      // One that stands before the cursor, and one that was seen already.
      await client.accepted(anEvent({ coreid: `a0-${(added += 1)}` }));
      await client.accepted(anEvent({ coreid: "aa-1", event: "again" }));
    }
    assert.deepEqual(
      seen.filter((id) => !id.startsWith("a0")),
      ["aa-1", "aa-2", "bb-1", "bb-2"],
    );
    assert.equal(new Set(seen).size, seen.length);
  });

  test("a device that was only written to is listed as never heard", async () => {
    await client.admin("PATCH", "/v1/devices/written/twin", { a: 1 });
    const listed = await until(async () => (await client.read("GET", "/v1/devices?id=written")).body[0], {
      what: "the device in the list",
    });
    assert.deepEqual(
      [listed.first_heard, listed.last_heard, listed.events, listed.online],
      [null, null, 0, false],
    );
  });
});

describe("from device to fleet", () => {
  test("everything committed reaches the shard in order, also across kills between commit and append", async () => {
    const worker = await startWorker();
    const client = clientOf(worker);
    try {
      const acknowledged = { x: 0, y: 0 };
      for (let round = 0; round < 3; round++) {
        let stopped = false;
        const load = ["x", "y"].map(async (coreid) => {
          while (!stopped) {
            const answer = await client.publish(anEvent({ coreid })).catch(() => undefined);
            if (answer?.status === 204) acknowledged[coreid] += 1;
          }
        });
        const enough = acknowledged.x + 40;
        await until(() => acknowledged.x >= enough, { within: 20_000, every: 3 });
        const killed = worker.kill();
        stopped = true;
        await Promise.all([killed, ...load]);
        await worker.restart();
      }
      for (const coreid of ["x", "y"]) {
        const log = await client.log(coreid);
        assert.ok(log.length >= acknowledged[coreid]);
        // Nothing is sent to the devices any more: what the kill cut off comes by the safety alarm.
        await reached(worker, coreid, log.length, SAFETY_MS);
        assert.deepEqual(inShards(worker, coreid), numbers(1, log.length));
      }
    } finally {
      await worker.stop();
    }
  });

  test("a device moves when the number of shards changes, and loses nothing", async () => {
    const devices = numbers(1, 8).map((n) => `mover-${n}`);
    const sent = new Map(devices.map((coreid) => [coreid, 0]));
    const persist = mkdtempSync(join(tmpdir(), "fieldhook-moving-"));
    let worker;
    try {
      for (const FLEET_SHARDS of ["1", "4", "2", "4"]) {
        await worker?.stop();
        worker = await startWorker({ vars: { FLEET_SHARDS }, persist });
        const client = clientOf(worker);
        for (let times = 0; times < 3; times++) {
          await Promise.all(
            devices.map((coreid) => client.accepted(anEvent({ coreid, event: `at-${FLEET_SHARDS}` }))),
          );
        }
        for (const coreid of devices) {
          sent.set(coreid, sent.get(coreid) + 3);
          await reached(worker, coreid, sent.get(coreid));
        }
        const listed = await until(
          async () => {
            const { body } = await client.read("GET", `/v1/devices?event=at-${FLEET_SHARDS}`);
            return body.length === devices.length && body;
          },
          { what: "every device in the list with its last event" },
        );
        assert.ok(listed.every(({ id, events }) => events === sent.get(id)));
        for (const coreid of devices)
          assert.deepEqual(inShards(worker, coreid), numbers(1, sent.get(coreid)), coreid);
      }
      const others = await worker.fetch("/v1/devices", { headers: { authorization: `Bearer ${READ}` } });
      assert.equal((await others.json()).length, devices.length, "no device is listed twice");
    } finally {
      await worker?.stop();
      rmSync(persist, { recursive: true, force: true });
    }
  });

  test("a device that is deleted leaves no row in any shard, and begins anew", async () => {
    const worker = await startWorker();
    const client = clientOf(worker);
    try {
      for (const n of numbers(1, 5)) await client.accepted(anEvent({ coreid: "gone", data: `gone-${n}` }));
      await client.accepted(anEvent({ coreid: "stays" }));
      await reached(worker, "gone", 5);
      assert.equal((await client.admin("DELETE", "/v1/devices/gone")).status, 200);
      assert.deepEqual(rowsWith(worker.storage, "Fleet", "gone"), []);
      assert.deepEqual(await client.devices(), ["stays"]);
      for (let times = 0; times < 2; times++)
        await client.accepted(anEvent({ coreid: "gone", data: "anew" }));
      await reached(worker, "gone", 2);
      assert.deepEqual(inShards(worker, "gone"), [1, 2]);
    } finally {
      await worker.stop();
    }
  });

  test("an event too large for a row of the shard's log is there without its data, and whole in its own log", async () => {
    const worker = await startWorker({ vars: { MAX_BODY: "4000000" } });
    const client = clientOf(worker);
    try {
      // Six bytes each, once it is written as JSON; with what a transform makes of it, too much for one row.
      const data = "\u0001".repeat(290_000);
      await client.define("/v1/transforms/whole", { event: "temp", body: "\u0001".repeat(30_000) });
      const to = "/hook?event=temp&coreid=large";
      assert.equal((await client.publish(data, { to, "content-type": "text/plain" })).status, 204);
      await client.accepted(anEvent({ coreid: "large", event: "small" }));
      await reached(worker, "large", 2);
      assert.deepEqual(inShards(worker, "large"), [1, 2]);
      assert.equal(rowsWith(worker.storage, "Fleet", '"truncated":true').length, 1);
      assert.equal((await client.log("large"))[0].raw.length, data.length);
    } finally {
      await worker.stop();
    }
  });
});

describe("/v1/stats", () => {
  test("tells the last hour by minute, and how many devices there are, also across a restart", async () => {
    const worker = await startWorker({ vars: { FLEET_SHARDS: "2" } });
    const client = clientOf(worker);
    const stats = async () => (await client.read("GET", "/v1/stats")).body;
    const events = async () => (await stats()).minutes.events.reduce((sum, count) => sum + count);
    try {
      assert.deepEqual((await stats()).devices, { known: 0, online: 0 });
      // More than a shard leaves unwritten, so that both what is written and what is not are told.
      const batch = (from) => numbers(from, from + 499).map((n) => anEvent({ coreid: `told-${n % 40}` }));
      for (const from of [1, 501, 1001, 1501, 2001]) await client.accepted(batch(from));
      await client.admin("PATCH", "/v1/devices/written/twin", { a: 1 });
      await until(async () => (await events()) === 2_500 && (await stats()).devices.known === 41, {
        within: 20_000,
        what: "all events and devices",
      });
      await worker.kill();
      await worker.restart();
      const { minutes, devices } = await stats();
      assert.deepEqual(devices, { known: 41, online: 40 });
      assert.equal(minutes.events.length, 60);
      assert.equal(await events(), 2_500);
      const begun = Date.parse(minutes.from) + 59 * 60_000;
      assert.ok(begun <= Date.now() && Date.now() < begun + 120_000, minutes.from);
    } finally {
      await worker.stop();
    }
  });

  test("counts each day's events exactly, also across a restart, and what the edge saw about right", async () => {
    const worker = await startWorker({ vars: { FLEET_SHARDS: "2" } });
    const client = clientOf(worker);
    const today = async () => (await client.read("GET", "/v1/stats")).body.days[0] ?? {};
    try {
      const events = numbers(1, 30).map((n) => anEvent({ coreid: `counted-${n % 5}` }));
      await client.accepted(events);
      await client.publish(events[0]);
      await client.publish(events[1]);
      await client.publish("{broken");
      await client.publish(anEvent(), { token: "wrong" });
      await until(async () => (await today()).events === 30, { what: "thirty events" });
      await until(async () => (await today()).duplicates > 0, { within: 15_000, what: "the edge's counts" });
      const { day, ...counts } = await today();
      assert.equal(day, new Date().toISOString().slice(0, 10));
      assert.deepEqual(counts, { events: 30, duplicates: 2, refused: 2, limited: 0, errors: 0 });
      await worker.kill();
      await worker.restart();
      assert.equal((await today()).events, 30);
    } finally {
      await worker.stop();
    }
  });
});
