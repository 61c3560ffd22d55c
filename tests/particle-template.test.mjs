// The definitions in particle/, sent as Particle would send them: every field arrives, and data arrives exactly.
//
// How Particle fills in a `json` object is not documented. Two ways are tried: string by string, which is what
// senders of JSON data see on Particle's cloud, and in the whole text at once, as another cloud does it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { clientOf } from "./support/client.mjs";
import { TOKEN, startWorker } from "./support/worker.mjs";

const AGENT = "ParticleBot/1.1 (https://docs.particle.io/webhooks)";
const DEVICE = "3f002b000000000000000000";

const DATA = {
  "a number": "21.50",
  "a word": "hello",
  nothing: "",
  "a JSON object": '{"t":21.10,"room":"kitchen"}',
  "a JSON array": '[1,"two",{"three":3}]',
  "a JSON string": '"quoted"',
  quotes: `say "hi", it's 5 o'clock`,
  "a backslash": "C:\\temp\\new",
  lines: "one\ntwo\r\n\tthree",
  "what HTML escapes": "<b>&amp;</b>",
  braces: "{{{PARTICLE_EVENT_ID}}} {{t}}",
  "letters of the world": "21 °C, 温度, 🌡",
  binary: "data:application/octet-stream;base64,AAECAw==",
};

const definition = (file) =>
  JSON.parse(readFileSync(new URL(`../particle/${file}`, import.meta.url), "utf8"));

/** The variables of an event; a sandbox device has no product. */
const variables = (id, data, product) => ({
  PARTICLE_EVENT_ID: id,
  PARTICLE_EVENT_NAME: "temp/kitchen",
  PARTICLE_EVENT_VALUE: data,
  PARTICLE_DEVICE_ID: DEVICE,
  PARTICLE_PUBLISHED_AT: "2026-11-22T01:02:03.456Z",
  ...(product && { PRODUCT_ID: "12345", PRODUCT_USER_ID: "5e7f", PRODUCT_VERSION: "7" }),
});

const fill = (template, values) => template.replace(/\{\{\{(\w+)\}\}\}/g, (_, name) => values[name] ?? "");

/** Fills in each key and string by itself. */
function stringByString(value, values) {
  if (typeof value === "string") return fill(value, values);
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [fill(name, values), stringByString(part, values)]),
  );
}

const jsonBody = {
  "string by string": (json, values) => JSON.stringify(stringByString(json, values)),
  "in the whole text": (json, values) => fill(JSON.stringify(json), values),
};

/** The request that a definition makes of an event, as Particle's reference describes it. */
function requestOf({ url, requestType, headers, query, json, body }, values, how) {
  const { pathname, searchParams } = new URL(url);
  for (const [name, value] of Object.entries(stringByString(query ?? {}, values)))
    searchParams.append(name, value);
  const sent = stringByString(headers, values);
  sent.Authorization = sent.Authorization.replace("YOUR-INGEST-TOKEN", TOKEN);
  const typed = json && { "content-type": "application/json", accept: "application/json" };
  return {
    path: `${pathname}?${searchParams}`,
    init: {
      method: requestType,
      headers: { "user-agent": AGENT, ...typed, ...sent },
      body: Buffer.from(json ? jsonBody[how](json, values) : fill(body, values)),
    },
  };
}

describe("a definition to paste", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
    // The reply is the exact text of the data; a reading shows parsed what is JSON.
    await client.define("/v1/sources/default", { responseTemplate: "{{{PARTICLE_EVENT_VALUE}}}" });
  });
  after(() => worker.stop());

  let count = 0;
  async function publish(file, data, { product = true, how = "string by string" } = {}) {
    const id = `e-${++count}`;
    const { path, init } = requestOf(definition(file), variables(id, data, product), how);
    const answer = await worker.fetch(path, init);
    return { id, status: answer.status, reply: await answer.text() };
  }

  for (const file of ["integration.json", "integration-text.json"]) {
    for (const [name, data] of Object.entries(DATA)) {
      test(`${file} delivers ${name} exactly`, async () => {
        const { id, status, reply } = await publish(file, data);
        assert.deepEqual([status, reply], [data ? 200 : 204, data]);
        const { seq, received_at, data: shown, media_type, ...event } = await client.newest(DEVICE);
        assert.deepEqual(event, {
          id,
          event: "temp/kitchen",
          coreid: DEVICE,
          published_at: "2026-11-22T01:02:03.456Z",
          source: "default",
          product_id: "12345",
          fw_version: "7",
          userid: "5e7f",
        });
      });
    }

    test(`${file} is recognised when it is sent again`, async () => {
      const { path, init } = requestOf(
        definition(file),
        variables(`again ${file}`, "1", true),
        "string by string",
      );
      const repeats = [];
      for (let times = 0; times < 3; times++) {
        repeats.push((await worker.fetch(path, init)).headers.get("fieldhook-duplicate"));
      }
      assert.deepEqual(repeats, [null, "true", "true"]);
    });

    test(`${file} works for a device without a product`, async () => {
      const { id } = await publish(file, "1", { product: false });
      const event = await client.newest(DEVICE);
      assert.equal(event.id, id);
      for (const name of ["product_id", "fw_version", "userid", "extra"]) assert.ok(!(name in event), name);
    });

    test(`${file} has nothing in it that Particle does not know`, () => {
      const known = [
        "auth",
        "body",
        "errorResponseTopic",
        "event",
        "form",
        "headers",
        "json",
        "name",
        "noDefaults",
      ];
      known.push("query", "rejectUnauthorized", "requestType", "responseTemplate", "responseTopic", "url");
      const filled = [
        "PARTICLE_DEVICE_ID",
        "PARTICLE_EVENT_ID",
        "PARTICLE_EVENT_NAME",
        "PARTICLE_EVENT_VALUE",
      ];
      filled.push("PARTICLE_PUBLISHED_AT", "PRODUCT_ID", "PRODUCT_USER_ID", "PRODUCT_VERSION");
      for (const name of Object.keys(definition(file))) assert.ok(known.includes(name), name);
      const named = JSON.stringify(definition(file)).matchAll(/\{\{\{(.*?)\}\}\}/g);
      assert.deepEqual([...new Set([...named].map(([, name]) => name))].sort(), filled);
    });
  }

  describe("where a cloud fills in the whole text at once", () => {
    test("integration-text.json delivers everything exactly", async () => {
      for (const [name, data] of Object.entries(DATA)) {
        const { id, reply } = await publish("integration-text.json", data, { how: "in the whole text" });
        assert.deepEqual([(await client.newest(DEVICE)).id, reply], [id, data], name);
      }
    });

    test("integration.json breaks at a quote, and what arrived is in quarantine and can be mended", async () => {
      const { id, status } = await publish("integration.json", DATA["a JSON object"], {
        how: "in the whole text",
      });
      assert.equal(status, 202);
      const { quarantine } = (await client.admin("GET", "/v1/quarantine?limit=1")).body;
      assert.deepEqual([quarantine[0].code, quarantine[0].body.includes(id)], ["bad-json", true]);
      const mended = { event_id: id, event: "temp/kitchen", coreid: DEVICE, data: DATA["a JSON object"] };
      const replay = `/v1/quarantine/${quarantine[0].id}/replay`;
      assert.equal((await client.admin("POST", replay, { body: JSON.stringify(mended) })).status, 200);
      assert.deepEqual((await client.newest(DEVICE)).data, JSON.parse(DATA["a JSON object"]));
    });
  });
});
