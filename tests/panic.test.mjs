// A panic is one request's misfortune: it is answered, and nothing else in the isolate notices.
// The build under test panics when it is told to; the one that ships has no such header.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { COUNTED, startWorker } from "./support/worker.mjs";

const PANIC = { "x-inject": "panic" };
const WAIT = { "x-inject": "wait" };
/** An event of this name panics inside its device's object. */
const PANICS_INSIDE = "inject-panic";

describe("a panic", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ build: "inject", entry: COUNTED, vars: { DEDUP_KV: "off" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  /** Publishes, and answers the problem that comes back. */
  async function problemOf(event, options) {
    const { status, headers, ...response } = await read(client.publish(event, options));
    return { status, headers, ...response, body: JSON.parse(response.text) };
  }

  async function read(responding) {
    const response = await responding;
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  const takeCounts = async () => (await worker.fetch("/__counts", { method: "DELETE" })).json();
  const seqs = async (device) => (await client.log(device)).map(({ seq }) => seq);

  test("is one 500, as a problem that tells nothing of the inside", async () => {
    const answer = await problemOf(anEvent({ coreid: "unlucky" }), PANIC);
    assertProblem(answer, 500, { code: "internal" });
    assert.doesNotMatch(answer.text, /panic|\.rs|wasm|unreachable/i);
  });

  test("acknowledges nothing and keeps nothing, and the same event is new afterwards", async () => {
    const event = anEvent({ coreid: "unlucky-once" });
    assert.equal((await problemOf(event, PANIC)).status, 500);
    assert.deepEqual(await seqs("unlucky-once"), []);
    assert.equal((await client.accepted(event)).duplicate, false);
  });

  test("leaves another request in flight to be answered", async () => {
    const waiting = numbers(1, 5).map(() => client.accepted(anEvent({ coreid: "in-flight" }), WAIT));
    await sleep(50);
    assert.equal((await problemOf(anEvent(), PANIC)).status, 500);
    await Promise.all(waiting);
    assert.deepEqual(await seqs("in-flight"), numbers(1, 5));
  });

  test("leaves another object's memory intact", async () => {
    await client.accepted(anEvent({ coreid: "bystander" }));
    await sleep(200);
    for (const spoil of [
      () => problemOf(anEvent(), PANIC),
      () => problemOf(anEvent({ coreid: "spoilt", event: PANICS_INSIDE })),
    ]) {
      assert.ok((await spoil()).status >= 500);
      await takeCounts();
      await client.accepted(anEvent({ coreid: "bystander" }));
      const { sql } = await takeCounts();
      assert.equal(sql.Device, 1, "an object that had lost its memory would read its tables first");
    }
    assert.deepEqual(await seqs("bystander"), [1, 2, 3]);
  });

  test("again and again, alone and at once, is answered each time", async () => {
    for (let times = 0; times < 5; times++) assert.equal((await problemOf(anEvent(), PANIC)).status, 500);
    const mixed = numbers(1, 40).map((n) =>
      read(client.publish(anEvent({ coreid: "mixed" }), n % 2 ? PANIC : {})),
    );
    const statuses = (await Promise.all(mixed)).map(({ status }) => status);
    assert.deepEqual(
      statuses,
      numbers(1, 40).map((n) => (n % 2 ? 500 : 204)),
    );
    assert.deepEqual(await seqs("mixed"), numbers(1, 20));
  });

  describe("inside a device's object", () => {
    test("says that the event is not stored and may be sent again", async () => {
      const answer = await problemOf(anEvent({ coreid: "inside", event: PANICS_INSIDE }));
      assertProblem(answer, 503, { code: "commit-failed" });
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
    });

    test("leaves the device's log and numbers as they were", async () => {
      for (const n of numbers(1, 3)) {
        await client.accepted(anEvent({ coreid: "hurt", data: n }));
        assert.equal((await problemOf(anEvent({ coreid: "hurt", event: PANICS_INSIDE }))).status, 503);
      }
      assert.deepEqual(
        (await client.log("hurt")).map(({ seq, data }) => [seq, data]),
        [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
      );
      const { body } = await client.read("GET", "/v1/devices/hurt");
      assert.equal(body.last_event.seq, 3);
    });

    test("does not forget which events were seen", async () => {
      const event = anEvent({ coreid: "remembering" });
      await client.accepted(event);
      await problemOf(anEvent({ coreid: "remembering", event: PANICS_INSIDE }));
      assert.equal((await client.accepted(event)).duplicate, true);
    });

    test("in the middle of a batch: sent again without it, every item is there once", async () => {
      const good = numbers(1, 6).map(() => anEvent({ coreid: "batch" }));
      const bad = anEvent({ coreid: "batch", event: PANICS_INSIDE });
      assert.equal((await problemOf([...good.slice(0, 3), bad, ...good.slice(3)])).status, 503);
      const answer = await read(client.publish(good));
      const { accepted, duplicates } = JSON.parse(answer.text);
      assert.equal(accepted + duplicates, good.length);
      await client.accepted(anEvent({ coreid: "batch" }));
      const log = await client.log("batch");
      assert.deepEqual(
        log.map(({ seq }) => seq),
        numbers(1, 7),
      );
      assert.deepEqual(
        log.slice(0, 6).map(({ id }) => id),
        good.map(({ event_id }) => event_id),
      );
    });

    test("leaves events of the same and of other devices, on their way at that moment, to be counted", async () => {
      const devices = ["same", "other-1", "other-2"];
      const events = numbers(1, 60).map((n) =>
        anEvent({ coreid: devices[n % 3], ...(n % 12 === 0 && { event: PANICS_INSIDE }) }),
      );
      const answers = await Promise.all(events.map((event) => read(client.publish(event))));
      for (const [index, { status }] of answers.entries()) {
        assert.equal(status, events[index].event === PANICS_INSIDE ? 503 : 204);
      }
      assert.deepEqual(await seqs("same"), numbers(1, 15));
      for (const device of devices.slice(1)) assert.deepEqual(await seqs(device), numbers(1, 20));
    });
  });

  test("leaves the log as it is on disk: a restart finds the same", async () => {
    const before = await seqs("mixed");
    await worker.restart();
    assert.deepEqual(await seqs("mixed"), before);
  });
});

describe("the Worker that ships", () => {
  test("knows no way to be told to panic", async () => {
    const worker = await startWorker();
    const client = clientOf(worker);
    await client.accepted(anEvent({ event: PANICS_INSIDE }), PANIC);
    await worker.stop();
  });
});
