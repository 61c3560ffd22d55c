// After many requests with secrets, right and wrong, none of them is in an answer, in a log line or on disk.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  FAILING,
  FAILS,
  PARTICLE_AGENT,
  api,
  basic,
  bearer,
  hubHeaders,
  newDevice,
  newId,
  newSource,
  send,
  standardHeaders,
} from "./support/send.mjs";
import { ADMIN, HUB_SECRET, READ, TOKEN, WHSEC, startWorker } from "./support/worker.mjs";

const MARK = newId();
const SOURCE_TOKEN = "secret-of-one-source-0123456789";
const BAD_SETTING = "whsec_this-is-no-base64!but-a-secret";

/** Everything that must not be seen again, by what it is. Signatures are added as they are made. */
const secrets = new Map();

function secret(what, value) {
  secrets.set(`${what} (${secrets.size})`, Buffer.from(value));
  return value;
}

for (const [what, value] of Object.entries({
  TOKEN,
  WHSEC,
  HUB_SECRET,
  READ,
  ADMIN,
  SOURCE_TOKEN,
  BAD_SETTING,
})) {
  secret(what, value);
  secret(`${what} in base64`, Buffer.from(value).toString("base64").replace(/=*$/, "").slice(0, -1));
  secret(`${what} in hex`, Buffer.from(value).toString("hex"));
}
secret("the key of WHSEC", WHSEC.slice("whsec_".length));
secret("the key of WHSEC, decoded", Buffer.from(WHSEC.slice("whsec_".length), "base64"));

/** Headers whose signature or password must not be seen again. */
function watched(headers) {
  for (const name of ["webhook-signature", "x-hub-signature-256", "authorization", "x-fieldhook-token"]) {
    if (!headers[name]) continue;
    const [, value] = headers[name].match(/(?:v1,|sha256=|Bearer |Basic )?(.*)$/);
    secret(name, value);
  }
  return headers;
}

let count = 0;
/** A token that opens nothing. */
const wrong = () => secret("a wrong token", `wrong-secret-${++count}-0123456789`);

const answers = [];

/** The Worker, with every answer recorded whole. */
function recording(worker) {
  return {
    ...worker,
    async fetch(path, init) {
      const response = await worker.fetch(path, init);
      const headers = [...response.headers].flat().join("\n");
      answers.push(
        `${init?.method} ${path.replace(/\?.*/, "")}\n${headers}\n${await response.clone().text()}`,
      );
      return response;
    },
  };
}

const device = newDevice();
const event = (fields = {}) => ({ event: "temp", data: MARK, coreid: device, event_id: newId(), ...fields });

/** Bodies of every fate: kept, known already, refused and kept, failed. */
function bodies() {
  const known = event();
  return [
    known,
    known,
    event({ coreid: undefined }),
    { data: MARK, no: "name" },
    event({ coreid: "not a device" }),
    [event(), { no: "name" }],
    [{ no: "name" }],
    event({ data: FAILS }),
    event({ published_at: "2017-02-01T21:08:05.763Z" }),
    event({ data: "x".repeat(5000) }),
  ].map((body) => JSON.stringify(body));
}

/** Every way to prove a body, right and wrong. */
const proofs = (body) =>
  [
    bearer(TOKEN),
    { "x-fieldhook-token": TOKEN },
    basic("particle", TOKEN),
    bearer(wrong()),
    { "x-fieldhook-token": wrong() },
    basic("particle", wrong()),
    basic(wrong(), ""),
    { authorization: wrong() },
    standardHeaders(body),
    standardHeaders(body, { age: 900 }),
    standardHeaders(`${body} `),
    hubHeaders(body),
    hubHeaders(`${body} `),
    { ...bearer(TOKEN), ...standardHeaders(body), ...hubHeaders(body) },
    { ...bearer(TOKEN), ...standardHeaders(`${body} `), ...hubHeaders(`${body} `) },
    { ...bearer(wrong()), ...hubHeaders(`${body} `) },
  ].map(watched);

const SECRET_NAMES = [
  "access_token",
  "token",
  "api_key",
  "secret",
  "password",
  "authorization",
  "Token",
  "API_KEY",
];

let worker;
let misconfigured;

before(async () => {
  [worker, misconfigured] = await Promise.all([
    startWorker({ entry: FAILING, vars: { MAX_BODY: "4000" } }),
    startWorker({ vars: { HMAC_SECRETS: BAD_SETTING } }),
  ]);
  const recorded = recording(worker);
  const source = newSource();
  await api(recorded, "PUT", `/v1/sources/${source}`, { json: { tokens: [SOURCE_TOKEN] } });

  for (const body of bodies()) {
    await Promise.all(proofs(body).map((headers) => send(recorded, { token: null, json: body, headers })));
    await send(recorded, {
      token: null,
      json: body,
      headers: { ...bearer(TOKEN), "user-agent": PARTICLE_AGENT },
    });
    await send(recorded, { source, token: SOURCE_TOKEN, json: body });
    await send(recorded, { source, token: wrong(), json: body });
  }
  await sendInQueries(recorded);
  await sendOtherForms(recorded);
  await callApi(recorded);
  await send(recording(misconfigured), { json: event() });
  await api(recording(misconfigured), "GET", "/v1/devices");
});

after(() => Promise.all([worker?.stop(), misconfigured?.stop()]));

function sendInQueries(recorded) {
  return Promise.all(
    SECRET_NAMES.map(async (name) => {
      for (const value of [TOKEN, wrong()]) {
        for (const json of [event(), { no: "name" }, event({ data: FAILS })]) {
          await send(recorded, { json, query: { [name]: value } });
          await send(recorded, { json, token: null, query: { [name]: value } });
        }
        await send(recorded, { method: "GET", query: { ...event(), [name]: value } });
        await send(recorded, { method: "GET", query: { [name]: value, no: "name" } });
        await api(recorded, "GET", `/v1/devices?${name}=${value}`, { token: null });
      }
    }),
  );
}

async function sendOtherForms(recorded) {
  const text = "only text";
  const typed = (type) => ({
    ...watched(standardHeaders(text)),
    ...watched(hubHeaders(text)),
    "content-type": type,
  });
  for (const type of [
    "text/plain",
    "multipart/form-data; boundary=-",
    "application/json",
    "application/x-ndjson",
  ]) {
    await send(recorded, { body: text, headers: typed(type) });
    await send(recorded, { body: text, token: null, headers: typed(type) });
  }
  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) await send(recorded, { method, json: event() });
  await send(recorded, { json: event(), headers: { "fieldhook-hop": "9" } });
  await send(recorded, { source: "not%20a%20name", json: event() });
}

async function callApi(recorded) {
  const name = newSource();
  for (const token of [READ, ADMIN, TOKEN, wrong(), null]) {
    for (const path of [
      "/v1/devices",
      "/v1/sources",
      "/v1/quarantine?limit=1000",
      "/v1/nothing",
      "/nothing",
    ]) {
      await api(recorded, "GET", path, { token });
    }
    await api(recorded, "PUT", `/v1/sources/${name}`, { token, json: { tokens: [SOURCE_TOKEN] } });
    await api(recorded, "GET", `/v1/sources/${name}`, { token });
    for (const json of [
      { tokens: SOURCE_TOKEN },
      { tokens: [SOURCE_TOKEN, 7] },
      { token: [SOURCE_TOKEN] },
      { tokens: [SOURCE_TOKEN], responseTemplate: "{{#open}}" },
      [SOURCE_TOKEN],
      SOURCE_TOKEN,
    ]) {
      await api(recorded, "PUT", `/v1/sources/${name}`, { token, json });
      await api(recorded, "PUT", `/v1/transforms/${name}`, { token, json });
    }
  }
  for (const headers of [basic("", ADMIN), { "x-fieldhook-token": ADMIN }]) {
    await api(recorded, "GET", "/v1/devices", { token: null, headers: watched(headers) });
  }
  const broken = Buffer.from(`{"tokens":["${SOURCE_TOKEN}"`);
  await recorded.fetch(`/v1/sources/${name}`, { method: "PUT", headers: bearer(ADMIN), body: broken });
}

/** Asserts that no secret is in the bytes. */
function holdsNoSecret(bytes, where) {
  for (const [what, value] of secrets) {
    const at = bytes.indexOf(value);
    const around = () => bytes.subarray(Math.max(0, at - 120), at + value.length + 40).toString("latin1");
    assert.ok(at < 0, `${where} holds ${what}: ${at < 0 ? "" : JSON.stringify(around())}`);
  }
}

function filesIn(folder) {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test("no answer holds a secret", () => {
  assert.ok(answers.length > 300, `${answers.length} answers`);
  for (const answer of answers) holdsNoSecret(Buffer.from(answer), answer.split("\n")[0]);
});

test("no log line holds a secret", () => {
  const lines = [...worker.logs, ...misconfigured.logs];
  assert.ok(lines.length > 0, "the commits that failed were logged");
  for (const line of lines) holdsNoSecret(Buffer.from(line), "the log");
});

test("no file of the storage holds a secret", async () => {
  const files = [...filesIn(worker.storage), ...filesIn(misconfigured.storage)];
  const stored = files.map((path) => [path, readFileSync(path)]);
  // What must be there is found, so what must not be there would be found too.
  for (const name of ["fieldhook-Device", "fieldhook-Fleet"]) {
    assert.ok(
      stored.some(([path, bytes]) => path.includes(name) && bytes.includes(MARK)),
      `${name} holds the events`,
    );
  }
  for (const [path, bytes] of stored) holdsNoSecret(bytes, path);
});
