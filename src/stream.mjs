// A client's stream: its sockets to the shards, its timers, and a bounded buffer in front of the client. What is
// said and asked is decided in wasm (stream.rs); here it is moved.

/** A sign of life comes within nine seconds of the last byte: clients give up after thirteen. */
const KEEP_ALIVE_MS = 8_000;
/** particle-api-js loses events that come in one segment with the headers. */
const PAUSE_MS = 100;
/**
 * What a client has not taken yet, bytes: a message that comes when more than this waits is the last one. So no event is
 * too large for a client that keeps up, and no replay, of which nothing is under way by then.
 */
const BUFFER_MAX = 256 * 1024;
/** While more than this waits for the client, no further page is asked for, bytes. */
const ENOUGH = 64 * 1024;
/** A client that was dropped has this long to take what is left for it. */
const LAST_WORDS_MS = 60_000;
/** A connection to a shard that ended is made again after this, doubling, and given up in the end. */
const RETRY_MS = { first: 250, most: 5_000, inAll: 30_000 };
/** How often it is looked whether a WebSocket has room again: it does not say so by itself. */
const LOOK_MS = 100;
/** So many messages are kept for all who are told the same, since not all hear of them at once; none longer, characters. */
const ALIKE_KEPT = 32;
const ALIKE_LONGEST = 16_384;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Opens a stream.
 *
 * @param fleet the namespace of the shards
 * @param stream the stream's state in wasm; freed here when the stream ends, or was refused
 * @param {string} wanted what its shards are asked for, a query
 * @param {string} limits what the first shard counts by, a query
 * @returns a shard's refusal as text, or `{ body }`, or `{ webSocket }`
 */
export async function open(fleet, stream, wanted, limits, asSocket) {
  const client = asSocket ? new SocketClient() : new BodyClient(stream.opening());
  const live = new Live(fleet, stream, wanted, limits, client);
  try {
    const refused = await live.connectAll();
    if (refused === undefined) return client.start(live);
    live.end();
    return refused;
  } catch (error) {
    live.end();
    throw error;
  }
}

/** The way of a stream from its shards to its client. */
class Live {
  #fleet;
  #stream;
  #wanted;
  #client;
  /** What the shard that counts streams counts this one by, a query. */
  #limits;
  #sockets = [];
  /** So many shards have a connection, or somebody who sees to it. */
  #joined = 0;
  /** Not every shard is live: pages are asked for. */
  #isBehind = true;
  #hasEnded = false;
  #keepAlive;

  constructor(fleet, stream, wanted, limits, client) {
    this.#fleet = fleet;
    this.#stream = stream;
    this.#wanted = wanted;
    this.#limits = limits;
    this.#client = client;
  }

  /** The shard that counts streams first: what it refuses, no other hears of. */
  async connectAll() {
    const refused = await this.#connect(0);
    if (refused !== undefined) return refused;
    this.#joined = this.#stream.shards();
    const others = Array.from({ length: this.#joined - 1 }, (_, index) => this.#connect(index + 1));
    // All of them, so that none is opened after the stream was given up.
    const outcomes = await Promise.allSettled(others);
    for (const { status, value, reason } of outcomes) {
      if (status === "rejected") throw reason;
      if (value !== undefined) return value;
    }
    this.#joinNew();
    this.#ask();
    return undefined;
  }

  /** Answers a refusal's text, or nothing. */
  async #connect(shard, more = "") {
    const begins = this.#stream.begins(shard);
    const after = begins === undefined ? "" : `&after=${begins}`;
    const limits = shard === 0 ? this.#limits : "";
    const response = await this.#fleet
      .getByName(`shard-${shard}`)
      .fetch(`http://shard/?${this.#wanted}${after}${limits}${more}`, { headers: { upgrade: "websocket" } });
    const socket = response.webSocket;
    if (!socket) return response.text();
    if (!this.#hasEnded) {
      this.#client.place = undefined;
      this.#stream.connected(shard);
      // Before it is heard: which shards there are decides where the new ones begin.
      this.#stream.grow(Number(response.headers.get("fieldhook-shards")));
      this.#sockets[shard] = socket;
      socket.addEventListener("message", ({ data }) => this.#heard(shard, socket, data));
      socket.addEventListener("close", () => this.#lost(shard, socket));
      socket.addEventListener("error", () => this.#lost(shard, socket));
    }
    // Only now, so that nothing is missed.
    socket.accept();
    if (this.#hasEnded) socket.close();
    return undefined;
  }

  #heard(shard, socket, message) {
    if (this.#sockets[shard] !== socket) return;
    try {
      this.#client.take(this.#stream, shard, message);
    } catch (error) {
      console.error(`a message of shard-${shard} could not be read: ${error.message}`);
      this.#lost(shard, socket);
      return;
    }
    if (this.#client.isSlow) this.drop();
    else if (this.#isBehind) this.#ask();
  }

  /** Asks for pages, as far as the client has room. */
  #ask() {
    const hasRoom = this.#client.waiting < ENOUGH;
    const asked = this.#stream.ask(hasRoom);
    this.#isBehind = asked !== undefined;
    if (this.#isBehind && !hasRoom) this.#client.whenDrained(() => this.drained());
    for (const line of asked?.split("\n") ?? []) {
      if (line === "") continue;
      const [shard, position] = line.split(" ");
      this.#sockets[shard]?.send(`next ${position}`);
    }
  }

  /** The client has room again. */
  drained() {
    if (this.#isBehind && !this.#hasEnded) this.#ask();
  }

  #lost(shard, socket) {
    if (this.#sockets[shard] !== socket) return;
    this.#sockets[shard] = undefined;
    closeQuietly(socket);
    this.#client.place = undefined;
    this.#stream.lost(shard);
    this.#join(shard);
  }

  /** Shards that were not known when the stream was opened. */
  #joinNew() {
    while (this.#joined < this.#stream.shards()) this.#join(this.#joined++);
  }

  /** Sees to it that a shard that is not connected is read on. */
  #join(shard) {
    this.#isBehind = true;
    this.#reconnect(shard).catch((error) => {
      console.error(`a stream was given up: ${error.message}`);
      this.finish();
    });
  }

  /** From where the connection ended; the client does not notice. */
  async #reconnect(shard) {
    const began = Date.now();
    let problem;
    for (let wait = RETRY_MS.first; Date.now() - began < RETRY_MS.inAll; wait *= 2) {
      await sleep(Math.min(wait, RETRY_MS.most) * (0.5 + Math.random() / 2));
      if (this.#hasEnded) return;
      try {
        problem = await this.#connect(shard, "&again=1");
        if (problem === undefined) {
          if (this.#hasEnded) return;
          this.#ask();
          this.#joinNew();
          return;
        }
      } catch (error) {
        problem = error.message;
      }
    }
    throw new Error(`shard-${shard}: ${problem}`);
  }

  /** A timer for as long as the stream is open, however many events there are. */
  keepAlive() {
    const look = () => {
      const idle = Date.now() - this.#client.wroteAt;
      if (idle >= KEEP_ALIVE_MS && this.#client.waiting === 0) this.#client.write(this.#stream.keepAlive());
      const wait = idle >= KEEP_ALIVE_MS ? KEEP_ALIVE_MS : KEEP_ALIVE_MS - idle;
      this.#keepAlive = setTimeout(look, wait);
    };
    this.#keepAlive = setTimeout(look, KEEP_ALIVE_MS);
  }

  /** The client reads too slowly: it is told where it can go on, and let go. */
  drop() {
    if (this.#hasEnded) return;
    this.#client.write(encoder.encode(this.#stream.dropped()));
    this.finish();
  }

  /** Ends the client's stream after what waits for it. */
  finish() {
    if (this.#hasEnded) return;
    this.end();
    this.#client.finish();
  }

  /** Gives back everything the stream holds. */
  end() {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#keepAlive);
    const sockets = this.#sockets;
    this.#sockets = [];
    for (const socket of sockets) if (socket) closeQuietly(socket);
    this.#stream.free();
  }
}

const encoder = new TextEncoder();

function closeQuietly(socket) {
  try {
    socket.close(1000);
  } catch {
    // It is closed already.
  }
}

/**
 * Many clients of one isolate read the same: what the first of them is told is made in wasm, and given to the others as it
 * is. A client with one shard that is at its head is told the same as any other at the same place (`Client::lone`).
 * By message, the oldest first: `{ isSse, from, bytes, to, moved }`.
 */
const made = new Map();

/**
 * What a shard's message lets a client read, as bytes. They are shared: nobody may change them.
 *
 * @param client its `isSse`, and its `place` as it was left here; undefined after anything else was done to `stream`
 */
function receive(client, stream, shard, message) {
  const from = client.place;
  const known = from === undefined ? undefined : made.get(message);
  if (known && known.from === from && known.isSse === client.isSse) {
    stream.follow(known.to, known.moved);
    client.place = known.to;
    return known.bytes;
  }
  const bytes = stream.receive(shard, message);
  client.place = stream.lone();
  if (from !== undefined && client.place !== undefined && message.length <= ALIKE_LONGEST) {
    made.set(message, { isSse: client.isSse, from, bytes, to: client.place, moved: stream.hasMoved() });
    if (made.size > ALIKE_KEPT) made.delete(made.keys().next().value);
  }
  return bytes;
}

/** A client of server-sent events or JSON Lines: chunks wait until the connection takes them. */
class BodyClient {
  #chunks;
  #controller;
  #wake;
  #whenDrained;
  #hasFinished = false;
  #giveUp;
  /** Where others may be that are told the same. */
  place;
  waiting = 0;
  wroteAt = Date.now();
  isSlow = false;

  constructor(opening) {
    this.opening = opening;
    this.isSse = opening.length > 0;
    this.#chunks = [];
  }

  take(stream, shard, message) {
    const bytes = receive(this, stream, shard, message);
    if (bytes.length === 0) return;
    this.isSlow = this.waiting > BUFFER_MAX;
    this.write(bytes);
  }

  write(bytes) {
    this.#chunks.push(bytes);
    this.waiting += bytes.length;
    this.wroteAt = Date.now();
    this.#wake?.();
  }

  start(live) {
    live.keepAlive();
    const source = {
      start: (controller) => void (this.#controller = controller),
      pull: (controller) => this.#pull(controller),
      cancel: () => {
        clearTimeout(this.#giveUp);
        live.end();
      },
    };
    // Nothing is queued ahead: what waits, waits here, where it is counted.
    return { body: new ReadableStream(source, { highWaterMark: 0 }) };
  }

  async #pull(controller) {
    if (this.opening.length > 0) {
      const opening = this.opening;
      this.opening = new Uint8Array();
      this.paused = sleep(PAUSE_MS);
      return controller.enqueue(opening);
    }
    await this.paused;
    while (this.#chunks.length === 0 && !this.#hasFinished) {
      await new Promise((resolve) => (this.#wake = resolve));
    }
    this.#wake = undefined;
    if (this.#chunks.length > 0) controller.enqueue(this.#next());
    if (this.#hasFinished && this.#chunks.length === 0) {
      clearTimeout(this.#giveUp);
      controller.close();
    }
    const drained = this.#whenDrained;
    this.#whenDrained = undefined;
    drained?.();
  }

  whenDrained(drained) {
    this.#whenDrained = drained;
  }

  /** All that waits, in one write: whole events, since every chunk is. */
  #next() {
    const chunks = this.#chunks;
    const whole = chunks.length === 1 ? chunks[0] : joined(chunks, this.waiting);
    this.#chunks = [];
    this.waiting = 0;
    return whole;
  }

  finish() {
    this.#hasFinished = true;
    this.#giveUp = setTimeout(() => {
      this.#chunks = [];
      this.waiting = 0;
      this.#controller?.error(new Error("the client does not read"));
    }, LAST_WORDS_MS);
    this.#wake?.();
  }
}

function joined(chunks, size) {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** A client of a WebSocket: a message for each event. */
class SocketClient {
  #socket;
  /** What came before the socket was there to take it. */
  #early = "";
  wroteAt = 0;
  isSlow = false;
  place;

  take(stream, shard, message) {
    const text = stream.receiveText(shard, message);
    if (text === "") return;
    this.isSlow = this.waiting > BUFFER_MAX;
    if (this.#socket) this.#send(text);
    else this.#early += text;
  }

  #send(lines) {
    for (const line of lines.split("\n")) if (line !== "") this.#socket.send(line);
  }

  /** What the platform holds for a client that does not read. */
  get waiting() {
    return this.#socket?.bufferedAmount ?? this.#early.length;
  }

  whenDrained(drained) {
    setTimeout(drained, LOOK_MS);
  }

  write(bytes) {
    this.#send(new TextDecoder().decode(bytes));
  }

  start(live) {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => data === "ping" && server.send("pong"));
    for (const end of ["close", "error"]) {
      server.addEventListener(end, () => {
        live.end();
        closeQuietly(server);
      });
    }
    this.#socket = server;
    this.#send(this.#early);
    this.#early = "";
    return { webSocket: client };
  }

  finish() {
    closeQuietly(this.#socket);
  }
}
