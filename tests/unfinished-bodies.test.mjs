// What bodies hold that are not whole yet: `src/body.mjs` by itself, since no request says who gave way to whom.

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { readBody } from "../src/body.mjs";
import { numbers } from "./support/client.mjs";

const LIMIT = 1_000_000;
/** As many of them as may be there at once. */
const ROOM = Math.floor(33_554_432 / LIMIT);

/** A body in the making: `send` a part of so many bytes, `end` it; `read` is what becomes of it. */
function sending({ limit = LIMIT, declared } = {}) {
  let controller;
  const stream = new ReadableStream({ start: (given) => (controller = given) });
  const headers = declared === undefined ? {} : { "content-length": String(declared) };
  const request = new Request("http://fieldhook/hook", {
    method: "POST",
    headers,
    body: stream,
    duplex: "half",
  });
  const read = readBody(request, limit);
  return {
    read,
    send: async (bytes) => {
      controller.enqueue(new Uint8Array(bytes).fill(120));
      await turn();
      await turn();
    },
    end: () => controller.close(),
  };
}

test("parts are one body, and no more than the limit is read", async () => {
  const whole = sending();
  for (const size of [1, 20_000, 3]) await whole.send(size);
  whole.end();
  assert.equal((await whole.read).byteLength, 20_004);
  const long = sending({ limit: 10 });
  await long.send(11);
  assert.equal(await long.read, undefined);
});

test("where there is no room, those that stand still give way, and one that goes on does not", async () => {
  const busy = sending();
  await busy.send(600_000);
  const still = numbers(1, 2 * ROOM).map(() => sending());
  for (const body of still) {
    await body.send(600_000);
    await busy.send(1_000);
  }
  busy.end();
  assert.equal((await busy.read).byteLength, 600_000 + 2 * ROOM * 1_000);
  for (const body of still) body.end();
  const read = await Promise.all(still.map(({ read }) => read));
  const gaveWay = read.findLastIndex((bytes) => bytes === null) + 1;
  assert.ok(gaveWay > 0 && gaveWay < still.length, `${gaveWay} gave way`);
  assert.ok(
    read.slice(0, gaveWay).every((bytes) => bytes === null),
    "the first that stood still, first",
  );
});

test("who declares little is not pushed out by those who may want more, however still it stands", async () => {
  const little = sending({ declared: 60_000 });
  await little.send(40_000);
  const others = numbers(1, 2 * ROOM).map((n) => sending(n % 2 ? { declared: 900_000 } : {}));
  for (const body of others) await body.send(600_000);
  await little.send(20_000);
  little.end();
  assert.equal((await little.read)?.byteLength, 60_000);
  for (const body of others) body.end();
  const read = await Promise.all(others.map(({ read }) => read));
  assert.ok(read.includes(null), "some of the others gave way");
});

test("nor does a crowd of those that declare little push out one that wants more, and goes on", async () => {
  const batch = sending({ declared: 300_000 });
  const crowd = [];
  for (const _ of numbers(1, 10)) {
    await batch.send(30_000);
    for (const _ of numbers(1, 100)) {
      const still = sending({ declared: 65_536 });
      crowd.push(still);
      await still.send(60_000);
    }
  }
  batch.end();
  assert.equal((await batch.read)?.byteLength, 300_000);
  for (const body of crowd) body.end();
  assert.equal(await crowd[0].read, null);
});

test("of those that declare little, too, only so many have room", async () => {
  const bodies = numbers(1, 2 * Math.ceil(33_554_432 / 40_000)).map(() => sending({ declared: 60_000 }));
  for (const body of bodies) await body.send(40_000);
  for (const body of bodies) body.end();
  const read = await Promise.all(bodies.map(({ read }) => read));
  assert.equal(read[0], null, "the stillest gave way");
  assert.equal(read.at(-1)?.byteLength, 40_000, "the last did not");
});

test("what has been read or given up takes no room from others", async () => {
  for (const _ of numbers(1, 3 * ROOM)) {
    const body = sending();
    await body.send(900_000);
    body.end();
    assert.equal((await body.read).byteLength, 900_000);
  }
});
