// What a sender hears: the status, the headers that go with it, and problem JSON with a stable code.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  FAILING,
  FAILS,
  PARTICLE_AGENT,
  accepted,
  api,
  bearer,
  eventOf,
  eventsOf,
  hubHeaders,
  isDuplicate,
  newDevice,
  newId,
  newSource,
  problemOf,
  quarantineOf,
  refused,
  send,
  standardHeaders,
} from "./support/send.mjs";
import { TOKEN, rawRequest, startWorker } from "./support/worker.mjs";

const MAX_BODY = 1000;

const [worker, rejecting, accepting] = await Promise.all([
  startWorker({ entry: FAILING, vars: { MAX_BODY: String(MAX_BODY) } }),
  startWorker({ vars: { MALFORMED: "reject" } }),
  startWorker({ vars: { MALFORMED: "accept" } }),
]);
after(() => Promise.all([worker.stop(), rejecting.stop(), accepting.stop()]));

const event = (fields = {}) => ({
  event: "temp",
  data: "1",
  coreid: newDevice(),
  event_id: newId(),
  ...fields,
});

// 200 and 204.

test("204 and no body, when there is nothing to say", async () => {
  const response = await send(worker, { json: event() });
  assert.deepEqual([response.status, await response.text()], [204, ""]);
});

test("200 and a body, when there is something for the device", async () => {
  const source = newSource();
  const json = { responseTemplate: "hello {{{PARTICLE_DEVICE_ID}}}" };
  assert.ok((await api(worker, "PUT", `/v1/sources/${source}`, { json })).ok);
  const sent = event();
  const response = await send(worker, { source, json: sent });
  assert.deepEqual([response.status, await response.text()], [200, `hello ${sent.coreid}`]);
});

test("204, when the template of a source renders nothing", async () => {
  const source = newSource();
  assert.ok(
    (await api(worker, "PUT", `/v1/sources/${source}`, { json: { responseTemplate: "{{{none}}}" } })).ok,
  );
  const response = await send(worker, { source, json: event() });
  assert.deepEqual([response.status, await response.text()], [204, ""]);
});

test("only a repeat says that it is one", async () => {
  const json = event();
  assert.equal((await send(worker, { json })).headers.get("fieldhook-duplicate"), null);
  assert.equal((await send(worker, { json })).headers.get("fieldhook-duplicate"), "true");
});

// Errors.

/** Every refusal at /hook with its status and its code, which other software may rely on. */
const REFUSALS = [
  ["no proof", 401, "missing-proof", { token: null, json: event() }],
  ["a wrong token", 401, "bad-token", { token: "wrong", json: event() }],
  ["a wrong signature", 401, "bad-signature", { token: null, json: "{}", headers: hubHeaders("other") }],
  [
    "an old signature",
    401,
    "stale-signature",
    { token: null, json: "{}", headers: standardHeaders("{}", { age: 900 }) },
  ],
  ["no name", 400, "missing-field", { json: {} }],
  ["a bad device id", 400, "bad-field", { json: event({ coreid: "not a device" }) }],
  ["a name that is an object", 400, "bad-field", { json: event({ event: {} }) }],
  ["broken JSON", 400, "bad-json", { json: '{"event":"temp"' }],
  ["JSON that goes on", 400, "bad-json", { json: '{"event":"temp"} x' }],
  [
    "JSON that is not UTF-8",
    400,
    "bad-body",
    { body: Buffer.from([0x7b, 0xff]), headers: { "content-type": "application/json" } },
  ],
  ["an empty batch", 400, "empty-batch", { json: [] }],
  ["a batch of no events", 400, "batch-refused", { json: [{}] }],
  ["a body that is too large", 413, "body-too-large", { json: event({ data: "x".repeat(MAX_BODY) }) }],
  [
    "multipart",
    415,
    "unsupported-media-type",
    { body: "-", headers: { "content-type": "multipart/form-data; boundary=-" } },
  ],
  ["gzip", 415, "unsupported-media-type", { json: "{}", headers: { "content-encoding": "gzip" } }],
  ["a delivery in a circle", 508, "hop-limit", { json: event(), headers: { "fieldhook-hop": "4" } }],
  ["a commit that failed", 503, "commit-failed", { json: event({ data: FAILS }) }],
];

for (const [what, status, code, request] of REFUSALS) {
  test(`${what} is ${status} ${code}`, async () => {
    assert.equal((await refused(worker, status, request)).code, code);
  });
}

test("a problem says in its detail what to do, and echoes nothing that was sent", async () => {
  const problem = await refused(worker, 400, { json: event({ coreid: "not <b>a</b> device" }) });
  assert.ok(!JSON.stringify(problem).includes("<b>"), JSON.stringify(problem));
});

test("401 says how to prove oneself (RFC 9110, 15.5.2)", async () => {
  const response = await send(worker, { token: null, json: event() });
  assert.match(response.headers.get("www-authenticate") ?? "", /Bearer/);
});

// 405.

for (const method of ["PATCH", "HEAD", "OPTIONS"]) {
  for (const path of ["/hook", "/hook/greenhouse"]) {
    test(`${method} ${path} is 405 and names what is allowed`, async () => {
      const response = await worker.fetch(path, { method, headers: bearer(TOKEN) });
      assert.deepEqual(
        response.headers
          .get("allow")
          ?.split(/\s*,\s*/)
          .sort(),
        ["DELETE", "GET", "POST", "PUT"],
      );
      if (method === "HEAD") assert.equal(response.status, 405);
      else await problemOf(response, 405);
    });
  }
}

for (const [method, path, allowed] of [
  ["POST", "/healthz", "GET"],
  ["POST", "/openapi.json", "GET"],
  ["PUT", "/v1/devices", "GET"],
  ["POST", "/v1/devices/d/history", "GET"],
  ["PATCH", "/v1/sources/s", "PUT"],
  ["PATCH", "/v1/transforms/t", "DELETE"],
]) {
  test(`${method} ${path} is 405 and names what is allowed`, async () => {
    const response = await api(worker, method, path);
    assert.ok(
      response.headers
        .get("allow")
        ?.split(/\s*,\s*/)
        .includes(allowed),
      response.headers.get("allow"),
    );
    await problemOf(response, 405);
  });
}

// 404.

for (const path of [
  "/nothing",
  "/hook/a/b",
  "/hooks",
  "/v1",
  "/v1/nothing",
  "/v1/devices/d/nothing",
  "/v2/devices",
]) {
  test(`${path} is 404`, async () => {
    await problemOf(await api(worker, "GET", path), 404);
  });
}

test("an error under Particle's own paths has Particle's members too", async () => {
  for (const [path, token, status] of [
    [`/v1/devices/${newDevice()}`, undefined, 404],
    ["/v1/devices", null, 401],
    ["/v1/devices", "wrong", 401],
  ]) {
    const problem = await problemOf(await api(worker, "GET", path, { token }), status);
    assert.equal(typeof problem.error, "string", `${path}: ${JSON.stringify(problem)}`);
    assert.equal(typeof problem.error_description, "string", `${path}: ${JSON.stringify(problem)}`);
  }
});

// 413.

/** An event whose JSON is exactly this long. */
function eventOfSize(size, coreid = newDevice()) {
  const text = (data) => JSON.stringify({ event: "temp", data, coreid });
  return text("x".repeat(size - text("").length));
}

/** Sends without a Content-Length: in chunks. */
const sendChunked = (text) =>
  worker.fetch("/hook", {
    method: "POST",
    headers: { ...bearer(TOKEN), "content-type": "application/json" },
    body: new Blob([text.slice(0, 300), text.slice(300)]).stream(),
    duplex: "half",
  });

test("a body of MAX_BODY is accepted and one byte more is 413, with a Content-Length", async () => {
  const device = newDevice();
  await accepted(worker, { json: eventOfSize(MAX_BODY, device) });
  await refused(worker, 413, { json: eventOfSize(MAX_BODY + 1, device) });
  assert.equal((await eventsOf(worker, device)).length, 1);
});

test("a body of MAX_BODY is accepted and one byte more is 413, without a Content-Length", async () => {
  const device = newDevice();
  assert.equal((await sendChunked(eventOfSize(MAX_BODY, device))).status, 204);
  await problemOf(await sendChunked(eventOfSize(MAX_BODY + 1, device)), 413);
  assert.equal((await eventsOf(worker, device)).length, 1);
});

test("a body far over MAX_BODY is 413, and the next request is served", async () => {
  await refused(worker, 413, { json: eventOfSize(2_000_000) });
  await accepted(worker, { json: event() });
});

test("a body over MAX_BODY without proof is 401 or 413, never taken in", async () => {
  const response = await send(worker, { token: null, json: eventOfSize(MAX_BODY + 1) });
  assert.ok([401, 413].includes(response.status));
});

test("a signed body over MAX_BODY is 413", async () => {
  const body = eventOfSize(MAX_BODY + 1);
  await refused(worker, 413, { token: null, json: body, headers: standardHeaders(body) });
});

test("by default a body may have 262,144 bytes", async () => {
  const device = newDevice();
  await accepted(rejecting, { json: eventOfSize(262_144, device) });
  await refused(rejecting, 413, { json: eventOfSize(262_145, device) });
  assert.equal((await eventsOf(rejecting, device)).length, 1);
});

// 503.

test("503 with Retry-After, when the commit failed; then nothing was kept and sending again is safe", async () => {
  const sent = event({ data: FAILS });
  const response = await send(worker, { json: sent });
  const retryAfter = response.headers.get("retry-after");
  await problemOf(response, 503);
  assert.match(retryAfter ?? "", /^[1-9]\d*$/);
  assert.deepEqual(await eventsOf(worker, sent.coreid), []);
  assert.ok(!isDuplicate(await accepted(worker, { json: { ...sent, data: "1" } })));
});

test("503 for Particle too, when the commit failed: it is to send again", async () => {
  await refused(worker, 503, { json: event({ data: FAILS }), headers: { "user-agent": PARTICLE_AGENT } });
});

test("nothing but 503 asks to be tried again", async () => {
  for (const [, status, , request] of REFUSALS) {
    if (status === 503) continue;
    const response = await send(worker, request);
    assert.equal(response.headers.get("retry-after"), null, `${status}`);
    await response.text();
  }
});

// 508.

test("up to three deliveries may lead here, more are a circle", async () => {
  for (const hops of ["0", "1", "3"]) {
    await accepted(worker, { json: event(), headers: { "fieldhook-hop": hops } });
  }
  const sent = event();
  for (const hops of ["4", "10", "4294967296", "99999999999999999999999"]) {
    await refused(worker, 508, { json: sent, headers: { "fieldhook-hop": hops } });
  }
  assert.deepEqual(await eventsOf(worker, sent.coreid), []);
});

// MALFORMED.

/** Authenticated, and no event. */
const MALFORMED = [
  ["no name", { json: { data: "1" } }],
  ["a bad device id", { json: event({ coreid: "not a device" }) }],
  ["broken JSON", { json: '{"event":' }],
  ["multipart", { body: "-", headers: { "content-type": "multipart/form-data; boundary=-" } }],
  ["an empty body", { body: "" }],
];

const from = (agent, request) => ({ ...request, headers: { ...request.headers, "user-agent": agent } });

async function answersEmpty202(to, request) {
  const response = await send(to, request);
  assert.deepEqual([response.status, await response.text()], [202, ""]);
}

for (const [what, request] of MALFORMED) {
  test(`by default ${what} is an empty 202 for Particle, an error for others, and kept from both`, async () => {
    const source = newSource();
    await answersEmpty202(worker, from(PARTICLE_AGENT, { source, ...request }));
    const response = await send(worker, from("curl/8.14.1", { source, ...request }));
    await problemOf(response, what === "multipart" ? 415 : 400);
    const kept = await quarantineOf(worker, source);
    assert.equal(kept.length, 2);
    assert.deepEqual(kept[0].body, kept[1].body);
  });

  test(`with MALFORMED=reject ${what} is an error for all, and kept`, async () => {
    const source = newSource();
    for (const agent of [PARTICLE_AGENT, "curl/8.14.1"]) {
      const response = await send(rejecting, from(agent, { source, ...request }));
      await problemOf(response, what === "multipart" ? 415 : 400);
    }
    assert.equal((await quarantineOf(rejecting, source)).length, 2);
  });

  test(`with MALFORMED=accept ${what} is an empty 202 for all, and kept`, async () => {
    const source = newSource();
    for (const agent of [PARTICLE_AGENT, "curl/8.14.1"]) {
      await answersEmpty202(accepting, from(agent, { source, ...request }));
    }
    assert.equal((await quarantineOf(accepting, source)).length, 2);
  });
}

test("another version of Particle's agent is Particle, and what only resembles it is not", async () => {
  const request = { json: { data: "1" } };
  await answersEmpty202(worker, from("ParticleBot/2.0", request));
  for (const agent of ["Mozilla/5.0 ParticleBot/1.1", "ParticleBotnet/1.1", "ParticleBot"]) {
    await refused(worker, 400, from(agent, request));
  }
});

test("Particle's agent is a hint and no proof", async () => {
  for (const to of [worker, rejecting, accepting]) {
    await refused(to, 401, from(PARTICLE_AGENT, { token: null, json: { data: "1" } }));
    await refused(to, 401, from(PARTICLE_AGENT, { token: null, json: event() }));
  }
});

test("MALFORMED changes nothing for an event", async () => {
  for (const to of [worker, rejecting, accepting]) {
    const sent = event();
    await accepted(to, from(PARTICLE_AGENT, { json: sent }));
    assert.equal((await eventOf(to, sent.coreid)).id, sent.event_id);
  }
});

test("an answer without a body has none on the wire", async () => {
  const request = { method: "POST", headers: { ...bearer(TOKEN), "user-agent": PARTICLE_AGENT } };
  const headers = { ...request.headers, "content-type": "application/json" };
  for (const [status, body] of [
    [204, JSON.stringify(event())],
    [202, "{}"],
  ]) {
    const answer = await rawRequest(`${worker.url}/hook`, { ...request, headers, body });
    assert.deepEqual([answer.status, answer.body.length], [status, 0]);
  }
});
