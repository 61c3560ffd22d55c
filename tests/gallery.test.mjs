// Each definition of the gallery, filled in as its user would, does on the wire what its service asks for.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { anEvent } from "./support/client.mjs";
import { startDelivering, unique } from "./support/integrations.mjs";
import { formOf, jsonOf, reply, replyJson } from "./support/service.mjs";

const GALLERY = new URL("../particle/gallery/", import.meta.url);
const DEVICE = "0123456789abcdef01234567";
const AT = "2026-11-22T01:02:03.456Z";
const SECRET = `whsec_${Buffer.from("a secret of 24 bytes 123").toString("base64")}`;
const READING = '{"temperature":21.50,"humidity":40}';

/** By file: the event's data, what the service answers, what it must have got, and what the device hears. */
const SERVICES = {
  "thingspeak.json": {
    data: READING,
    answer: reply(200, "17"),
    check(request) {
      assert.deepEqual([request.method, request.path], ["POST", "/update"]);
      const { api_key, ...fields } = formOf(request);
      assert.equal(api_key, "filled-in");
      assert.deepEqual(fields, { created_at: AT, field1: "21.50", field2: "40" });
    },
  },
  "weather.json": {
    data: '{"lat":47.37,"lon":8.54}',
    answer: replyJson({ current: { temperature_2m: 3.4, wind_speed_10m: 12.2 } }),
    check(request) {
      assert.deepEqual([request.method, request.path, request.body], ["GET", "/v1/forecast", ""]);
      assert.deepEqual([request.query.get("latitude"), request.query.get("longitude")], ["47.37", "8.54"]);
    },
    heard: (text) => assert.deepEqual(JSON.parse(text), { t: "3.4", wind: "12.2" }),
  },
  "slack.json": {
    data: '<!channel> & "quotes"',
    answer: reply(200, "ok"),
    check(request, event) {
      assert.equal(request.path, "/services/filled-in/filled-in/filled-in");
      const escaped = "&lt;!channel&gt; &amp; &quot;quotes&quot;";
      assert.deepEqual(jsonOf(request), { text: `${event} of ${DEVICE}: ${escaped}` });
    },
  },
  "influxdb.json": {
    data: READING,
    answer: reply(204),
    check(request) {
      assert.deepEqual([request.method, request.path], ["POST", "/api/v2/write"]);
      assert.deepEqual([request.query.get("org"), request.query.get("bucket")], ["filled-in", "filled-in"]);
      assert.equal(request.headers.authorization, "Token filled-in");
      assert.match(request.headers["content-type"], /^text\/plain/);
      assert.equal(request.body, `weather,device=${DEVICE} temperature=21.50,humidity=40`);
    },
  },
  "signed-json.json": {
    data: 'it says "hello"',
    answer: reply(200),
    check(request, event) {
      assert.doesNotThrow(() => new Webhook(SECRET).verify(request.raw, request.headers));
      const { id, ...others } = jsonOf(request);
      assert.ok(id);
      const data = 'it says "hello"';
      assert.deepEqual(others, { event, data, device: DEVICE, published_at: AT });
    },
  },
};

/** What a user replaces: names in capitals that begin with YOUR, the prefix of events, and the host. */
function filledIn(file, event, url) {
  const definition = JSON.parse(readFileSync(new URL(file, GALLERY), "utf8"), (key, value) =>
    typeof value === "string" ? value.replaceAll(/\bYOUR(-[A-Z]+)+\b/g, "filled-in") : value,
  );
  assert.match(definition.url, /^https:\/\//);
  definition.url = definition.url.replace(/^https:\/\/[^/]+/, url);
  if (definition.secret) definition.secret = SECRET;
  return { ...definition, event };
}

describe("the gallery", () => {
  const files = readdirSync(GALLERY).filter((name) => name.endsWith(".json"));
  let client, service, integrations, stop;
  before(async () => ({ client, service, integrations, stop } = await startDelivering()));
  after(() => stop());

  test("is all tested", () => {
    assert.deepEqual(files.toSorted(), Object.keys(SERVICES).toSorted());
  });

  for (const [file, { data, answer, check, heard }] of Object.entries(SERVICES)) {
    test(file, async () => {
      const event = unique("gallery");
      const before = service.requests.length;
      service.answer(answer);
      const id = await integrations.create(filledIn(file, event, service.url));
      const { text } = await client.accepted(anEvent({ event, data, coreid: DEVICE, published_at: AT }));
      await service.have(before + 1);
      const request = service.requests[before];
      check(request, event);
      heard?.(text);
      assert.ok(!/\{\{|\}\}|YOUR-/.test(`${request.target} ${request.body} ${request.rawHeaders}`));
      if (!heard) {
        const [{ status }] = await integrations.haveAttempts(id, 1);
        assert.equal(status, "success");
      }
    });
  }
});
