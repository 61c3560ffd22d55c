// The load, in a process of its own on a core of its own. It is told windows over its channel, and answers each with
// what came of it.

import { Connection } from "./connection.mjs";
import { kindOf } from "./events.mjs";
import { Readers } from "./readers.mjs";

/** Between two windows of one kind nothing is made again: numbers go on. */
const kinds = new Map();
const readers = new Map();

const commands = { window, prepare, open, fanOut, closeReaders };

process.on("message", async ({ number, command, ...options }) => {
  try {
    process.send({ number, result: await commands[command](options) });
  } catch (error) {
    process.send({ number, error: error.stack });
  }
});
process.on("disconnect", () => process.exit());

function loadOf({ kind, port, ...options }) {
  const key = JSON.stringify([kind, port, options.devices, options.size, options.prefix]);
  if (!kinds.has(key)) kinds.set(key, { ...kindOf(kind, options), sent: 0 });
  return kinds.get(key);
}

/** Sends each of the requests once that a kind needs to have been sent. */
async function prepare({ connections = 16, ...options }) {
  const { before = [] } = loadOf(options);
  const waiting = [...before];
  await each(options.port, connections, async (connection) => {
    while (waiting.length) await connection.send(waiting.pop());
  });
}

/**
 * Keeps `connections` requests under way: `lead` seconds that are not counted, then `seconds` that are. With `count`
 * it ends after so many requests instead. `pause`, milliseconds, lies between the requests of a connection.
 */
async function window({ connections, seconds, lead = 0, count = Infinity, pause = 0, ...options }) {
  const load = loadOf(options);
  const latencies = [];
  const wrong = {};
  const started = performance.now();
  const from = started + lead * 1000;
  const to = from + (seconds ?? Infinity) * 1000;
  let left = count;
  await each(options.port, connections, async (connection) => {
    while (performance.now() < to && left-- > 0) {
      const number = load.sent++;
      const bytes = load.make(number);
      const began = performance.now();
      const answer = await connection.send(bytes);
      const ended = performance.now();
      if (!load.isRight(answer, number)) wrong[answer.status] = (wrong[answer.status] ?? 0) + 1;
      // What was sent before the window and answered in it stands for what is sent in it and answered later.
      if (ended >= from && ended < to) latencies.push(ended - began);
      if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  });
  const elapsed = (Math.min(performance.now(), to) - from) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  const events = latencies.length * load.events;
  return { rate: events / elapsed, events, p50: at(0.5), p99: at(0.99), wrong };
}

async function each(port, connections, work) {
  const all = Array.from({ length: connections }, () => new Connection(port));
  try {
    await Promise.all(all.map(work));
  } finally {
    for (const connection of all) connection.close();
  }
}

/** Opens `clients` streams that stay open. */
async function open({ port, clients, token }) {
  const opened = readers.get(port) ?? new Readers(port, token);
  readers.set(port, opened);
  await opened.open(clients);
}

/**
 * Waves of events, each as many as there are connections: the next wave goes out when every client has all of the last.
 * So the clients are never behind, and what is measured is how fast one event reaches all.
 */
async function fanOut({ connections, seconds, lead = 0, ...options }) {
  const load = loadOf({ ...options, kind: "new" });
  const all = readers.get(options.port);
  const from = performance.now() + lead * 1000;
  const to = from + seconds * 1000;
  const delays = [];
  let [events, first, last] = [0, 0, 0];
  await each(options.port, 1, async () => {});
  const publishers = Array.from({ length: connections }, () => new Connection(options.port));
  try {
    while (performance.now() < to) {
      const began = performance.now();
      if (began >= from && !first) first = began;
      const heard = all.hear(connections);
      await Promise.all(publishers.map((connection) => connection.send(load.make(load.sent++))));
      await heard;
      last = performance.now();
      if (first) {
        events += connections;
        delays.push(last - began);
      }
    }
  } finally {
    for (const connection of publishers) connection.close();
  }
  delays.sort((a, b) => a - b);
  const rate = (events * all.size) / ((last - first) / 1000);
  return {
    rate,
    events,
    p50: delays[delays.length >> 1],
    p99: delays[Math.floor(delays.length * 0.99)],
    wrong: {},
  };
}

async function closeReaders({ port }) {
  readers.get(port)?.close();
  readers.delete(port);
}
