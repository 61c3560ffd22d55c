// Who may send and who may read: tokens in the places that carry them, and nowhere else.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  accepted,
  api,
  basic,
  bearer,
  eventOf,
  eventsOf,
  historyText,
  hubHeaders,
  newDevice,
  newId,
  newSource,
  problemOf,
  quarantineOf,
  refused,
  standardHeaders,
} from "./support/send.mjs";
import { ADMIN, HUB_SECRET, READ, TOKEN, startWorker } from "./support/worker.mjs";

const NEXT_TOKEN = "next-ingest-token-9876543210";
const COLON_TOKEN = "a:token:with:colons-0123456789";
const NETWORKS = "203.0.113.0/24, 2001:db8::/32, 198.51.100.7";

const [worker, unconfigured, strict] = await Promise.all([
  startWorker({ vars: { INGEST_TOKENS: `${TOKEN}, ${NEXT_TOKEN},${COLON_TOKEN}` } }),
  startWorker({
    vars: {
      INGEST_TOKENS: undefined,
      HMAC_SECRETS: undefined,
      READ_TOKENS: undefined,
      ADMIN_TOKENS: undefined,
    },
  }),
  startWorker({ vars: { PROOF: "all", ALLOWED_NETWORKS: NETWORKS } }),
]);
after(() => Promise.all([worker.stop(), unconfigured.stop(), strict.stop()]));

const event = (coreid = newDevice()) => ({ event: "temp", data: "1", coreid });

/** Sends an event with these headers as the only proof. */
const accepts = (headers) => accepted(worker, { token: null, json: event(), headers });
const refuses = (headers, to = worker) => refused(to, 401, { token: null, json: event(), headers });

test("a token opens as Bearer, whatever the case of the scheme", async () => {
  for (const scheme of ["Bearer", "bearer", "BEARER"]) await accepts({ authorization: `${scheme} ${TOKEN}` });
});

test("a token opens as x-fieldhook-token", () => accepts({ "x-fieldhook-token": TOKEN }));

test("a token opens as the password of HTTP Basic, with any user or none", async () => {
  for (const user of ["particle", "", "ü"]) await accepts(basic(user, TOKEN));
});

test("a Basic password may hold colons", () => accepts(basic("particle", COLON_TOKEN)));

test("several tokens open at once, so that one can be replaced without a gap", async () => {
  for (const token of [TOKEN, NEXT_TOKEN]) await accepts(bearer(token));
});

for (const [what, headers] of [
  ["a wrong token", bearer("wrong-token-0123456789")],
  ["a token with a character more", bearer(`${TOKEN}x`)],
  ["a token with a character less", bearer(TOKEN.slice(0, -1))],
  ["a token in other case", bearer(TOKEN.toUpperCase())],
  ["the whole list of tokens", bearer(`${TOKEN}, ${NEXT_TOKEN},${COLON_TOKEN}`)],
  ["a wrong x-fieldhook-token", { "x-fieldhook-token": "wrong-token-0123456789" }],
  ["a wrong Basic password", basic("particle", "wrong-token-0123456789")],
  ["a read token", bearer(READ)],
  ["an admin token", bearer(ADMIN)],
  ["a signing secret", bearer(HUB_SECRET)],
]) {
  test(`${what} does not open`, async () => {
    assert.equal((await refuses(headers)).code, "bad-token");
  });
}

for (const [what, headers] of [
  ["no proof", {}],
  ["an empty Authorization", { authorization: "" }],
  ["Bearer without a token", { authorization: "Bearer " }],
  ["an empty x-fieldhook-token", { "x-fieldhook-token": "" }],
  ["the token without a scheme", { authorization: TOKEN }],
  ["the token under another scheme", { authorization: `Token ${TOKEN}` }],
  ["the token as the Basic user", basic(TOKEN, "")],
  ["Basic that is not base64", { authorization: "Basic %%%" }],
  ["the token in a cookie", { cookie: `access_token=${TOKEN}` }],
  ["the token in a header of another name", { "x-api-key": TOKEN }],
]) {
  test(`${what} does not open`, () => refuses(headers));
}

test("an empty Authorization counts as absent: the token beside it opens", () =>
  accepts({ authorization: "", "x-fieldhook-token": TOKEN }));

test("what is not proven leaves no trace: no event and no quarantine", async () => {
  const [device, source] = [newDevice(), newSource()];
  await refused(worker, 401, { source, token: "wrong-token-0123456789", json: event(device) });
  await refused(worker, 401, { source, token: null, json: { no: "event" } });
  assert.deepEqual(await eventsOf(worker, device), []);
  assert.deepEqual(await quarantineOf(worker, source), []);
});

for (const name of ["access_token", "token", "api_key", "authorization", "x-fieldhook-token"]) {
  test(`a token in the query as ${name} does not open`, async () => {
    await refused(worker, 401, { token: null, json: event(), query: { [name]: TOKEN } });
    await refused(worker, 401, { token: null, method: "GET", query: { ...event(), [name]: TOKEN } });
  });

  test(`a token in the query as ${name} is not stored, in the log or in quarantine`, async () => {
    const [device, source] = [newDevice(), newSource()];
    await accepted(worker, { source, json: event(device), query: { [name]: TOKEN, site: "north" } });
    assert.deepEqual((await eventOf(worker, device)).extra, { site: "north" });
    assert.ok(!(await historyText(worker, device)).includes(TOKEN));
    await refused(worker, 400, { source, json: { no: "event" }, query: { [name]: TOKEN, site: "north" } });
    const [entry] = await quarantineOf(worker, source);
    assert.ok(!JSON.stringify(entry).includes(TOKEN), JSON.stringify(entry));
    assert.ok(JSON.stringify(entry).includes("site=north"), JSON.stringify(entry));
  });
}

test("a token in the path or in the body does not open", async () => {
  await refused(worker, 401, { token: null, source: TOKEN, json: event() });
  await refused(worker, 401, { token: null, form: { ...event(), access_token: TOKEN } });
  await refused(worker, 401, { token: null, json: { ...event(), token: TOKEN } });
});

test("with nothing that could prove an event, ingest is closed and says so", async () => {
  for (const request of [{}, { token: null }, { headers: hubHeaders("{}"), token: null, body: "{}" }]) {
    const response = await refused(unconfigured, 503, { json: event(), ...request });
    assert.equal(response.code, "not-configured");
  }
});

test("what is not configured is not to be tried again: there is no Retry-After", async () => {
  const response = await unconfigured.fetch("/hook", { method: "POST", headers: bearer(TOKEN) });
  assert.equal((await problemOf(response, 503)).code, "not-configured");
  assert.equal(response.headers.get("retry-after"), null);
});

test("an empty token does not open what has no tokens configured", async () => {
  for (const authorization of [
    "",
    "Bearer ",
    "Bearer undefined",
    `Basic ${Buffer.from(":").toString("base64")}`,
  ]) {
    await refused(unconfigured, 503, { token: null, json: event(), headers: { authorization } });
    const response = await unconfigured.fetch("/v1/devices", { headers: { authorization } });
    assert.ok([401, 503].includes(response.status), `${authorization}: ${response.status}`);
  }
});

// PROOF=all, and a list of networks.

const INSIDE = { "cf-connecting-ip": "203.0.113.9" };

test("with PROOF=all a token needs a signature beside it, and a signature a token", async () => {
  const body = JSON.stringify({ ...event(), event_id: newId() });
  const signatures = [standardHeaders(body), hubHeaders(body)];
  await refused(strict, 401, { json: body, headers: INSIDE });
  for (const signature of signatures) {
    await refused(strict, 401, { json: body, token: null, headers: { ...INSIDE, ...signature } });
    await refused(strict, 401, { json: body, token: "wrong", headers: { ...INSIDE, ...signature } });
  }
  await refused(strict, 401, { json: body, headers: { ...INSIDE, ...hubHeaders(body, "wrong") } });
  for (const signature of signatures) {
    await accepted(strict, { json: body, headers: { ...INSIDE, ...signature } });
  }
});

test("with PROOF=all a GET proves nothing, since no signature covers it", async () => {
  await refused(strict, 401, { method: "GET", query: event(), headers: { ...INSIDE, ...hubHeaders("") } });
});

test("with a token beside the signature, query and headers give fields again", async () => {
  const [device, body] = [newDevice(), JSON.stringify({ data: "1" })];
  await accepted(strict, {
    json: body,
    query: { event: "temp" },
    headers: { ...INSIDE, ...hubHeaders(body), "x-particle-device-id": device },
  });
  assert.equal((await eventOf(strict, device)).event, "temp");
});

test("only the allowed networks may send", async () => {
  for (const [address, status] of [
    ["203.0.113.255", 204],
    ["198.51.100.7", 204],
    ["2001:db8:1::1", 204],
    ["::ffff:203.0.113.9", 204],
    ["203.0.114.1", "refused"],
    ["198.51.100.8", "refused"],
    ["2001:db9::1", "refused"],
    ["not an address", "refused"],
    [undefined, "refused"],
  ]) {
    const body = JSON.stringify(event());
    const from = address === undefined ? {} : { "cf-connecting-ip": address };
    const response = await strict.fetch("/hook", {
      method: "POST",
      headers: { ...bearer(TOKEN), ...standardHeaders(body), ...from },
      body: Buffer.from(body),
    });
    if (status === 204) assert.equal(response.status, 204, `${address}: ${await response.text()}`);
    else assert.ok([401, 403].includes(response.status), `${address}: ${response.status}`);
  }
});

for (const name of ["x-forwarded-for", "x-real-ip", "true-client-ip", "forwarded"]) {
  test(`${name} says nothing of the network`, async () => {
    const body = JSON.stringify(event());
    const response = await strict.fetch("/hook", {
      method: "POST",
      headers: { ...bearer(TOKEN), ...standardHeaders(body), [name]: "203.0.113.9" },
      body: Buffer.from(body),
    });
    assert.ok([401, 403].includes(response.status), `${response.status}`);
  });
}

// A source with tokens of its own.

async function sourceWith(tokens) {
  const source = newSource();
  const response = await api(worker, "PUT", `/v1/sources/${source}`, { json: { tokens } });
  assert.ok(response.ok, await response.text());
  return source;
}

test("a source with tokens of its own is opened by these only", async () => {
  const source = await sourceWith(["own-token-one-0123456789", "own-token-two-0123456789"]);
  await accepted(worker, { source, token: "own-token-one-0123456789", json: event() });
  await accepted(worker, { source, token: "own-token-two-0123456789", json: event() });
  assert.equal((await refused(worker, 401, { source, json: event() })).code, "bad-token");
});

test("a source's own token opens no other source", async () => {
  await sourceWith(["own-token-three-0123456789"]);
  await refused(worker, 401, { token: "own-token-three-0123456789", json: event() });
  await refused(worker, 401, { source: newSource(), token: "own-token-three-0123456789", json: event() });
});

test("a signature alone does not open a source with tokens of its own", async () => {
  const source = await sourceWith(["own-token-four-0123456789"]);
  const body = JSON.stringify({ ...event(), event_id: newId() });
  await refused(worker, 401, { source, token: null, json: body, headers: standardHeaders(body) });
  await refused(worker, 401, { source, token: null, json: body, headers: hubHeaders(body) });
});

test("a source never shows its tokens", async () => {
  const source = await sourceWith(["own-token-five-0123456789"]);
  for (const path of [`/v1/sources/${source}`, "/v1/sources?limit=1000"]) {
    const text = await (await api(worker, "GET", path)).text();
    assert.ok(text.includes(source));
    assert.ok(!text.includes("own-token-five"), text);
  }
});

test("a source that loses its own tokens is opened by those of the deployment again", async () => {
  const source = await sourceWith(["own-token-six-0123456789"]);
  assert.ok((await api(worker, "DELETE", `/v1/sources/${source}`)).ok);
  await accepted(worker, { source, json: event() });
  await refused(worker, 401, { source, token: "own-token-six-0123456789", json: event() });
});

// The scopes of /v1.

/** A device with one event in its log. */
async function knownDevice() {
  const device = newDevice();
  await accepted(worker, { json: event(device) });
  return device;
}

const READS = (device) => [
  `/v1/devices/${device}`,
  `/v1/devices/${device}/history`,
  "/v1/devices",
  "/v1/sources",
];

test("a read token reads, and an admin token too", async () => {
  const device = await knownDevice();
  for (const path of READS(device)) {
    for (const token of [READ, ADMIN]) {
      const response = await api(worker, "GET", path, { token });
      assert.equal(response.status, 200, `${path}: ${await response.text()}`);
    }
  }
});

test("a read token cannot write", async () => {
  const [device, source] = [await knownDevice(), newSource()];
  for (const [method, path, json] of [
    ["DELETE", `/v1/devices/${device}`],
    ["PUT", `/v1/sources/${source}`, {}],
    ["DELETE", `/v1/sources/${source}`],
    ["PUT", `/v1/transforms/${source}`, { event: "temp", body: "{{{PARTICLE_EVENT_VALUE}}}" }],
    ["DELETE", `/v1/transforms/${source}`],
  ]) {
    const response = await api(worker, method, path, { json, token: READ });
    assert.ok([401, 403].includes(response.status), `${method} ${path}: ${response.status}`);
  }
  assert.equal((await eventsOf(worker, device)).length, 1);
  assert.equal((await api(worker, "GET", `/v1/sources/${source}`)).status, 404);
  assert.equal((await api(worker, "GET", `/v1/transforms/${source}`)).status, 404);
});

test("quarantine needs the admin scope, for reading too", async () => {
  const response = await api(worker, "GET", "/v1/quarantine", { token: READ });
  assert.ok([401, 403].includes(response.status), `${response.status}`);
  assert.equal((await api(worker, "GET", "/v1/quarantine")).status, 200);
});

test("a token that only sends opens nothing under /v1, and neither does none", async () => {
  const device = await knownDevice();
  for (const path of [...READS(device), "/v1/quarantine"]) {
    for (const token of [TOKEN, HUB_SECRET, "wrong", null]) {
      await problemOf(await api(worker, "GET", path, { token }), 401);
    }
  }
});

test("a read token in the query opens no path that is not a stream", async () => {
  const device = await knownDevice();
  for (const path of [...READS(device), "/v1/quarantine"]) {
    await problemOf(await api(worker, "GET", `${path}?access_token=${ADMIN}`, { token: null }), 401);
  }
});

test("an unproven caller cannot tell a known device from another", async () => {
  const device = await knownDevice();
  const answers = [device, newDevice()].map(async (id) =>
    problemOf(await api(worker, "GET", `/v1/devices/${id}`, { token: null }), 401),
  );
  const [known, unknown] = await Promise.all(answers);
  assert.deepEqual(known, unknown);
});
