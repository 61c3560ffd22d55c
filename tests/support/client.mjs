// Speaks to a Worker under test as its users do: devices publish, apps read, an administrator configures.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ADMIN, READ, TOKEN, rawRequest } from "./worker.mjs";

/** A client of the Worker that `startWorker` answered. */
export function clientOf(worker) {
  const send = (method, path, body, headers) => {
    const payload =
      body === undefined || typeof body === "string" || ArrayBuffer.isView(body)
        ? body
        : JSON.stringify(body);
    return worker.fetch(path, { method, body: payload, headers });
  };

  /** Publishes one event, or a batch where `event` is an array. */
  const publish = (event, { to = "/hook", token = TOKEN, ...headers } = {}) =>
    send("POST", to, event, {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      ...headers,
    });

  const as = (token) => async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await send(method, path, body, headers);
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: type.includes("json") && parsed(text),
    };
  };
  const read = as(READ);
  const admin = as(ADMIN);

  return {
    publish,
    /** As `publish`, but shows the response as it is on the wire: see raw.mjs. */
    publishRaw: (event, { to = "/hook" } = {}) =>
      rawRequest(new URL(to, worker.url), {
        method: "POST",
        headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify(event),
      }),
    /** Publishes and expects to be told that the event, or every item of the batch, is in the log. */
    async accepted(event, options) {
      const response = await publish(event, options);
      const text = await response.text();
      assert.ok([200, 204].includes(response.status), `${response.status} ${text}`);
      if (Array.isArray(event)) assert.equal(JSON.parse(text).accepted, event.length, text);
      return { response, text, duplicate: response.headers.get("fieldhook-duplicate") === "true" };
    },
    read,
    admin,
    /** Calls `/v1` without a token. */
    stranger: async (method, path) => (await send(method, path)).status,
    /** All events in a device's log, oldest first, read page by page. */
    async log(device) {
      const events = [];
      for (let after = ""; after !== null;) {
        const cursor = after && `&after=${encodeURIComponent(after)}`;
        const page = await read("GET", `/v1/devices/${device}/history?limit=1000${cursor}`);
        if (page.status === 404) return [];
        assert.equal(page.status, 200, page.text);
        events.push(...page.body.events);
        after = page.body.next;
      }
      return events;
    },
    /** The newest event of a device. */
    async newest(device) {
      const page = await read("GET", `/v1/devices/${device}/history?order=desc&limit=1`);
      assert.equal(page.status, 200, page.text);
      return page.body.events[0];
    },
    /** Ids of all devices, from all pages of the fleet's list. */
    async devices() {
      const ids = [];
      for (let path = "/v1/devices"; path;) {
        const page = await read("GET", path);
        ids.push(...page.body.map(({ id }) => id));
        path = nextLink(page.headers);
      }
      return ids;
    },
    /** Stores a definition, e.g. `define("/v1/sources/s", {…})`. */
    async define(path, definition) {
      const answer = await admin("PUT", path, definition);
      assert.ok([200, 201].includes(answer.status), answer.text);
      return answer;
    },
  };
}

/** An event with an id of its own; what a test does not care about is filled in. */
let count = 0;
export function anEvent(fields) {
  count += 1;
  return {
    event: "temp",
    data: "21.5",
    coreid: "device",
    event_id: `event-${count}-${process.pid}`,
    ...fields,
  };
}

/** The numbers a log of so many events has. */
export const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** The path and query of `Link: rel="next"`, null on the last page. */
export function nextLink(headers) {
  const link = /^<([^>]*)>; ?rel="?next"?$/.exec(headers.get("link") ?? "");
  if (!link) return null;
  const { pathname, search } = new URL(link[1], "http://x");
  return pathname + search;
}

/** Asserts a problem as every error is told, and that it names what is at fault. */
export function assertProblem(answer, status, { code, naming } = {}) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get("content-type"), /^application\/problem\+json/);
  for (const member of ["type", "title", "code", "detail"])
    assert.equal(typeof answer.body[member], "string", member);
  assert.equal(answer.body.status, status);
  if (code) assert.equal(answer.body.code, code, answer.text);
  if (naming)
    assert.ok(`${answer.body.field} ${answer.body.detail}`.includes(naming), `${naming}: ${answer.text}`);
}

/** Polls until `look` answers something true, and answers that. */
export async function until(look, { within = 5_000, every = 25, what = "what was waited for" } = {}) {
  const end = Date.now() + within;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) assert.fail(`${what} did not happen within ${within} ms`);
    await sleep(every);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return assert.fail(`not JSON: ${text}`);
  }
}
