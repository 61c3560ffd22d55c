// Many streams at once, one of which does not read: the others notice nothing, it is told and let go, and can resume.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { anEvent, clientOf, numbers, until } from "./support/client.mjs";
import { assertWhole, kept, openSse, openStalled } from "./support/sse.mjs";
import { READ, startWorker } from "./support/worker.mjs";

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
  const first = await worker.fetch("/v1/events?limit=1", {
    headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
  });
  const { cursor } = (await first.json()).events[0];
  const stalled = openStalled(worker, `/v1/devices/d-large/events?after=${cursor}`);
  await sleep(1_500);
  const text = (await stalled.read({ until: `"seq":${EVENTS},` })).join("");
  const seqs = [...text.matchAll(/"coreid":"d-large","seq":(\d+)/g)].map(([, seq]) => Number(seq));
  assert.deepEqual(seqs, numbers(2, EVENTS));
});
