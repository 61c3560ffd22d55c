// A disk that is full, and one that is read-only: 503 with Retry-After, and nothing is acknowledged that is not kept.
// Once there is room again, what was refused is accepted, and counts once.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "../support/client.mjs";
import { startWorker } from "../support/worker.mjs";
import { noSmallDisk, smallDisk } from "./small-disk.mjs";

const MEGABYTES = 16;
/** Larger than the room that open files have left. */
const LARGE = "x".repeat(20_000);

describe("storage", { skip: noSmallDisk() }, () => {
  let disk, worker, client;
  beforeEach(async () => {
    disk = smallDisk(MEGABYTES);
    worker = await startWorker({ persist: disk.folder });
    client = clientOf(worker);
  });
  afterEach(async () => {
    await worker.stop();
    disk.unmount();
  });

  /** By event id: the event, and whether it was acknowledged. */
  const publishAll = async (events) => {
    const acknowledged = new Map();
    for (const event of events) {
      const response = await client.publish(event);
      const text = await response.text();
      assert.ok([204, 503].includes(response.status), `${response.status} ${text}`);
      if (response.status === 503) {
        assert.equal(JSON.parse(text).code, "commit-failed");
        assert.ok(Number(response.headers.get("retry-after")) > 0, "it says when to come again");
      }
      acknowledged.set(event.event_id, response.status === 204);
    }
    return acknowledged;
  };
  const refusedOf = (events, acknowledged) => events.filter(({ event_id }) => !acknowledged.get(event_id));

  /** Asserts that each device's log has exactly these events, each once, without a gap. */
  async function assertLogs(events) {
    for (const coreid of new Set(events.map((event) => event.coreid))) {
      const log = await client.log(coreid);
      const wanted = events.filter((event) => event.coreid === coreid).map(({ event_id }) => event_id);
      assert.deepEqual(log.map(({ id }) => id).sort(), wanted.sort(), coreid);
      assert.deepEqual(
        log.map(({ seq }) => seq),
        numbers(1, log.length),
      );
    }
  }

  test("a full disk: what is not kept is not acknowledged; with room again it counts once", async () => {
    const before = ["known-1", "known-2"].map((coreid) => anEvent({ coreid }));
    await publishAll(before);
    disk.fill();
    const during = numbers(1, 30).map((n) =>
      anEvent({ coreid: ["known-1", "known-2", `new-${n}`][n % 3], data: LARGE }),
    );
    const acknowledged = await publishAll(during);
    const refused = refusedOf(during, acknowledged);
    assert.ok(refused.length > 0, "the disk was full");
    // As Particle's retry, while it is full still.
    for (const [id, kept] of await publishAll(refused)) if (kept) acknowledged.set(id, true);
    disk.free();
    const again = await publishAll(refused);
    assert.ok([...again.values()].every(Boolean), "all are accepted with room again");
    await assertLogs([...before, ...during]);
    await worker.kill();
    await worker.restart();
    await assertLogs([...before, ...during]);
    for (const event of during) assert.equal((await client.accepted(event)).duplicate, true);
    await assertLogs([...before, ...during]);
  });

  test("a full disk: a batch that is not kept whole is 503, and sending it again is safe", async () => {
    const known = anEvent({ coreid: "known" });
    await client.accepted(known);
    disk.fill();
    const batch = numbers(1, 12).map((n) => anEvent({ coreid: n % 2 ? "known" : `new-${n}`, data: LARGE }));
    const response = await client.publish(batch);
    assert.equal(response.status, 503, await response.text());
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    disk.free();
    const answer = await client.publish(batch);
    const { accepted, duplicates } = await answer.json();
    assert.deepEqual([answer.status, accepted + duplicates], [200, batch.length]);
    await assertLogs([known, ...batch]);
  });

  test("read-only storage: nothing is acknowledged, what was kept is read; writable again it is accepted", async () => {
    const before = anEvent({ coreid: "known" });
    await client.accepted(before);
    await worker.kill();
    disk.readOnly();
    await worker.restart();
    const during = ["known", "known", "new"].map((coreid) => anEvent({ coreid }));
    assert.deepEqual(refusedOf(during, await publishAll(during)), during);
    const { body: twin } = await client.read("GET", "/v1/devices/known/twin");
    for (const [method, path, body] of [
      ["PATCH", "/v1/devices/known/twin", { mode: "eco" }],
      ["PATCH", "/v1/devices/unheard/twin", { mode: "eco" }],
      ["POST", "/v1/devices/known/commands", { name: "blink" }],
      ["PUT", "/v1/sources/greenhouse", { responseTemplate: "heard" }],
    ]) {
      const answer = await client.admin(method, path, body);
      assertProblem(answer, 503);
      assert.ok(Number(answer.headers.get("retry-after")) > 0, `${method} ${path}`);
    }
    assert.equal(
      (await client.publish("{broken")).status,
      503,
      "what quarantine cannot keep is not answered for",
    );
    assert.deepEqual((await client.read("GET", "/v1/devices/known/twin")).body, twin);
    await worker.kill();
    disk.writable();
    await worker.restart();
    assert.deepEqual((await client.read("GET", "/v1/devices/known/twin")).body, twin);
    assert.deepEqual(refusedOf(during, await publishAll(during)), []);
    await assertLogs([before, ...during]);
  });
});
