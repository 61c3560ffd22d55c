// What open streams cost while nothing happens, and what is left of them when they are gone: a silent stream lives, its
// shard sleeps, and nothing leaks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { anEvent, clientOf, until } from "./support/client.mjs";
import { kept, openLines, openSocket, openSse } from "./support/sse.mjs";
import { startWorker } from "./support/worker.mjs";

const WATCHED = fileURLToPath(new URL("support/watched.mjs", import.meta.url));
/** Longer than clients wait (13 to 15 s), and than an idle object stays awake (10 s). */
const SILENCE = 15_500;

let worker, client;
before(async () => {
  worker = await startWorker({ entry: WATCHED });
  client = clientOf(worker);
});
after(() => worker.stop());

const counts = async () => (await worker.fetch("/__counts")).json();
const sockets = async () => (await worker.fetch("/__sockets")).json();

test("streams live through a silence in which their shard hibernates, and go on without a gap", async () => {
  const streams = [
    await openSse(worker),
    await openSse(worker, "/v1/events/rare"),
    await openLines(worker),
    await openSocket(worker),
  ];
  const [all, rare, lines, socket] = streams;
  await client.accepted(anEvent());
  for (const stream of [all, lines, socket]) await stream.have(1, kept);
  const { shardsMade } = await counts();
  await sleep(SILENCE);
  for (const { chunks } of [all, rare, lines]) {
    const times = [...chunks.map(({ at }) => at), Date.now()];
    const longest = Math.max(...times.slice(1).map((at, index) => at - times[index]));
    assert.ok(longest <= 9_500, `bytes came after ${longest} ms`);
  }
  assert.match(all.chunks.at(-1).text, /^:/, "a comment");
  assert.equal((await counts()).shardsMade, shardsMade, "nothing woke the shard");
  await client.accepted(anEvent({ event: "rare" }));
  for (const stream of [all, lines, socket]) assert.equal((await stream.have(2, kept)).length, 2);
  await rare.have(1, kept);
  assert.equal((await counts()).shardsMade, shardsMade + 1, "the shard was away and came back");
  for (const stream of streams) await stream.close();
});

test("a quiet stream is told its place, so that it need not come back to an old one", async () => {
  const stream = await openSse(worker, "/v1/events/never");
  await until(() => stream.lastId, { within: 12_000, what: "the place" });
  await client.accepted(anEvent({ event: "never" }));
  await stream.have(1, kept);
  await stream.close();
  const again = await openSse(worker, "/v1/events/never", { lastEventId: stream.lastId });
  await client.accepted(anEvent({ event: "never" }));
  assert.ok((await again.have(1, kept)).length >= 1);
  await again.close();
});

test("a stream that ends gives back its sockets and its memory", async () => {
  const opened = await Promise.all([openSse(worker), openLines(worker), openSocket(worker)]);
  assert.ok((await sockets()) >= 3);
  for (const stream of opened) await stream.close();
  // That a client is gone is noticed at the next write, which is a keep-alive at the latest.
  await until(async () => (await sockets()) === 0, { within: 12_000, what: "the sockets' end" });
  const { streamsFreed, streamsMade } = await counts();
  assert.ok(streamsMade >= 9, `${streamsMade}`);
  assert.equal(streamsFreed, streamsMade);
});
