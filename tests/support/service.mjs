// A service that integrations deliver to: a real HTTP server on loopback that answers as the test says, or as badly as
// it says, and keeps everything that came. Stopped, its port refuses connections; started again, it is the same host.

import { createServer } from "node:http";
import { until } from "./client.mjs";

const MB = 1024 * 1024;
/** Long enough for every delivery of a test on a slow machine. */
const WITHIN = 60_000;

/**
 * Starts a service.
 *
 * It answers 200 until told otherwise. An answer is a status, or a function as `reply` makes them. `door(path)` is a
 * part of it with requests and answers of its own, for integrations that share a host.
 */
export async function startService() {
  const sockets = new Set();
  const doors = [];
  const whole = makeDoor("", () => `http://127.0.0.1:${port}`);
  let port = 0;
  let server;

  async function start() {
    server = createServer({ maxHeaderSize: MB, keepAlive: true }, serve);
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
    });
    await new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    port = server.address().port;
  }

  async function stop() {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  async function serve(incoming, response) {
    const request = {
      number: whole.requests.length + 1,
      at: Date.now(),
      method: incoming.method,
      target: incoming.url,
      ...partsOf(incoming.url),
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      /** The status of an answer that has left whole. */
      status: undefined,
      /** Set when the other side went away before the whole answer had left. */
      cut: false,
      /** Bytes of the answer's body handed to the socket, where the answer counts them. */
      sent: 0,
    };
    response.on("finish", () => (request.status = response.statusCode));
    response.on("close", () => (request.cut = !response.writableFinished));
    const chunks = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // Cut off while it was sent, as by a kill: nothing arrived.
    }
    request.raw = Buffer.concat(chunks);
    request.body = request.raw.toString();
    request.number = whole.requests.length + 1;
    const door = doors.find(({ path }) => request.path === path || request.path.startsWith(`${path}/`));
    whole.requests.push(request);
    if (door) door.requests.push(request);
    const answer = (door ?? whole).next();
    (typeof answer === "number" ? reply(answer) : answer)(request, response);
  }

  await start();
  return Object.assign(whole, {
    start,
    stop,
    /** The part of the service below a path. */
    door(path) {
      const door = makeDoor(path, () => whole.url + path);
      doors.unshift(door);
      return door;
    },
  });
}

function makeDoor(path, url) {
  const scripted = [];
  let usual = 200;
  const door = {
    path,
    get url() {
      return url();
    },
    /** `{ number, at, method, target, path, query, headers, rawHeaders, raw, body, status, cut, sent }` of each, as they came. */
    requests: [],
    /** The answer to everything that is not scripted. */
    answer(answer, ...more) {
      usual = typeof answer === "number" && more.length ? reply(answer, ...more) : answer;
      return door;
    },
    /** The answers to the next requests, in this order; then it is as usual again. */
    script(...answers) {
      scripted.push(...answers);
      return door;
    },
    next: () => scripted.shift() ?? usual,
    /** Waits until so many requests have come, of those that `which` names, and answers them. */
    async have(count, which = () => true, { within = WITHIN } = {}) {
      const seen = () => door.requests.filter(which);
      const toString = () => `${count} requests to ${path || "the service"} (${seen().length} came)`;
      await until(() => seen().length >= count, { within, what: { toString } });
      return seen();
    },
  };
  return door;
}

function partsOf(target) {
  const [path, ...query] = target.split("?");
  return { path, query: new URLSearchParams(query.join("?")) };
}

/** The fields of a urlencoded body, in their order. */
export const formOf = (request) => Object.fromEntries(new URLSearchParams(request.body));
/** A JSON body. */
export const jsonOf = (request) => JSON.parse(request.body);

// Answers.

/** A whole answer. */
export const reply =
  (status, body = "", headers = {}) =>
  (request, response) =>
    response.writeHead(status, headers).end(body);

/** As `reply`, of JSON. */
export const replyJson = (value, status = 200) =>
  reply(status, JSON.stringify(value), { "content-type": "application/json" });

/** Somewhere else, says this host. */
export const redirectTo = (location, status = 302) => reply(status, "", { location });

/** Takes the request and never says a word. */
export const hang = () => {};

/** The connection is reset before the first byte. */
export const reset = (request, response) => response.socket.resetAndDestroy();

/** The head comes, half of the body, and a reset. */
export const resetInBody = (request, response) => {
  response.writeHead(200, { "content-length": 1_000 });
  response.write("x".repeat(500));
  setTimeout(() => response.socket?.resetAndDestroy(), 50);
};

/** The head at once, then a byte now and then, without an end. */
export const drip = (request, response) => {
  response.writeHead(200, { "content-type": "text/plain" });
  dripping(response, () => "x");
};

/** Not even the head ends. */
export const dripHead = (request, response) => {
  const { socket } = response;
  const letters = "HTTP/1.1 200 OK\r\nx-long: ".split("");
  dripping(socket, () => letters.shift() ?? "x");
};

function dripping(out, letter) {
  const timer = setInterval(() => out.write(letter()), 100);
  out.on("close", () => clearInterval(timer));
}

/** A body of so many bytes, as fast as the other side takes it. */
export const huge =
  (bytes = 50 * MB, headers = { "content-length": bytes }) =>
  (request, response) => {
    const chunk = Buffer.alloc(64 * 1024, "x");
    response.writeHead(200, headers);
    const push = () => {
      while (request.sent < bytes && !response.destroyed) {
        request.sent += chunk.length;
        if (!response.write(chunk)) return response.once("drain", push);
      }
      return response.end();
    };
    push();
  };

/** Bytes as they are: for answers that no HTTP server would give. */
export const wire = (bytes) => (request, response) => response.socket.end(bytes);

/**
 * An answer that waits for the test: `answer` is handed to the service, `release` lets everything that waits go on,
 * and everything that comes later go through.
 */
export function held(answer = 200) {
  const waiting = [];
  let open = false;
  const give = typeof answer === "number" ? reply(answer) : answer;
  return {
    answer: (request, response) => (open ? give(request, response) : waiting.push([request, response])),
    waiting: () => waiting.filter(([request]) => !request.cut).length,
    release() {
      open = true;
      for (const [request, response] of waiting.splice(0)) if (!response.destroyed) give(request, response);
    },
  };
}
