// Nothing acknowledged is lost: workerd is killed under load, with no chance to finish anything, and started again
// on the same storage.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { startWorker } from "./support/worker.mjs";

const ROUNDS = 3;
const DEVICES = numbers(1, 4).map((n) => `device-${n}`);
const SENDERS_PER_DEVICE = 4;
const BATCH = 10;

describe("SIGKILL under load", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  /** By event id: the device, and whether the Worker has acknowledged the event. */
  const sent = new Map();
  const pick = (acknowledged) => [...sent.values()].filter((entry) => entry.acknowledged === acknowledged);

  /** Sends one request of events; a request that the kill cut off acknowledges nothing. */
  async function publish(entries) {
    const events = entries.map(({ event }) => event);
    try {
      const response = await client.publish(events.length === 1 ? events[0] : events);
      const text = await response.text();
      if (response.status === 204) entries[0].acknowledged = true;
      if (response.status === 200) {
        const { accepted, duplicates, refused } = JSON.parse(text);
        assert.deepEqual([accepted + duplicates, refused], [events.length, []]);
        for (const entry of entries) entry.acknowledged = true;
      }
      assert.ok([200, 204, 503].includes(response.status), `${response.status} ${text}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
  }

  function newEntries(coreid, count) {
    return numbers(1, count).map(() => {
      const event = anEvent({ coreid });
      const entry = { event, acknowledged: false };
      sent.set(event.event_id, entry);
      return entry;
    });
  }

  async function sendUntil(stopped, coreid, sender) {
    while (!stopped.now) await publish(newEntries(coreid, sender === 0 ? BATCH : 1));
  }

  /** Kills in the middle of the load, once so many more events have been acknowledged. */
  async function killUnderLoad(acknowledged) {
    const enough = pick(true).length + acknowledged;
    const stopped = { now: false };
    const load = DEVICES.flatMap((coreid) =>
      numbers(0, SENDERS_PER_DEVICE - 1).map((sender) => sendUntil(stopped, coreid, sender)),
    );
    try {
      await until(() => pick(true).length >= enough, { within: 20_000, every: 5, what: "the load" });
      const killed = worker.kill();
      stopped.now = true; // no sender begins anew against a server that is down
      await killed;
    } finally {
      stopped.now = true;
      await Promise.all(load);
    }
    await worker.restart();
  }

  /** Ids in all logs; asserts on the way that numbers have no gaps and no id is there twice. */
  async function idsInLogs() {
    const ids = [];
    for (const device of DEVICES) {
      const log = await client.log(device);
      assert.deepEqual(
        log.map(({ seq }) => seq),
        numbers(1, log.length),
        `${device} counts without gaps`,
      );
      assert.ok(log.every(({ coreid }) => coreid === device));
      ids.push(...log.map(({ id }) => id));
    }
    assert.equal(new Set(ids).size, ids.length, "each event is there once");
    return new Set(ids);
  }

  for (const round of numbers(1, ROUNDS)) {
    test(`round ${round}: every acknowledged event is in its log exactly once`, async () => {
      await killUnderLoad(60 * round);
      assert.ok(pick(false).length > 0, "the kill cut requests off");
      const kept = await idsInLogs();
      for (const { event } of pick(true))
        assert.ok(kept.has(event.event_id), `${event.event_id} was acknowledged`);
    });

    test(`round ${round}: what was not acknowledged and is sent again is in its log exactly once`, async () => {
      const unsure = pick(false);
      for (const coreid of DEVICES) {
        const again = unsure.filter(({ event }) => event.coreid === coreid);
        await Promise.all(again.map((entry) => publish([entry])));
      }
      assert.equal(pick(false).length, 0, "all is acknowledged now");
      assert.deepEqual([...(await idsInLogs())].sort(), [...sent.keys()].sort());
    });
  }

  test("what was acknowledged is a repeat when it is sent again", async () => {
    for (const { event } of [...sent.values()].slice(-50))
      assert.equal((await client.accepted(event)).duplicate, true);
    assert.equal((await idsInLogs()).size, sent.size);
  });

  test("every device is in the fleet's list", async () => {
    await until(async () => (await client.devices()).length === DEVICES.length, {
      what: "the list of devices",
    });
    assert.deepEqual(await client.devices(), DEVICES);
  });

  test("what an event says anew of its device outlasts a kill", async () => {
    const coreid = "updated";
    await client.accepted(anEvent({ coreid, product_id: "12", fw_version: "3" }));
    await client.accepted(anEvent({ coreid, fw_version: "4" }));
    await client.accepted(anEvent({ coreid, userid: "owner" }));
    await client.accepted(anEvent({ coreid }));
    await worker.kill();
    await worker.restart();
    const { product_id, firmware_version, userid } = (await client.read("GET", `/v1/devices/${coreid}`)).body;
    assert.deepEqual(
      { product_id, firmware_version, userid },
      {
        product_id: "12",
        firmware_version: "4",
        userid: "owner",
      },
    );
  });

  test("configuration and quarantine that were acknowledged outlast a kill", async () => {
    await client.define("/v1/sources/lasting", { responseTemplate: "still here" });
    assert.equal((await client.publish("{broken")).status, 400);
    await worker.kill();
    await worker.restart();
    assert.equal((await client.accepted(anEvent(), { to: "/hook/lasting" })).text, "still here");
    const { quarantine } = (await client.admin("GET", "/v1/quarantine")).body;
    assert.deepEqual(
      quarantine.map(({ body }) => body),
      ["{broken"],
    );
  });
});
