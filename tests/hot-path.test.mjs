// What an event costs, counted: object calls, SQL statements and commits. Time is not measured here.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { commitsDuring } from "./support/commits.mjs";
import { COUNTED, TOKEN, startWorker } from "./support/worker.mjs";

const NEW_EVENT_STATEMENTS = 1;
const NEW_EVENT_STATEMENTS_MAX = 3;
const REPEAT_STATEMENTS = 2;
/** Of so many events memory knows that it has them (core/src/log/recent.rs). */
const RECENT = 4;
/** What the runtime has to do after an answer (KV, the fleet's list) takes a few milliseconds; this is ample. */
const SETTLED = 150;

for (const DEDUP_KV of ["on", "off"]) {
  describe(`the cost, with DEDUP_KV=${DEDUP_KV}`, () => {
    let worker, client;
    before(async () => {
      worker = await startWorker({ entry: COUNTED, vars: { DEDUP_KV, MAX_BODY: "20000" } });
      client = clientOf(worker);
    });
    after(() => worker.stop());

    const takeCounts = async () => (await worker.fetch("/__counts", { method: "DELETE" })).json();

    /**
     * Counts what some work costs. What is due every few seconds is left out: the snapshot's refresh, and the
     * counts for /v1/stats. So is what happens behind the answer: `settled` counts that too.
     */
    async function cost(work) {
      const { calls, statements, commits } = await settled(work, { wait: 0 });
      delete calls["FLEET.append"];
      return { calls, statements: statements.Device, commits: commits.Device };
    }

    /** Counts what some work costs in all, with what happens behind its answer. */
    async function settled(work, { wait = SETTLED } = {}) {
      await takeCounts();
      const commits = { Fleet: {} };
      commits.Device = await commitsDuring(worker.storage, "Device", async () => {
        const whole = async () => {
          await work();
          await sleep(wait);
        };
        if (wait) commits.Fleet = await commitsDuring(worker.storage, "Fleet", whole);
        else await whole();
      });
      const { calls, sql } = await takeCounts();
      const left = (name) => name.startsWith("REGISTRY.") || name === "FLEET.count";
      const all = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
      return {
        calls: Object.fromEntries(Object.entries(calls).filter(([name]) => !left(name))),
        statements: { Device: sql.Device ?? 0, Fleet: sql.Fleet ?? 0 },
        commits: { Device: all(commits.Device), Fleet: all(commits.Fleet) },
      };
    }

    /** A device whose first event, with all that comes with it, is behind it. */
    async function knownDevice(coreid) {
      await client.accepted(anEvent({ coreid }));
      await until(async () => (await client.devices()).includes(coreid), { what: `${coreid} in the list` });
      await sleep(SETTLED);
      return coreid;
    }

    test("the counters count", async () => {
      const { calls, statements, commits } = await cost(() => client.accepted(anEvent({ coreid: "first" })));
      assert.equal(calls["DEVICE.accept"], 1);
      assert.ok(statements > NEW_EVENT_STATEMENTS && commits > 0, "a first event also makes the tables");
    });

    test(`a new event is one object call, ${NEW_EVENT_STATEMENTS} statement and one commit`, async () => {
      const coreid = await knownDevice("new");
      for (let times = 0; times < 3; times++) {
        const counted = await cost(() => client.accepted(anEvent({ coreid })));
        assert.deepEqual(counted, {
          calls: { "DEVICE.accept": 1 },
          statements: NEW_EVENT_STATEMENTS,
          commits: 1,
        });
      }
    });

    test("behind the answer, its shard takes it in one object call, two statements and one commit", async () => {
      const coreid = await knownDevice("appended");
      await client.accepted(anEvent({ coreid }));
      await sleep(SETTLED);
      for (let times = 0; times < 3; times++) {
        const counted = await settled(() => client.accepted(anEvent({ coreid })));
        assert.deepEqual(counted, {
          calls: { "DEVICE.accept": 1, "FLEET.append": 1 },
          statements: { Device: NEW_EVENT_STATEMENTS, Fleet: 1 },
          commits: { Device: 1, Fleet: 1 },
        });
      }
    });

    test("a batch of fifty events of one device is one append", async () => {
      const coreid = await knownDevice("appended-batch");
      const batch = numbers(1, 50).map(() => anEvent({ coreid }));
      const { calls, commits } = await settled(() => client.accepted(batch));
      assert.deepEqual(calls, { "DEVICE.accept": 1, "FLEET.append": 1 });
      assert.deepEqual(commits, { Device: 1, Fleet: 1 });
    });

    test("a reply, a transform and a signature cost no object call more", async () => {
      const coreid = await knownDevice("replied");
      await client.define("/v1/sources/replying", { responseTemplate: "heard {{PARTICLE_EVENT_VALUE}}" });
      await client.define("/v1/transforms/changing", { event: "changing", body: "changed" });
      const event = anEvent({ coreid, event: "changing" });
      const counted = await cost(() => client.accepted(event, { to: "/hook/replying" }));
      assert.deepEqual(counted, {
        calls: { "DEVICE.accept": 1 },
        statements: NEW_EVENT_STATEMENTS,
        commits: 1,
      });
    });

    for (const [what, device, to] of [
      ["without a reply", "silent", "/hook"],
      ["with a reply", "answered", "/hook/echo"],
    ]) {
      if (DEDUP_KV === "on") {
        test(`a repeat ${what} is no object call at all`, async () => {
          await client.define("/v1/sources/echo", { responseTemplate: "heard {{PARTICLE_EVENT_VALUE}}" });
          const event = anEvent({ coreid: await knownDevice(device) });
          const { text } = await client.accepted(event, { to });
          await sleep(SETTLED);
          let repeat;
          const counted = await cost(async () => (repeat = await client.accepted(event, { to })));
          assert.deepEqual(counted, { calls: {}, statements: 0, commits: 0 });
          assert.deepEqual([repeat.text, repeat.duplicate], [text, true]);
        });
      } else {
        test(`a repeat ${what} is one object call and no commit, and soon after no statement either`, async () => {
          await client.define("/v1/sources/echo", { responseTemplate: "heard {{PARTICLE_EVENT_VALUE}}" });
          const coreid = await knownDevice(device);
          const event = anEvent({ coreid });
          const first = await client.accepted(event, { to });
          const repeated = async () => {
            let repeat;
            const { calls, statements, commits } = await cost(
              async () => (repeat = await client.accepted(event, { to })),
            );
            assert.deepEqual([calls, commits], [{ "DEVICE.accept": 1 }, 0]);
            assert.deepEqual([repeat.text, repeat.duplicate], [first.text, true]);
            return statements;
          };
          assert.equal(await repeated(), 0);
          for (const _ of numbers(1, RECENT)) await client.accepted(anEvent({ coreid }), { to });
          await sleep(SETTLED);
          assert.equal(await repeated(), REPEAT_STATEMENTS);
          assert.equal(await repeated(), 0, "it is remembered again");
        });
      }
    }

    test("a batch of ten of one device is one object call and one commit", async () => {
      const coreid = await knownDevice("batch");
      const batch = numbers(1, 10).map(() => anEvent({ coreid }));
      const counted = await cost(() => client.accepted(batch));
      assert.deepEqual(counted, {
        calls: { "DEVICE.accept": 1 },
        statements: 10 * NEW_EVENT_STATEMENTS,
        commits: 1,
      });
    });

    test("a batch of ten of two devices is two object calls and two commits", async () => {
      const devices = [await knownDevice("batch-a"), await knownDevice("batch-b")];
      const batch = numbers(1, 10).map((n) => anEvent({ coreid: devices[n % 2] }));
      const counted = await cost(() => client.accepted(batch));
      assert.deepEqual(counted, {
        calls: { "DEVICE.accept": 2 },
        statements: 10 * NEW_EVENT_STATEMENTS,
        commits: 2,
      });
    });

    for (const [what, body, options, status] of [
      ["without a token", "{}", { token: "" }, 401],
      ["with a wrong token", "{}", { token: "wrong" }, 401],
      ["over MAX_BODY", "x".repeat(20_001), {}, 413],
      ["with a multipart body", "x", { "content-type": "multipart/form-data; boundary=x" }, 415],
      ["with broken JSON", "{", {}, 400],
      ["without a name", '{"coreid":"refused"}', {}, 400],
      ["with a device id that cannot be one", '{"event":"t","coreid":"a b"}', {}, 400],
      ["with an empty batch", "[]", {}, 400],
      ["with a batch of which nothing is an event", '[{"coreid":"refused"},1]', {}, 400],
    ]) {
      test(`a request ${what} is refused before any device's object is called`, async () => {
        const { calls, statements } = await cost(async () => {
          const response = await client.publish(body, options);
          await response.text();
          assert.equal(response.status, status);
        });
        assert.deepEqual(
          Object.keys(calls).filter((name) => name.startsWith("DEVICE.")),
          [],
        );
        assert.equal(statements, 0);
        if (status === 401 || status === 413) assert.deepEqual(calls, {}, "and before any other object, too");
      });
    }

    test("a method that is not allowed calls no object", async () => {
      const { calls } = await cost(async () => {
        const headers = { authorization: `Bearer ${TOKEN}` };
        assert.equal((await worker.fetch("/hook", { method: "PATCH", headers, body: "{}" })).status, 405);
      });
      assert.deepEqual(calls, {});
    });

    test(`no event of a hundred takes more than ${NEW_EVENT_STATEMENTS_MAX} statements`, async () => {
      const coreid = await knownDevice("hundred");
      for (const n of numbers(1, 100)) {
        await takeCounts();
        await client.accepted(anEvent({ coreid }));
        const { calls, sql } = await takeCounts();
        assert.equal(calls["DEVICE.accept"], 1);
        assert.ok(sql.Device <= NEW_EVENT_STATEMENTS_MAX, `${sql.Device} for event ${n}`);
      }
    });
  });
}
