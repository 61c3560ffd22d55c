// Live streams as their clients read them: Particle's URLs and wire format, JSON Lines, WebSocket, and history.

import assert from "node:assert/strict";
import { get } from "node:http";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { kept, openLines, openSocket, openSse } from "./support/sse.mjs";
import { READ, TOKEN, startWorker } from "./support/worker.mjs";

const wrong = "wrong-read-token-0123456789";
const query = (fields) => new URLSearchParams(fields).toString();

describe("a stream", () => {
  let worker, client;
  const open = [];
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(async () => {
    await Promise.all(open.map((stream) => stream.close()));
    await worker.stop();
  });

  const sse = async (path, options) => {
    const stream = await openSse(worker, path, options);
    open.push(stream);
    return stream;
  };
  const also = (stream) => {
    open.push(stream);
    return stream;
  };

  test("says :ok with its headers, and is neither cached nor compressed", async () => {
    const stream = await sse("/v1/events/opening", { headers: { "accept-encoding": "gzip" } });
    assert.equal(stream.status, 200);
    assert.equal(stream.headers.get("content-type"), "text/event-stream");
    assert.match(stream.headers.get("cache-control"), /no-cache/);
    assert.equal(stream.headers.get("content-encoding"), null);
    await client.accepted(anEvent({ event: "opening" }));
    await stream.have(1, kept);
    assert.ok(stream.chunks[0].text.startsWith(":ok\n\n"));
  });

  test("shows an event as Particle does: data is text, whatever it holds", async () => {
    const stream = await sse("/v1/events/shape");
    const data = [
      `{"t":\n21.50}`,
      "hello",
      "",
      "21.5",
      "é😀\u2028 event: x\n\ndata: y",
      '"quoted"',
      "\u0000",
    ];
    for (const text of data)
      await client.accepted(anEvent({ event: "shape/a b", coreid: "d-shape", data: text }));
    const events = await stream.have(data.length, kept);
    assert.deepEqual(
      events.map(({ data }) => data.data),
      data,
    );
    const [first] = events;
    assert.equal(first.name, "shape/a b");
    assert.deepEqual(Object.keys(first.data).slice(0, 4), ["data", "ttl", "published_at", "coreid"]);
    assert.equal(first.data.ttl, 60);
    assert.equal(first.data.coreid, "d-shape");
    assert.match(first.data.published_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual([first.data.seq, first.data.source], [1, "default"]);
    assert.match(first.id, /^[A-Za-z0-9_-]+$/);
    assert.equal(new Set(events.map(({ id }) => id)).size, data.length, "each has a place of its own");
  });

  test("replays only after a pause: what comes with the headers is lost to particle-api-js", async () => {
    await client.accepted([1, 2].map(() => anEvent({ event: "pause", coreid: "d-pause" })));
    const { events } = await history("/v1/events/pause");
    const stream = await sse(`/v1/events/pause?after=${events[0].cursor}`);
    await stream.have(1, kept);
    assert.equal(stream.chunks[0].text, ":ok\n\n");
  });

  async function history(path, fields = {}) {
    const response = await worker.fetch(`${path}?${query(fields)}`, {
      headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  }

  test("everything behind /events/ is the prefix, and nonce means nothing", async () => {
    const paths = [
      "/v1/events/pre/fix",
      "/v1/events/pre%2Ffix?nonce=0.123",
      "/v1/devices/events/pre/fi",
      "/v1/devices/d-prefix/events/pre",
      "/v1/products/4711/events/pre",
      "/v1/products/4711/devices/d-prefix/events/pre%2F",
      "/v1/devices/d-prefix/events",
      "/v1/products/4711/events/",
    ];
    const others = [
      "/v1/events/Pre",
      "/v1/events/fix",
      "/v1/devices/d-other/events",
      "/v1/products/4712/events",
    ];
    const [streams, silent] = await Promise.all([
      Promise.all(paths.map((path) => sse(path))),
      Promise.all(others.map((path) => sse(path))),
    ]);
    await client.accepted(anEvent({ event: "pre/fix", coreid: "d-prefix", product_id: "4711" }));
    for (const [index, stream] of streams.entries()) {
      const [event] = await stream.have(1, kept);
      assert.equal(event.name, "pre/fix", paths[index]);
      assert.equal(event.data.product_id, "4711");
    }
    for (const stream of silent) assert.deepEqual(stream.items.filter(kept), []);
  });

  test("opens by Authorization or access_token, for reading only", async () => {
    for (const path of ["/v1/events/proof", "/v1/devices/x/events", "/v1/products/1/events"]) {
      assert.equal((await sse(path)).status, 200);
      assert.equal((await sse(`${path}?access_token=${READ}`, { token: null })).status, 200);
      for (const [options, code] of [
        [{ token: null }, "missing-proof"],
        [{ token: wrong }, "bad-token"],
        [{ token: TOKEN }, "bad-token"],
      ]) {
        const { status, problem } = await sse(path, options);
        assert.deepEqual([status, problem.code, problem.error], [401, code, code]);
      }
      assert.equal((await sse(`${path}?access_token=${wrong}`, { token: null })).status, 401);
    }
    for (const path of ["/v1/devices", "/v1/sources", "/v1/devices/x/history"])
      assert.equal((await worker.fetch(`${path}?access_token=${READ}`)).status, 401, path);
    assert.ok(!worker.logs.join("\n").includes(READ), "tokens in URLs are not logged");
  });

  test("only reads: other methods are told what is allowed", async () => {
    for (const path of [
      "/v1/events",
      "/v1/events/x",
      "/v1/devices/x/events",
      "/v1/products/1/events/x",
      "/v1/stream",
    ]) {
      const answer = await client.admin("PUT", path, "{}");
      assertProblem(answer, 405, { code: "method-not-allowed" });
      assert.equal(answer.headers.get("allow"), "GET, HEAD");
    }
    const head = await worker.fetch("/v1/events", {
      method: "HEAD",
      headers: { authorization: `Bearer ${READ}` },
    });
    assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
  });

  for (const cursor of ["nonsense", "", "0", "AQ", "1".repeat(2000)]) {
    test(`a cursor that was never given out is refused: ${JSON.stringify(cursor.slice(0, 10))}`, async () => {
      for (const path of ["/v1/events", "/v1/devices/events", "/v1/products/1/events"]) {
        const { status, problem } = await sse(`${path}?after=${cursor}`);
        assert.deepEqual([status, problem.code, problem.field], [400, "bad-cursor", "after"]);
      }
      const page = await worker.fetch(`/v1/events?after=${cursor}`, {
        headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
      });
      assert.deepEqual([page.status, (await page.json()).code], [400, "bad-cursor"]);
      await assert.rejects(openSocket(worker, `after=${cursor}`));
    });
  }

  test("a cursor behind the newest event is another deployment's", async () => {
    // Version 1, shard 0 at 127, check.
    const far = Buffer.from([1, 127, 0]);
    far[2] = [...far.subarray(0, 2)].reduce((sum, byte) => (((sum << 3) | (sum >> 5)) & 255) ^ byte, 0x5a);
    const after = far.toString("base64url");
    const { status, problem } = await sse(`/v1/events?after=${after}`);
    assert.deepEqual([status, problem.code], [400, "bad-cursor"]);
    for (const order of ["asc", "desc"]) {
      const page = await worker.fetch(`/v1/events?${query({ after, order })}`, {
        headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
      });
      assert.deepEqual([page.status, (await page.json()).code], [400, "bad-cursor"], order);
    }
  });

  test("hook-sent, hook-response and hook-error are there as on Particle, and live only", async () => {
    await client.define("/v1/sources/told", { responseTemplate: "x".repeat(600) });
    await client.define("/v1/sources/large", { responseTemplate: "x".repeat(600), replyBudget: 512 });
    const [all, errors] = [await sse("/v1/events"), await sse("/v1/devices/d-hook/events/hook-error/")];
    await client.accepted(anEvent({ event: "hk", coreid: "d-hook" }), { to: "/hook/told" });
    await client.accepted(anEvent({ event: "hk", coreid: "d-hook", product_id: "9" }), { to: "/hook/told" });
    await client.accepted(anEvent({ event: "hk", coreid: "d-hook" }), { to: "/hook/large" });
    await errors.have(1);
    await all.find(({ name }) => name === "hook-error/hk/0");
    const names = all.items.map(({ name }) => name);
    assert.deepEqual(names, [
      "hk",
      "hook-sent/hk",
      "hook-response/hk/0",
      "hook-response/hk/1",
      "hk",
      "hook-sent/hk",
      "d-hook/hook-response/hk/0",
      "d-hook/hook-response/hk/1",
      "hk",
      "hook-sent/hk",
      "hook-error/hk/0",
    ]);
    const [, sent, part0, part1] = all.items;
    assert.deepEqual(
      { ...sent.data, published_at: "" },
      {
        data: "undefined",
        ttl: "60",
        published_at: "",
        coreid: "particle-internal",
      },
    );
    assert.equal(part0.data.data + part1.data.data, "x".repeat(600));
    assert.equal(part0.data.data.length, 512);
    assert.ok(
      all.items.every((item) => kept(item) === (item.id !== undefined)),
      "what is live only has no id",
    );
    const again = await sse("/v1/events", { lastEventId: all.items[0].id });
    await again.have(2, kept);
    await client.accepted(anEvent({ event: "end" }));
    await again.find(({ name }) => name === "hook-sent/end");
    assert.deepEqual(
      again.items.map(({ name }) => name),
      ["hk", "hk", "end", "hook-sent/end"],
    );
  });

  test("JSON Lines and WebSocket show events as every read does, with the cursor first", async () => {
    const device = "d-lines";
    const lines = also(await openLines(worker, `/v1/devices/${device}/events/form`));
    const socket = also(await openSocket(worker, query({ prefix: "form", device })));
    assert.equal(lines.headers.get("content-type"), "application/x-ndjson");
    await client.accepted(anEvent({ event: "other", coreid: device }));
    await client.accepted(anEvent({ event: "form", coreid: "d-else" }));
    await client.accepted(anEvent({ event: "form", coreid: device, data: '{"t":\n 1}' }));
    const [line] = await lines.have(1);
    const [message] = await socket.have(1);
    assert.deepEqual(line, message);
    assert.equal(Object.keys(line)[0], "cursor");
    const { cursor, ...event } = line;
    assert.deepEqual(event, await client.newest(device));
    assert.deepEqual(event.data, { t: 1 });
    assert.equal(typeof cursor, "string");
  });

  test("a WebSocket answers ping, resumes, and is asked for as one", async () => {
    const first = also(await openSocket(worker, "prefix=ws"));
    first.socket.send("ping");
    assert.deepEqual(await first.have(1), ["pong"]);
    await client.accepted([1, 2, 3].map(() => anEvent({ event: "ws", coreid: "d-ws" })));
    const [one] = await first.have(1, kept);
    const second = also(await openSocket(worker, query({ prefix: "ws", after: one.cursor })));
    assert.deepEqual(
      (await second.have(2, kept)).map(({ seq }) => seq),
      [2, 3],
    );
    assertProblem(await client.read("GET", "/v1/stream"), 426, { code: "upgrade-required" });
  });

  test("a cursor of one stream is good on every other", async () => {
    const device = "d-cursors";
    await client.accepted(numbers(1, 6).map(() => anEvent({ event: "cur", coreid: device })));
    const page = await history(`/v1/devices/${device}/events`);
    const { cursor } = page.events[2];
    const [byEvents, byDevice, byLines, bySocket] = [
      await sse(`/v1/events/cur?after=${cursor}`),
      await sse(`/v1/devices/${device}/events`, { lastEventId: cursor }),
      also(await openLines(worker, `/v1/devices/events/cur?after=${cursor}`)),
      also(await openSocket(worker, query({ after: cursor, prefix: "cur" }))),
    ];
    const seqs = (items) => items.map((item) => item.seq ?? item.data.seq);
    for (const stream of [byEvents, byDevice, byLines, bySocket])
      assert.deepEqual(seqs(await stream.have(3, kept)), [4, 5, 6]);
    assert.deepEqual(seqs((await history("/v1/events/cur", { after: cursor })).events), [4, 5, 6]);
  });

  test("the header of a browser that comes back is newer than its URL", async () => {
    await client.accepted(numbers(1, 3).map(() => anEvent({ event: "newer", coreid: "d-newer" })));
    const { events } = await history("/v1/events/newer");
    const stream = await sse(`/v1/events/newer?after=${events[0].cursor}`, { lastEventId: events[1].cursor });
    assert.equal((await stream.have(1, kept))[0].data.seq, 3);
  });

  test("history is read in pages, forwards and backwards, each event once", async () => {
    const device = "d-pages";
    for (let sent = 0; sent < 25; sent += 5)
      await client.accepted(numbers(1, 5).map(() => anEvent({ event: "page", coreid: device })));
    for (const order of ["asc", "desc"]) {
      const seqs = [];
      let after;
      do {
        const page = await history(`/v1/devices/${device}/events`, {
          limit: 4,
          order,
          ...(after && { after }),
        });
        assert.ok(page.events.length <= 4);
        seqs.push(...page.events.map(({ seq }) => seq));
        after = page.next;
      } while (after);
      assert.deepEqual(order === "asc" ? seqs : seqs.toReversed(), numbers(1, 25));
    }
  });

  test("history's parameters are checked", async () => {
    for (const [fields, name] of [
      [{ limit: "0" }, "limit"],
      [{ limit: "1001" }, "limit"],
      [{ order: "up" }, "order"],
    ]) {
      const response = await worker.fetch(`/v1/events?${query(fields)}`, {
        headers: { authorization: `Bearer ${READ}`, accept: "application/json" },
      });
      const { code, field } = await response.json();
      assert.deepEqual([response.status, code, field], [400, "bad-query", name]);
    }
    const long = await sse(`/v1/events/${"x".repeat(300)}`);
    assert.deepEqual([long.status, long.problem.field], [400, "prefix"]);
  });
});

test("a fleet that was never heard has empty streams and an empty history", async () => {
  const worker = await startWorker({ vars: { FLEET_SHARDS: "3" } });
  const headers = { authorization: `Bearer ${READ}`, accept: "application/json" };
  for (const path of ["/v1/events", "/v1/events?order=desc", "/v1/products/1/devices/x/events/y"]) {
    const page = await worker.fetch(path, { headers });
    assert.deepEqual([page.status, await page.json()], [200, { events: [], next: null }]);
  }
  const stream = await openSse(worker);
  await clientOf(worker).accepted(anEvent());
  await stream.have(1, kept);
  await stream.close();
  await worker.stop();
});

test("one address may open so many streams, and have so many open", async () => {
  const worker = await startWorker({ vars: { STREAM_OPENS: "6", STREAM_MAX: "3" } });
  const from = (address) => ({ headers: { "cf-connecting-ip": address } });
  const open = (address) => openSse(worker, "/v1/events", from(address));
  const first = await Promise.all(["203.0.113.1", "203.0.113.1", "203.0.113.1"].map(open));
  assert.deepEqual(
    first.map(({ status }) => status),
    [200, 200, 200],
  );
  const refused = await open("203.0.113.1");
  assert.deepEqual([refused.status, refused.problem.code], [429, "too-many-streams"]);
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  const headers = { authorization: `Bearer ${READ}`, "cf-connecting-ip": "203.0.113.1" };
  assert.equal(await socketStatus(worker, headers), 429, "also as a WebSocket");
  assert.equal((await open("203.0.113.2")).status, 200, "another address has its own");
  const near = ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::3", "2001:db8:0:1::4"];
  const v6 = [];
  for (const address of near) v6.push((await open(address)).status);
  assert.deepEqual(v6, [200, 200, 200, 429], "IPv6 counts by /64");
  assert.equal((await open("2001:db8:0:2::1")).status, 200);
  // Three more opens for the first address, as its streams end: then the window is full.
  const [a, b, c] = first;
  for (const stream of [a, b, c]) await stream.close();
  const statuses = [];
  for (let tries = 0; tries < 200 && statuses.filter((status) => status === 200).length < 3; tries++) {
    const stream = await open("203.0.113.1");
    statuses.push(stream.status);
    if (stream.status === 200) await stream.close();
    else await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(statuses.filter((status) => status === 200).length, 3);
  const spent = await open("203.0.113.1");
  assert.deepEqual([spent.status, spent.problem.code], [429, "too-many-streams"]);
  await worker.stop();
});

/** Asks for a WebSocket with headers of its own; answers the status. */
function socketStatus(worker, headers) {
  const upgrade = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  return new Promise((resolve, reject) => {
    const asked = get(`${worker.url}/v1/stream`, { headers: { ...upgrade, ...headers } });
    asked.on("response", (response) => resolve(response.resume().statusCode));
    asked.on("upgrade", (response, socket) => resolve((socket.destroy(), response.statusCode)));
    asked.on("error", reject);
  });
}
