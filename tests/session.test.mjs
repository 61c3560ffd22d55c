// The dashboard's session: a token becomes a cookie, which opens /v1 and its streams to pages of this origin alone.
// What a cookie may look like over https, and what passes for none, is in core/tests/sessions.rs.

import assert from "node:assert/strict";
import { get } from "node:http";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf } from "./support/client.mjs";
import { kept, openSse } from "./support/sse.mjs";
import { openDatabase, rowsWith } from "./support/storage.mjs";
import { ADMIN, COUNTED, READ, SECRETS, startWorker, TOKEN } from "./support/worker.mjs";

const TWELVE_HOURS = 43_200_000;
const CHANGES = { "x-fieldhook-request": "1" };

/** An answer as `assertProblem` reads it. */
async function read(response) {
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  const body = type.includes("json") && JSON.parse(text);
  return { status: response.status, headers: response.headers, text, body };
}

/** A client that has a worker's cookie, or none yet, and says what else it sends. */
function visitor(worker, cookie) {
  const call = async (method, path, { body, headers } = {}) => {
    const sent = { ...(cookie && { cookie }), ...headers };
    return read(await worker.fetch(path, { method, body, headers: sent }));
  };
  return {
    cookie,
    call,
    get: (path) => call("GET", path),
    session: () => call("GET", "/v1/session"),
    signOut: () => call("DELETE", "/v1/session", { headers: CHANGES }),
  };
}

/** Signs in with a token; a visitor with the cookie that came. */
async function signIn(worker, token) {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await read(await worker.fetch("/v1/session", { method: "POST", headers }));
  assert.equal(answer.status, 200, answer.text);
  return visitor(worker, answer.headers.get("set-cookie").split(";")[0]);
}

/** Asks for a WebSocket as a browser does; answers the status. */
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

describe("a session", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ entry: COUNTED, site: true });
    client = clientOf(worker);
    await client.accepted(anEvent({ coreid: "device" }));
  });
  after(() => worker.stop());

  const count = async (work) => {
    await worker.fetch("/__counts", { method: "DELETE" });
    await work();
    return (await (await worker.fetch("/__counts")).json()).calls;
  };

  for (const [token, scope] of [
    [READ, "read"],
    [ADMIN, "admin"],
  ]) {
    test(`of a token for ${scope} has its scope, and ends after twelve hours`, async () => {
      const body = JSON.stringify({ token });
      const before = Date.now();
      const answer = await read(await worker.fetch("/v1/session", { method: "POST", body }));
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.body.scope, scope);
      const lasts = Date.parse(answer.body.expires_at) - before;
      assert.ok(lasts > TWELVE_HOURS - 2_000 && lasts <= TWELVE_HOURS + 60_000, String(lasts));
      assert.equal(answer.headers.get("cache-control"), "no-store");
      const [pair, ...attributes] = answer.headers.get("set-cookie").split("; ");
      assert.deepEqual(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]);
      assert.match(pair, /^fieldhook-session=[\w.-]+$/);
      assert.ok(!answer.text.includes(token) && !pair.includes(token));
      const shown = await visitor(worker, pair).session();
      assert.deepEqual([shown.status, shown.body], [200, answer.body]);
    });
  }

  test("is not made without a token that opens /v1", async () => {
    const post = async (init) => read(await worker.fetch("/v1/session", { method: "POST", ...init }));
    const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });
    assertProblem(await post(), 401, { code: "missing-proof" });
    assertProblem(await post(bearer("wrong")), 401, { code: "bad-token" });
    assertProblem(await post(bearer(TOKEN)), 401, { code: "bad-token" });
    assertProblem(await post({ body: '{"token":"wrong"}' }), 401, { code: "bad-token" });
    assertProblem(await post({ body: `token=${ADMIN}` }), 400, { code: "bad-json" });
    const elsewhere = { ...bearer(ADMIN).headers, origin: "https://evil.example" };
    assertProblem(await post({ headers: elsewhere }), 403, { code: "forbidden-origin" });
    const { cookie } = await signIn(worker, ADMIN);
    assertProblem(await post({ headers: { cookie, ...CHANGES } }), 401, { code: "missing-proof" });
    for (const answer of [await post(), await post(bearer("wrong"))]) {
      assert.equal(answer.headers.get("set-cookie"), null);
    }
    assertProblem(await visitor(worker).session(), 401, { code: "missing-proof" });
    assertProblem(await visitor(worker).call("PUT", "/v1/session"), 405, { code: "method-not-allowed" });
  });

  test("opens every kind of call, as far as its token does", async () => {
    const reader = await signIn(worker, READ);
    const admin = await signIn(worker, ADMIN);
    for (const path of [
      "/v1/devices",
      "/v1/devices/device/history",
      "/v1/devices/device/series",
      "/v1/sources",
      "/v1/transforms",
      "/v1/integrations",
      "/v1/subscriptions",
      "/v1/stats",
      "/v1/products/1/devices",
    ]) {
      for (const who of [reader, admin]) assert.equal((await who.get(path)).status, 200, path);
    }
    assertProblem(await reader.get("/v1/quarantine"), 403, { code: "forbidden" });
    assert.equal((await admin.get("/v1/quarantine")).status, 200);
    const source = { headers: CHANGES, body: "{}" };
    assertProblem(await reader.call("PUT", "/v1/sources/mine", source), 403, { code: "forbidden" });
    assert.equal((await admin.call("PUT", "/v1/sources/mine", source)).status, 201);
  });

  test("opens streams: server-sent events, JSON Lines, WebSocket", async () => {
    const { cookie } = await signIn(worker, READ);
    const stream = await openSse(worker, "/v1/events", { token: null, headers: { cookie } });
    assert.equal(stream.status, 200);
    await client.accepted(anEvent({ coreid: "device", data: "streamed" }));
    await stream.have(1, kept);
    await stream.close();

    const stop = new AbortController();
    const lines = await worker.fetch("/v1/events", {
      headers: { cookie, accept: "application/x-ndjson" },
      signal: stop.signal,
    });
    assert.deepEqual([lines.status, lines.headers.get("content-type")], [200, "application/x-ndjson"]);
    stop.abort();

    assert.equal(await socketStatus(worker, { cookie, origin: worker.url }), 101);
    assert.equal(await socketStatus(worker, { cookie, origin: "https://evil.example" }), 403);
    assert.equal(await socketStatus(worker, { cookie }), 403, "a browser always names the origin");
    assert.equal(await socketStatus(worker, { origin: worker.url }), 401);
    const authorization = `Bearer ${READ}`;
    assert.equal(await socketStatus(worker, { authorization, origin: "https://app.example" }), 101);
  });

  test("changes nothing without the header, and nothing for pages of other origins", async () => {
    const admin = await signIn(worker, ADMIN);
    const patch = (headers) => admin.call("PATCH", "/v1/devices/device/twin", { headers, body: '{"a":1}' });
    assertProblem(await patch({}), 403, { code: "header-missing", naming: "x-fieldhook-request" });
    assertProblem(await patch({ "x-fieldhook-request": "yes" }), 403, { code: "header-missing" });
    const evil = { ...CHANGES, origin: "https://evil.example" };
    assertProblem(await patch(evil), 403, { code: "forbidden-origin" });
    assertProblem(await admin.call("DELETE", "/v1/devices/device"), 403, { code: "header-missing" });
    assertProblem(await admin.call("DELETE", "/v1/session"), 403, { code: "header-missing" });
    assert.equal((await client.read("GET", "/v1/devices/device/twin")).body.desired.a, undefined);
    assert.equal((await patch({ ...CHANGES, origin: worker.url })).status, 200);
    assert.equal((await client.admin("PATCH", "/v1/devices/device/twin", { b: 1 })).status, 200);
  });

  test("is for no other origin, whatever a browser asks", async () => {
    const { cookie } = await signIn(worker, READ);
    const origin = "https://evil.example";
    const asked = {
      origin,
      "access-control-request-method": "PATCH",
      "access-control-request-headers": "x-fieldhook-request",
    };
    const preflight = await worker.fetch("/v1/session", { method: "OPTIONS", headers: asked });
    const read = await worker.fetch("/v1/devices", { headers: { cookie, origin } });
    for (const answer of [preflight, read]) {
      assert.equal(answer.headers.get("access-control-allow-credentials"), null);
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    }
    assert.equal(read.status, 403);
  });

  test("gives way to a token that is sent too", async () => {
    const admin = await signIn(worker, ADMIN);
    const withToken = (token) =>
      admin.call("GET", "/v1/quarantine", { headers: { authorization: `Bearer ${token}` } });
    assertProblem(await withToken(READ), 403, { code: "forbidden" });
    assertProblem(await withToken("wrong"), 401, { code: "bad-token" });
    const sse = { accept: "text/event-stream" };
    const query = await admin.call("GET", "/v1/events?access_token=wrong", { headers: sse });
    assert.equal(query.body.code, "bad-token");
  });

  test("does not open /hook", async () => {
    const { cookie } = await signIn(worker, ADMIN);
    const headers = { cookie, ...CHANGES };
    const sent = await worker.fetch("/hook", { method: "POST", headers, body: JSON.stringify(anEvent()) });
    assertProblem(await read(sent), 401, { code: "missing-proof" });
  });

  test("that was ended opens nothing, whoever has a copy; others go on", async () => {
    const [mine, other] = [await signIn(worker, ADMIN), await signIn(worker, ADMIN)];
    const copy = visitor(worker, mine.cookie);
    const answer = await mine.signOut();
    assert.deepEqual([answer.status, answer.text], [204, ""]);
    assert.equal(answer.headers.get("cache-control"), "no-store");
    assert.match(answer.headers.get("set-cookie"), /^fieldhook-session=; Path=\/; Max-Age=0; HttpOnly/);
    for (const path of ["/v1/session", "/v1/devices", "/v1/events"]) {
      const answer = await copy.get(path);
      assert.deepEqual([answer.status, answer.body.code], [401, "session-ended"], path);
    }
    assert.equal(await socketStatus(worker, { cookie: copy.cookie, origin: worker.url }), 401);
    assert.equal((await other.get("/v1/devices")).status, 200);
    for (const again of [copy, visitor(worker), visitor(worker, "fieldhook-session=garbage")]) {
      assert.equal((await again.signOut()).status, 204, "nothing is left to end");
    }
    assertProblem(await mine.session(), 401, { code: "session-ended" });
  });

  test("costs one object call for each request, and a token none", async () => {
    const { cookie, get } = await signIn(worker, READ);
    await get("/v1/devices/device");
    assert.deepEqual(await count(() => get("/v1/devices/device")), {
      "REGISTRY.sessionEnded": 1,
      "DEVICE.describe": 1,
    });
    const authorization = `Bearer ${READ}`;
    const byToken = () => worker.fetch("/v1/devices/device", { headers: { authorization, cookie } });
    assert.deepEqual(await count(byToken), { "DEVICE.describe": 1 });
    const forged = visitor(worker, `${cookie}x`);
    assert.deepEqual(
      await count(() => forged.get("/v1/devices/device")),
      {},
      "what is not genuine asks nobody",
    );
  });

  test("is found among whatever else a browser sends", async () => {
    const { cookie } = await signIn(worker, READ);
    const status = async (text) => (await visitor(worker, text).get("/v1/devices")).status;
    for (const text of [
      `a=1; ${cookie}; b=2`,
      `fieldhook-session=garbage; ${cookie}`,
      `a=${"x".repeat(10_240)}; ${cookie}`,
    ]) {
      assert.equal(await status(text), 200, text.slice(0, 60));
    }
    for (const text of [
      "fieldhook-session=",
      "fieldhook-session",
      "fieldhook-session=1.admin.99999999999.AAAAAAAAAAAAAAAAAAAAAA.",
      `fieldhook-session=${"x".repeat(10_240)}`,
      "fieldhook-session=x;".repeat(500),
      cookie.replace("1.read.", "1.admin."),
      cookie.replace("fieldhook-session", "__Host-fieldhook"),
    ]) {
      assert.equal(await status(text), 401, text.slice(0, 60));
    }
  });

  test("is never written down: not in the log, and of an ended one only its id is stored", async () => {
    const { cookie } = await signIn(worker, ADMIN);
    await visitor(worker, cookie).signOut();
    await visitor(worker, cookie).get("/v1/devices");
    const [, , , id, signature] = cookie.split(".");
    const stored = Buffer.from(id, "base64url").toString("hex");
    assert.equal(rowsWith(worker.storage, "Registry", stored).length, 1);
    for (const part of [id, signature, ADMIN, READ]) {
      assert.ok(!worker.logs.join("\n").includes(part));
      assert.deepEqual(rowsWith(worker.storage, "Registry", part), []);
    }
  });
});

test("a session ends with its token, and survives a restart and another token beside it", async () => {
  const worker = await startWorker();
  try {
    const { cookie } = await signIn(worker, READ);
    const ended = await signIn(worker, READ);
    assert.equal((await ended.signOut()).status, 204);
    await worker.release();
    const next = async (READ_TOKENS) => {
      const vars = { ...SECRETS, READ_TOKENS };
      const later = await startWorker({ vars, persist: worker.storage });
      try {
        return await Promise.all(
          [cookie, ended.cookie].map((text) => visitor(later, text).get("/v1/devices")),
        );
      } finally {
        await later.stop();
      }
    };
    const codes = (answers) => answers.map(({ status, body }) => body.code ?? status);
    assert.deepEqual(codes(await next(`newer-${READ},${READ}`)), [200, "session-ended"]);
    assert.deepEqual(codes(await next(`newer-${READ}`)), ["session-ended", "session-ended"]);
  } finally {
    await worker.stop();
  }
});

test("five thousand that readers ended are remembered, and ten in all; none gives way, and none is kept too long", async () => {
  const worker = await startWorker();
  try {
    const first = await signIn(worker, READ);
    assert.equal((await first.signOut()).status, 204);
    const fill = async (count, until) => {
      await worker.release();
      const registry = openDatabase(worker.storage, "Registry");
      const insert = registry.prepare("INSERT OR REPLACE INTO ended_sessions (id, until) VALUES (?, ?)");
      registry.exec("BEGIN");
      for (let at = 0; at < count; at++) insert.run(`ended-${at}`, until);
      registry.exec("COMMIT");
      registry.close();
      await worker.restart();
    };
    await fill(4_999, Date.now() + TWELVE_HOURS);
    const other = await signIn(worker, READ);
    assertProblem(await other.signOut(), 409, { code: "limit-reached" });
    const admin = await signIn(worker, ADMIN);
    assert.equal((await admin.signOut()).status, 204, "readers do not use up what admins need");
    await fill(9_998, Date.now() + TWELVE_HOURS);
    assertProblem(await (await signIn(worker, ADMIN)).signOut(), 409, { code: "limit-reached" });
    assertProblem(await first.session(), 401, { code: "session-ended" });
    await fill(9_998, Date.now() - 3_600_000);
    assert.equal((await other.signOut()).status, 204);
    assertProblem(await other.session(), 401, { code: "session-ended" });
    assertProblem(await first.session(), 401, { code: "session-ended" });
    assert.deepEqual(rowsWith(worker.storage, "Registry", "ended-"), []);
  } finally {
    await worker.stop();
  }
});

test("a session's requests count as its token's", async () => {
  const worker = await startWorker({ vars: { KEY_RATE: "0.01" } });
  try {
    // Ten times the rate at once, which is less than one: one at once.
    const headers = { authorization: `Bearer ${READ}` };
    const first = await read(await worker.fetch("/v1/session", { method: "POST", headers }));
    assert.equal(first.status, 200);
    const { call } = visitor(worker, first.headers.get("set-cookie").split(";")[0]);
    assertProblem(await call("GET", "/v1/stats"), 429, { code: "rate-limited" });
    assertProblem(await call("GET", "/v1/session"), 429, { code: "rate-limited" });
    assertProblem(await read(await worker.fetch("/v1/stats", { headers })), 429, { code: "rate-limited" });
  } finally {
    await worker.stop();
  }
});

test("what /v1 answers is data and nothing else, and in nobody's frame", async () => {
  const worker = await startWorker();
  try {
    for (const path of ["/v1/devices", "/v1/nothing", "/v1/session"]) {
      const answer = await worker.fetch(path, { headers: { authorization: `Bearer ${READ}` } });
      await answer.arrayBuffer();
      assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
      const policy = "default-src 'none'; frame-ancestors 'none'";
      assert.equal(answer.headers.get("content-security-policy"), policy, path);
    }
  } finally {
    await worker.stop();
  }
});
