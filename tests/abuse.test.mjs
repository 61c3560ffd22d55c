// Whoever floods the Worker holds up nobody else, and fills no memory. How long others wait meanwhile is measured by
// `node tests/faults/abuse.mjs`, not here: a busy machine would fail it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import * as floods from "./support/floods.mjs";
import { COUNTED, startWorker } from "./support/worker.mjs";

/** Far more than any of this takes, far less than it took without a bound. */
const MEMORY_MAX = 500_000_000;

describe("the good device is answered, and memory stays within its bound,", () => {
  let worker, client, idle;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
    await client.accepted(anEvent());
    idle = worker.memory();
  });
  after(() => worker.stop());

  const assertOthersGoOn = async () => {
    for (const _ of numbers(1, 10)) await client.accepted(anEvent({ coreid: "good" }));
    // A body that is read part by part, as those of the flood are.
    await client.accepted(numbers(1, 20).map(() => anEvent({ coreid: "good", data: "x".repeat(2_000) })));
    const grown = worker.memory() - idle;
    assert.ok(grown < MEMORY_MAX, `${Math.round(grown / 1e6)} MB more`);
  };

  test("while a thousand connections send their headers slowly", async () => {
    const flood = await floods.slowHeaders(worker);
    await assertOthersGoOn();
    flood.end();
  });

  test("while a thousand connections send their bodies slowly", async () => {
    const flood = await floods.slowBodies(worker);
    await assertOthersGoOn();
    assert.equal(flood.open(), 1_000, "which are no less welcome for being slow");
    flood.end();
  });

  for (const [what, begin] of [
    ["of a declared length", floods.slowLargeBodies],
    ["in chunks, without a proof", floods.slowChunkedBodies],
  ]) {
    test(`while a thousand connections never finish large bodies ${what}`, async () => {
      const flood = await begin(worker);
      await assertOthersGoOn();
      const answers = await until(
        () => {
          const answered = flood.received().filter(Boolean);
          return answered.length > 500 && answered;
        },
        { within: 60_000, what: "most of the oldest giving way" },
      );
      for (const answer of answers) {
        assert.match(answer, /^HTTP\/1\.1 503 /);
        assert.match(answer, /\r\nretry-after: \d+\r\n/i);
      }
      flood.end();
    });
  }

  test("while one device publishes without a pause, and is told 429", async () => {
    const flood = await floods.oneDevice(worker);
    await assertOthersGoOn();
    // Its burst is used up in a second or two, or by this.
    await client.publish(numbers(1, 500).map(() => anEvent({ coreid: "gone-wild" })));
    await client.publish(numbers(1, 500).map(() => anEvent({ coreid: "gone-wild" })));
    const answer = await client.publish(anEvent({ coreid: "gone-wild" }));
    assert.equal(answer.status, 429);
    await assertOthersGoOn();
    await flood.end();
    assert.deepEqual(
      [...flood.statuses.keys()].filter((status) => ![204, 429].includes(status)),
      [],
    );
  });
});

test("a flood of bad tokens calls no object, keeps nothing, and closes the door on nobody behind its address", async () => {
  const worker = await startWorker({ entry: COUNTED });
  try {
    const client = clientOf(worker);
    await client.accepted(anEvent({ coreid: "good" }));
    const flood = await floods.badTokens(worker);
    for (const _ of numbers(1, 10)) await client.accepted(anEvent({ coreid: "good" }));
    await flood.end();
    assert.deepEqual([...flood.statuses.keys()], [401]);
    assert.deepEqual((await client.admin("GET", "/v1/quarantine")).body.quarantine, []);
    const { calls } = await (await worker.fetch("/__counts")).json();
    assert.equal(calls["DEVICE.accept"], 11);
    assert.equal(calls["FLEET.quarantineAdd"], undefined);
  } finally {
    await worker.stop();
  }
});
