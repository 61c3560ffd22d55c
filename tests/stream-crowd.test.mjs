// Many streams at once, one of which does not read: the others notice nothing, it is told and let go, and can resume.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { assertWhole, kept, openSocket, openSse, openStalled } from "./support/sse.mjs";
import { READ, TOKEN, startWorker } from "./support/worker.mjs";

const WATCHED = fileURLToPath(new URL("support/watched.mjs", import.meta.url));
const STREAMS = 200;
/** More than the buffers of a connection hold: loopback takes some megabytes. */
const EVENTS = 60 * 10;
const DATA = "é".repeat(8_000);

let worker, client;
before(async () => {
  worker = await startWorker({ entry: WATCHED, vars: { STREAM_MAX: "1000", STREAM_OPENS: "1000" } });
  client = clientOf(worker);
});
after(() => worker.stop());

const sockets = async () => (await worker.fetch("/__sockets")).json();

test("200 streams, one of them stalled", async () => {
  const stalled = openStalled(worker, "/v1/events");
  const others = await Promise.all(numbers(1, STREAMS - 1).map(() => openSse(worker, "/v1/events/small")));
  await until(async () => (await sockets()) === STREAMS, { what: "200 readers" });
  for (let sent = 0; sent < EVENTS; sent += 10) {
    await client.accepted(
      numbers(1, 10).map(() => anEvent({ event: "large", coreid: "d-large", data: DATA })),
    );
    if (sent % 100 === 0) await client.accepted(anEvent({ event: "small", coreid: "d-small" }));
  }
  for (const stream of others) await stream.have(EVENTS / 100, kept, 30_000);
  for (const stream of others) assert.equal(assertWhole(stream.items), EVENTS / 100);
  await until(async () => (await sockets()) === STREAMS - 1, { what: "the stalled reader's end" });

  const chunks = await stalled.read();
  for (const chunk of chunks) assert.ok(chunk.endsWith("\n\n"), "a write is whole events");
  const text = chunks.join("");
  const [, cursor] = /event: dropped\ndata: \{"cursor":"([^"]+)"\}/.exec(text) ?? assert.fail("no notice");
  const seqs = [...text.matchAll(/"coreid":"d-large","seq":(\d+)/g)].map(([, seq]) => Number(seq));
  assert.ok(seqs.length < EVENTS, "it was let go before the end");
  assert.deepEqual(seqs, numbers(1, seqs.length), "what it was sent is whole");

  const again = await openSse(worker, "/v1/events/large", { lastEventId: cursor });
  assert.equal(again.status, 200, JSON.stringify(again.problem));
  await again.have(EVENTS - seqs.length, kept, 30_000);
  assert.equal(assertWhole(again.items, seqs.length + 1), EVENTS - seqs.length);
  await again.close();
  await Promise.all(others.map((stream) => stream.close()));
});

test("a WebSocket that does not read is told and let go too", async () => {
  const { hostname, port, host } = new URL(worker.url);
  const socket = connect({ host: hostname, port });
  socket.on("error", () => {});
  socket.pause();
  const lines = [
    `GET /v1/stream?prefix=wide HTTP/1.1`,
    `host: ${host}`,
    `authorization: Bearer ${READ}`,
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  await sleep(300);
  for (let sent = 0; sent < EVENTS; sent += 10)
    await client.accepted(numbers(1, 10).map(() => anEvent({ event: "wide", coreid: "d-wide", data: DATA })));
  let text = "";
  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.resume();
  await until(() => text.includes('{"notice":"dropped","cursor":"'), { within: 20_000, what: "the notice" });
  socket.destroy();
});

test("a replay of any size is pulled: a slow reader of the past is not let go", async () => {
  const cursor = await firstCursor(worker);
  const stalled = openStalled(worker, `/v1/devices/d-large/events?after=${cursor}`);
  await sleep(1_500);
  const text = (await stalled.read({ until: `"seq":${EVENTS},` })).join("");
  const seqs = [...text.matchAll(/"coreid":"d-large","seq":(\d+)/g)].map(([, seq]) => Number(seq));
  assert.deepEqual(seqs, numbers(2, EVENTS));
});

/** The cursor of the first event there is. */
async function firstCursor(worker) {
  const first = await worker.fetch("/v1/events?limit=1", {
    headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
  });
  return (await first.json()).events[0].cursor;
}

test("a replay of many shards is pulled too", async () => {
  const worker = await startWorker({ vars: { FLEET_SHARDS: "8" } });
  const client = clientOf(worker);
  const devices = numbers(1, 40).map((n) => `d-${n}`);
  await client.accepted(anEvent({ event: "first", coreid: "d-0" }));
  const cursor = await firstCursor(worker);
  // Turn by turn, so that the pages of all shards are of the same time.
  for (let round = 0; round < 20; round++)
    for (let at = 0; at < devices.length; at += 10)
      await client.accepted(
        devices.slice(at, at + 10).map((coreid) => anEvent({ event: "old", coreid, data: DATA })),
      );
  const total = devices.length * 20;
  const counted = async () =>
    (await (await worker.fetch("/v1/stats", { headers: { authorization: `Bearer ${READ}` } })).json()).days[0]
      .events;
  await until(async () => (await counted()) === total + 1, { within: 20_000, what: "the shards' logs" });
  const stalled = openStalled(worker, `/v1/events/old?after=${cursor}`);
  await sleep(1_500);
  const received = [];
  stalled.socket.on("data", (chunk) => received.push(chunk));
  stalled.socket.resume();
  const text = () => Buffer.concat(received).toString("latin1");
  const events = () => text().split("event: old\n").length - 1;
  await until(() => events() === total || text().includes("event: dropped"), { within: 30_000, every: 200 });
  assert.ok(!text().includes("event: dropped"), "it was let go");
  stalled.socket.destroy();
  await worker.stop();
});

test("a WebSocket that keeps up is not let go for a large event", async () => {
  const socket = await openSocket(worker, "prefix=huge");
  // Each control character is six as JSON.
  const body = "\u0001".repeat(100_000);
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    "content-type": "text/plain",
    "x-particle-event-name": "huge",
    "x-particle-device-id": "d-huge",
  };
  for (const count of [1, 2, 3]) {
    assert.equal((await worker.fetch("/hook", { method: "POST", headers, body })).status, 204);
    await socket.have(count, kept);
  }
  const again = await openSocket(worker, `prefix=huge&after=${socket.items[0].cursor}`);
  await again.have(2, kept);
  for (const stream of [socket, again]) {
    assert.equal(stream.socket.readyState, WebSocket.OPEN);
    assert.ok(stream.items.every(({ notice }) => notice === undefined));
    await stream.close();
  }
});
