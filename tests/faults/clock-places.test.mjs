// A clock that is set back by a day, and where deliveries begin: an integration is for what was accepted after it was
// made, replaced or resumed, though the times of both say otherwise.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, test } from "node:test";
import { anEvent, until } from "../support/client.mjs";
import { datasOf, onceEach, startDelivering } from "../support/integrations.mjs";
import { movedClock, noMovedClock } from "./moved-clock.mjs";

const EVICTING = fileURLToPath(new URL("evicting.mjs", import.meta.url));
const DAY = 86_400;
/** Long enough for a delivery; these are made at once. */
const WITHIN = 20_000;
/** Long enough for what must not come to come. */
const QUIET = 1_000;

describe("where deliveries begin, with a clock that is set back", { skip: noMovedClock() }, () => {
  let clock, worker, client, service, integrations, stop;
  beforeEach(async () => {
    clock = movedClock();
    ({ worker, client, service, integrations, stop } = await startDelivering({
      env: clock.env,
      entry: EVICTING,
      vars: { DEDUP_KV: "off" },
    }));
  });
  afterEach(async () => {
    await stop();
    clock.remove();
  });

  const event = (data, fields) => anEvent({ coreid: "d", event: "clock", data: `${data}`, ...fields });
  const publish = async (...datas) => {
    for (const data of datas) assert.ok(!(await client.accepted(event(data))).duplicate);
  };
  /** Throws out of memory what would still know: and of a clock set back, a live object does not hear. */
  const forget = async () => {
    const all = [
      ["DEVICE", "d"],
      ["FLEET", "shard-0"],
      ["REGISTRY", "registry"],
    ];
    await worker.fetch("/__evict", { method: "PUT", body: JSON.stringify(all) });
  };
  const setBack = async () => {
    await forget();
    clock.move(0);
  };
  const areDelivered = async (...datas) => {
    // What an object was doing when it was thrown out is done again.
    const once = () => onceEach(service.requests);
    await until(() => once().length >= datas.length, { within: WITHIN, what: `delivery of ${datas}` });
    await sleep(QUIET);
    assert.deepEqual(
      datasOf(once()),
      datas.map((data) => `${data}`),
    );
  };
  const replace = async (id, definition) => {
    const answer = await client.admin("PUT", `/v1/integrations/${id}`, { url: service.url, ...definition });
    assert.equal(answer.status, 200, answer.text);
  };

  test("an integration that was made before that gets a new device's events", async () => {
    clock.move(DAY);
    await integrations.create({ event: "clock", url: service.url });
    await setBack();
    await publish(1, 2, 3);
    await areDelivered(1, 2, 3);
  });

  test("and those of a device that was there already, but none from before it was made", async () => {
    await publish(1);
    clock.move(DAY);
    await publish(2);
    await integrations.create({ event: "clock", url: service.url });
    await setBack();
    await publish(3, 4);
    await areDelivered(3, 4);
  });

  test("and a batch, of the events that it is for", async () => {
    clock.move(DAY);
    await integrations.create({ event: "clock", url: service.url });
    await setBack();
    const other = { event: "other" };
    await client.accepted([event(1, other), event(2), event(3, { coreid: "e" }), event(4), event(5, other)]);
    await service.have(3, () => true, { within: WITHIN });
    await sleep(QUIET);
    const datas = datasOf(service.requests);
    assert.deepEqual(
      [datas.filter((data) => data !== "3"), datas.toSorted()],
      [
        ["2", "4"],
        ["2", "3", "4"],
      ],
    );
  });

  test("one that was paused at once gets all of it when it is resumed", async () => {
    clock.move(DAY);
    const id = await integrations.create({ event: "clock", url: service.url, disabled: true });
    await setBack();
    await publish(1, 2);
    await forget();
    await publish(3);
    await integrations.resume(id);
    await areDelivered(1, 2, 3);
  });

  test("one that answered devices until it was replaced gets what comes then", async () => {
    clock.move(DAY);
    const id = await integrations.create({ event: "clock", url: service.url, respond: true });
    await publish(1);
    await replace(id, { event: "clock" });
    await setBack();
    await publish(2, 3);
    await areDelivered(1, 2, 3);
  });

  test("one that was for other events until it was replaced gets what it is for now", async () => {
    clock.move(DAY);
    const id = await integrations.create({ event: "other", url: service.url });
    await publish(1);
    await replace(id, { event: "clock" });
    await setBack();
    await publish(2);
    await forget();
    await publish(3);
    await areDelivered(2, 3);
  });

  test("one that was resumed from now before that skips what came before, and nothing else", async () => {
    const id = await integrations.create({ event: "clock", url: service.url });
    await integrations.pause(id);
    clock.move(DAY);
    await publish(1);
    await integrations.resume(id, { from: "now" });
    await setBack();
    await publish(2, 3);
    await areDelivered(2, 3);
  });

  test("one that is resumed from now after that skips what came before, and nothing else", async () => {
    clock.move(DAY);
    const id = await integrations.create({ event: "clock", url: service.url });
    await integrations.pause(id);
    await publish(1, 2);
    await setBack();
    await integrations.resume(id, { from: "now" });
    await publish(3, 4);
    await areDelivered(3, 4);
  });
});
