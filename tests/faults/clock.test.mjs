// A clock that is set wrong by a day, and back: nothing accepted is lost, numbers have no gaps, repeats are repeats, and
// what waits for a time does not wait for the clock to come back. What only an alarm would wake goes on with an event of
// its device: the platform's alarms are for a time of day, and come when its clock shows that.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { anEvent, numbers, until } from "../support/client.mjs";
import { WITHIN, datasOf, onceEach, startDelivering } from "../support/integrations.mjs";
import { assertWhole, kept, openSse } from "../support/sse.mjs";
import { movedClock, noMovedClock } from "./moved-clock.mjs";

const EVICTING = fileURLToPath(new URL("evicting.mjs", import.meta.url));
const DAY = 86_400;
/** A machine's hesitation. */
const ABOUT_MS = 30_000;

describe("the clock jumps", { skip: noMovedClock() }, () => {
  let clock, worker, client, service, integrations, stop;
  beforeEach(async () => {
    clock = movedClock();
    const vars = { RETRY_SCHEDULE: "1,1,1,1,1,1,1,1,1,1", DEDUP_KV: "off" };
    ({ worker, client, service, integrations, stop } = await startDelivering({
      env: clock.env,
      entry: EVICTING,
      vars,
    }));
  });
  afterEach(async () => {
    await stop();
    clock.remove();
  });

  const event = (fields) => anEvent({ coreid: "d", event: "clock", ...fields });
  const succeeded = () => onceEach(service.requests.filter(({ status }) => status === 200));
  /** What a device hears. */
  const heard = async (fields) => {
    const { text } = await client.accepted(event({ event: "talk", ...fields }));
    return text ? JSON.parse(text) : {};
  };
  const reports = (data, fields) =>
    heard({ event: "fieldhook/report", data: JSON.stringify(data), ...fields });
  const isClock = (item) => kept(item) && item.name === "clock";
  /**
   * Waits for something while the device now and then publishes what nobody waits for. In between its object rests, as
   * one does after ten seconds: as long as it lives, workerd shows it no time that is before one it has seen.
   */
  const goesOn = async (look, what) => {
    const rests = { method: "PUT", body: JSON.stringify([["DEVICE", "d"]]) };
    const wakes = async () => look() || (await worker.fetch("/__evict", rests), await heard(), look());
    await until(wakes, { within: WITHIN, every: 1_500, what });
  };
  const device = (path, id = "d") => `/v1/devices/${id}/${path}`;

  for (const [name, jumps] of Object.entries({
    "a day forward, and back": [0, DAY, 0],
    "a day back, and forward": [0, -DAY, 0],
  })) {
    describe(name, () => {
      test("the log, dedup, a stream and deliveries go on", async () => {
        await integrations.create({ event: "clock", url: service.url });
        let count = 0;
        service.answer((request, response) => response.writeHead((count += 1) % 2 ? 500 : 200).end());
        const live = await openSse(worker);
        const sent = [];
        for (const by of jumps) {
          clock.move(by);
          for (const earlier of sent)
            assert.ok((await client.accepted(earlier)).duplicate, "a repeat is one");
          for (const n of numbers(sent.length + 1, sent.length + 3)) {
            sent.push(event({ data: `${n}` }));
            assert.ok(!(await client.accepted(sent.at(-1))).duplicate);
            const { received_at } = await client.newest("d");
            assert.ok(Math.abs(Date.parse(received_at) - clock.now()) < ABOUT_MS, `${received_at} at ${by}`);
          }
          await live.have(sent.length, isClock, WITHIN);
          await goesOn(() => succeeded().length === sent.length, `delivery ${sent.length} at ${by}`);
        }
        const log = await client.log("d");
        await live.have(log.length, kept, WITHIN);
        assert.equal(assertWhole(live.items), log.length);
        assert.deepEqual(
          datasOf(succeeded()),
          sent.map(({ data }) => data),
        );
        assert.deepEqual(
          log.map(({ seq }) => seq),
          numbers(1, log.length),
        );
        assert.deepEqual(
          log.filter(({ event }) => event === "clock").map(({ id }) => id),
          sent.map(({ event_id }) => event_id),
        );
        await live.close();
      });

      for (const [stamp, published] of Object.entries({
        "its time is that of arrival": () => ({}),
        "its time is its own": () => ({ published_at: new Date().toISOString() }),
      })) {
        test(`the twin converges and commands are acked, where ${stamp}`, async () => {
          let command = 0;
          for (const [round, by] of jumps.entries()) {
            clock.move(by);
            const desired = { mode: round, led: { on: round % 2 === 0 } };
            const patched = await client.admin("PATCH", device("twin"), desired);
            assert.equal(patched.status, 200);
            const made = await client.admin("POST", device("commands"), { name: "blink" });
            assert.equal(made.status, 201);
            command += 1;
            const { d, v, c } = await heard(published());
            assert.deepEqual(
              [v, c.map(({ id }) => id)],
              [patched.body.versions.desired, [command]],
              `at ${by}`,
            );
            assert.equal(d.mode, round);
            await reports({ ...desired, _v: v, _ack: [command] }, published());
            const { delta, reported } = (await client.read("GET", device("twin"))).body;
            assert.deepEqual([delta, reported], [{}, desired], `at ${by}`);
          }
          const { commands } = (await client.read("GET", device("commands"))).body;
          assert.deepEqual(new Set(commands.map(({ state }) => state)), new Set(["acked"]));
        });
      }
    });
  }

  for (const [name, by] of [
    ["back", -DAY],
    ["forward", DAY],
  ]) {
    test(`a retry that waits when the clock is set ${name} by a day comes soon`, async () => {
      const id = await integrations.create({ event: "clock", url: service.url });
      service.answer(500);
      await client.accepted(event({ data: "1" }));
      await integrations.haveAttempts(id, 1);
      clock.move(by);
      service.answer(200);
      await goesOn(() => succeeded().length === 1, "the delivery");
    });
  }

  test("a command whose reply was lost before the clock was set back is told again soon", async () => {
    await client.accepted(event());
    clock.move(DAY);
    assert.equal((await client.admin("POST", device("commands"), { name: "blink" })).status, 201);
    assert.equal((await heard()).c.length, 1);
    clock.move(0);
    assert.equal((await heard()).c?.length, 1);
  });

  test("a definition made before the clock was set back is replaced, and the new one is used", async () => {
    clock.move(DAY);
    await client.define("/v1/sources/s", { responseTemplate: "old" });
    assert.equal((await client.accepted(event(), { to: "/hook/s" })).text, "old");
    clock.move(0);
    await client.define("/v1/sources/s", { responseTemplate: "new" });
    assert.equal((await client.accepted(event(), { to: "/hook/s" })).text, "new");
  });
});
