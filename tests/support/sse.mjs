// A reader of streams, as patient or as slow as a test wants: server-sent events, JSON Lines, WebSocket.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { until } from "./client.mjs";
import { READ } from "./worker.mjs";

/**
 * Opens a stream of server-sent events and collects what comes.
 *
 * @param {object} [options]
 * @param {string} [options.lastEventId]
 * @param {Record<string, string>} [options.headers]
 */
export async function openSse(worker, path = "/v1/events", { lastEventId, headers, token = READ } = {}) {
  const proof = token === null ? {} : { authorization: `Bearer ${token}` };
  const resume = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  return collect(worker, path, { accept: "text/event-stream", ...proof, ...resume, ...headers }, readBlocks);
}

/** The same as JSON Lines. */
export const openLines = (worker, path = "/v1/events") =>
  collect(
    worker,
    path,
    { accept: "application/x-ndjson", authorization: `Bearer ${READ}` },
    (text, stream) => {
      const lines = text.split("\n");
      for (const line of lines.slice(0, -1)) stream.add(JSON.parse(line));
      return lines.at(-1);
    },
  );

async function collect(worker, path, headers, parse) {
  const stop = new AbortController();
  const response = await worker.fetch(path, { headers, signal: stop.signal });
  const stream = collector(() => stop.abort());
  Object.assign(stream, { status: response.status, headers: response.headers });
  if (response.status !== 200) {
    stream.problem = await response.json();
    return stream;
  }
  stream.ended = (async () => {
    let rest = "";
    const decoder = new TextDecoder("utf-8", { fatal: true });
    try {
      for await (const chunk of response.body) {
        // The connection cuts where it likes, not where the Worker did.
        const text = decoder.decode(chunk, { stream: true });
        stream.chunks.push({ at: Date.now(), text });
        rest = parse(rest + text, stream);
      }
      return "ended";
    } catch (error) {
      if (error instanceof assert.AssertionError || error instanceof SyntaxError) throw error;
      return stop.signal.aborted ? "closed" : `broken: ${error.message}`;
    }
  })();
  return stream;
}

function collector(close) {
  const stream = {
    /** Everything that came: `{ name, data, id }` of server-sent events, or the object of a line or message. */
    items: [],
    chunks: [],
    add: (item) => stream.items.push(item),
    close: async () => {
      close();
      await stream.ended;
    },
    /** Waits until so many items have come, of those that `which` names. */
    async have(count, which = () => true, within = 10_000) {
      const has = () => stream.items.filter(which).length >= count;
      await until(has, { within, every: 5, what: `${count} items (${stream.items.length} came)` });
      return stream.items.filter(which);
    },
    find: (which, options) =>
      until(() => stream.items.find(which), { what: "the item", every: 5, ...options }),
  };
  return stream;
}

/** Server-sent events as the HTML standard reads them, as far as they are used here. */
function readBlocks(text, stream) {
  const blocks = text.split("\n\n");
  for (const block of blocks.slice(0, -1)) {
    const item = { name: undefined, data: undefined, id: undefined };
    for (const line of block.split("\n")) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "event") item.name = value;
      if (field === "data") item.data = JSON.parse(value);
      if (field === "id") item.id = value;
    }
    if (item.id !== undefined) stream.lastId = item.id;
    if (item.name !== undefined) stream.add(item);
  }
  return blocks.at(-1);
}

/** Those that are in a log: not hook-sent and its like, and no notice. */
export const kept = (item) =>
  item.data?.seq !== undefined || (item.seq !== undefined && item.notice === undefined);

/** Opens `/v1/stream` as a WebSocket and collects its messages. */
export async function openSocket(worker, query = "") {
  const url = `${worker.url.replace("http", "ws")}/v1/stream?access_token=${READ}${query && `&${query}`}`;
  const socket = new WebSocket(url);
  const stream = collector(() => socket.close());
  stream.socket = socket;
  stream.ended = new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  socket.addEventListener("message", ({ data }) => stream.add(data === "pong" ? data : JSON.parse(data)));
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("the WebSocket was refused")));
  });
  return stream;
}

/** A client that sends its request and then reads nothing until `read` is called, which reads to the end. */
export function openStalled(worker, path = "/v1/events") {
  const { hostname, port, host } = new URL(worker.url);
  const socket = connect({ host: hostname, port, highWaterMark: 1024 });
  socket.pause();
  socket.on("error", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${READ}\r\n\r\n`);
  return {
    socket,
    /** Everything up to the end of the stream, or up to a text. */
    async read({ until: wanted = "\r\n0\r\n\r\n" } = {}) {
      const chunks = [];
      socket.on("data", (chunk) => chunks.push(chunk));
      const ended = new Promise((resolve) =>
        ["end", "close", "error"].forEach((name) => socket.on(name, resolve)),
      );
      socket.resume();
      // An HTTP/1.1 connection stays open behind a whole response; its last chunk is empty.
      const came = () => {
        const newest = Buffer.concat(chunks.slice(-100));
        return newest.includes(wanted) && newest.subarray(-2).toString() === "\r\n";
      };
      const pause = () => new Promise((resolve) => setTimeout(resolve, 20, false));
      await until(async () => came() || Promise.race([ended.then(() => true), pause()]), {
        within: 30_000,
        what: "the end of the stream",
      });
      socket.destroy();
      return chunksOf(Buffer.concat(chunks));
    },
  };
}

/** The chunks of a response as the Worker wrote them, each of them whole text. */
function chunksOf(received) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const texts = [];
  let at = received.indexOf("\r\n\r\n") + 4;
  for (;;) {
    const lineEnd = received.indexOf("\r\n", at);
    const size = lineEnd < 0 ? 0 : parseInt(received.subarray(at, lineEnd).toString(), 16);
    const end = lineEnd + 2 + size;
    if (size === 0 || end > received.length) return texts;
    texts.push(decoder.decode(received.subarray(lineEnd + 2, end)));
    at = end + 2;
  }
}

/** Asserts that each device's events are there once, in order, without a gap; answers how many there are. */
export function assertWhole(items, from = 1) {
  const next = new Map();
  for (const item of items.filter(kept)) {
    const { coreid, seq } = item.data?.seq === undefined ? item : item.data;
    assert.equal(seq, next.get(coreid) ?? from, `${coreid} in order`);
    next.set(coreid, seq + 1);
  }
  return items.filter(kept).length;
}
