// src/openapi.json says what the Worker does: its routes, its methods, its codes, and the shape of its answers.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, until } from "./support/client.mjs";
import { faults, openapi, propertyNames, resolve, shownProperties, text } from "./support/openapi.mjs";
import { ADMIN, TOKEN, startWorker } from "./support/worker.mjs";

const JSON_BODY = { "content-type": "application/json" };
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const DEVICE = "described";
/** What stands in a path for a parameter in braces. */
const EXAMPLES = {
  source: "described",
  name: "described",
  id: DEVICE,
  command: "1",
  prefix: "a/b",
  product: "1",
  integration: "0123456789abcdef01234567",
};

const paths = Object.entries(openapi.paths).map(([template, item]) => {
  const operations = { ...resolve(item), ...item };
  return {
    template,
    path: template.replace(/\{(\w+)\}/g, (_, name) => EXAMPLES[name]),
    operations,
    methods: METHODS.filter((method) => operations[method.toLowerCase()]),
  };
});

/** HEAD goes with GET, except where a GET takes in an event. */
const allowed = ({ template, methods }) =>
  methods.includes("GET") && !template.startsWith("/hook") ? ["HEAD", ...methods] : methods;

/** The problem codes by status, as the document and as the catalogue has them. */
const described = openapi.components.schemas.Problem.anyOf.flatMap(({ properties: { status, code } }) =>
  code.enum.map((name) => `${status.const} ${name}`),
);
const catalogue = readFileSync(new URL("../core/src/problem.rs", import.meta.url), "utf8");
const catalogued = [...catalogue.matchAll(/"([a-z-]+)", (\d{3}),/g)].map(
  ([, code, status]) => `${status} ${code}`,
);

/** The codes that an operation names for a status; where it names any, these are all. */
const namedCodes = ({ $ref, description = "" }) =>
  $ref === "#/components/responses/Problem"
    ? [...description.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code)
    : [];
const shownCodes = new Set();

test("every problem code is described with its status, and no other", () => {
  assert.ok(catalogued.length > 30, "the catalogue was not understood");
  assert.deepEqual(described.toSorted(), catalogued.toSorted());
});

test("every reference leads somewhere, and everything named is referred to", () => {
  const refs = new Set([...text.matchAll(/"\$ref": "([^"]+)"/g)].map(([, target]) => target));
  for (const target of refs) assert.ok(resolve({ $ref: target }), target);
  for (const [kind, parts] of Object.entries(openapi.components)) {
    if (kind === "securitySchemes") continue;
    for (const name of Object.keys(parts))
      assert.ok(refs.has(`#/components/${kind}/${name}`), `${kind}/${name}`);
  }
});

describe("the Worker", () => {
  let worker, client;
  before(async () => {
    const echo = ({ url, headers }) =>
      new Response(url.endsWith("/missing") ? "x".repeat(20_000) : "{}", {
        status: url.endsWith("/missing") ? 404 : 200,
        headers: { "x-hook-secret": headers.get("x-hook-secret") ?? "" },
      });
    worker = await startWorker({ vars: { REQUIRE_HTTPS: "false" }, outbound: echo });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  /** Calls as an administrator and checks the answer against what is described for its status. */
  async function call(method, template, { path = template, body, headers, expect } = {}) {
    const answer = await worker.fetch(path, {
      method,
      body,
      headers: { ...JSON_BODY, ...bearer(ADMIN), ...headers },
    });
    const content = await answer.text();
    const { operations } = paths.find((known) => known.template === template);
    const { responses } = operations[method.toLowerCase()];
    const described = responses[answer.status] ?? responses.default;
    const response = resolve(described);
    const where = `${method} ${path}: ${answer.status} ${content}`;
    if (expect) assert.equal(answer.status, expect, where);
    for (const name of ["fieldhook-duplicate", "link", "retry-after", "allow", "www-authenticate", "etag"]) {
      if (answer.headers.has(name)) assert.ok(response.headers?.[name], `${name} is not described. ${where}`);
    }
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const { required, schema } = resolve(header);
      if (required) assert.deepEqual(faults(schema, answer.headers.get(name)), [], `${name}. ${where}`);
    }
    if (!response.content) return void assert.equal(content, "", where);
    const type = answer.headers.get("content-type").split(";")[0];
    assert.ok(response.content[type], `${answer.headers.get("content-type")} is not described. ${where}`);
    const parsed = /[/+]json$/.test(type) ? JSON.parse(content) : content;
    assert.deepEqual(faults(response.content[type].schema, parsed), [], where);
    const codes = namedCodes(described);
    if (codes.length) {
      assert.ok(codes.includes(parsed.code), `the code is not described. ${where}`);
      shownCodes.add(`${method} ${template} ${answer.status} ${parsed.code}`);
    }
    return parsed;
  }

  test("serves the document as it is in the source", async () => {
    assert.ok(
      (await (await worker.fetch("/openapi.json")).text()) === text,
      "the build has another src/openapi.json",
    );
  });

  for (const known of paths) {
    test(`answers ${allowed(known).join(", ")} at ${known.template}, and 405 to the rest`, async () => {
      for (const method of METHODS) {
        // Where a path also streams: a stream has no end to wait for.
        const headers = { ...bearer(ADMIN), accept: "application/json" };
        const answer = await worker.fetch(known.path, { method, headers });
        const content = await answer.text();
        if (allowed(known).includes(method)) {
          assert.notEqual(answer.status, 405, `${method} ${content}`);
          if (answer.status === 404 && content)
            assert.notEqual(JSON.parse(content).code, "not-found", `${method} ${content}`);
        } else {
          assert.equal(answer.status, 405, `${method} ${content}`);
          assert.deepEqual(
            answer.headers.get("allow")?.split(", ").toSorted(),
            allowed(known).toSorted(),
            method,
          );
        }
      }
    });
  }

  test("answers 404 to a path that is not described", async () => {
    for (const path of [
      "/",
      "/v1",
      "/hook/a/b",
      "/v1/devices/a/b",
      "/v1/devices/a/twin/b",
      "/v1/devices/a/commands/1/b",
      "/v1/sources/a/test",
      "/v1/transforms/a/b",
      "/v1/quarantine/a/b",
      "/v1/integrations/a/b",
    ]) {
      const answer = await worker.fetch(path);
      assert.deepEqual([answer.status, (await answer.json()).code], [404, "not-found"], path);
    }
  });

  const send = (template, event, more) =>
    call("POST", template, { headers: bearer(TOKEN), body: JSON.stringify(event), ...more });

  test("defines sources and transforms as described", async () => {
    const source = {
      responseTemplate: "{{{PARTICLE_EVENT_VALUE}}}",
      replyBudget: 20,
      replyFraming: "plain",
      reportEvents: ["report"],
    };
    const put = (kind, name, definition, expect) =>
      call("PUT", `/v1/${kind}/{name}`, {
        path: `/v1/${kind}/${name}`,
        body: JSON.stringify(definition),
        expect,
      });
    await put("sources", "echo", source, 201);
    await put("sources", "echo", source, 200);
    await put("sources", "own", { tokens: ["own-token-0123456789"], responseTemplate: { a: "b" } }, 201);
    await put("sources", "echo", { nothing: 1 }, 400);
    await put("transforms", "long", { event: "short", json: { temperature: "{{t}}" }, rename: "long" }, 201);
    await put("transforms", "broken", { event: "broken", body: "x", rename: "{{missing}}" }, 201);
    await put("transforms", "broken", { event: "{" }, 400);
    for (const kind of ["sources", "transforms"]) {
      const page = await call("GET", `/v1/${kind}`, { path: `/v1/${kind}?limit=1` });
      assert.equal(typeof page.next, "string");
      await call("GET", `/v1/${kind}`, { path: `/v1/${kind}?after=${page.next}`, expect: 200 });
      await call("GET", `/v1/${kind}/{name}`, { path: `/v1/${kind}/${page[kind][0].name}`, expect: 200 });
      await call("GET", `/v1/${kind}/{name}`, { path: `/v1/${kind}/unknown`, expect: 404 });
    }
    const tried = (body) =>
      call("POST", "/v1/transforms/{name}/test", {
        path: "/v1/transforms/long/test",
        body: JSON.stringify(body),
        expect: 200,
      });
    assert.equal((await tried({ event: "short", data: { t: 1 } })).matched, true);
    assert.equal((await tried({ event: "other" })).matched, false);
    const broken = { path: "/v1/transforms/broken/test", body: '{"event":"broken"}', expect: 200 };
    assert.ok((await call("POST", "/v1/transforms/{name}/test", broken)).transform_error);
  });

  test("takes events in as described", async () => {
    const particle = { product_id: "1", fw_version: "2", userid: "u", ttl: 60, coreid: DEVICE };
    const event = anEvent({ ...particle, data: "data:text/plain,hi" });
    assert.equal(await send("/hook", event, { expect: 204 }), undefined);
    await send("/hook", event, { expect: 204 });
    await send("/hook", { event: "short", data: { t: 1 }, coreid: DEVICE }, { expect: 204 });
    await send("/hook", { event: "broken", data: "x", coreid: DEVICE }, { expect: 204 });
    await send(
      "/hook",
      { event: "fieldhook/report", data: { _v: -1, _ack: 1 }, coreid: DEVICE },
      { expect: 204 },
    );
    assert.equal(
      await send("/hook/{source}", anEvent({ data: "hi" }), { path: "/hook/echo", expect: 200 }),
      "hi",
    );
    const long = anEvent({ data: "a reply longer than twenty bytes", coreid: DEVICE });
    await send("/hook/{source}", long, { path: "/hook/echo", expect: 204 });
    await send("/hook", [anEvent(), {}], { expect: 200 });
    await send("/hook", {}, { headers: bearer("wrong"), expect: 401 });
  });

  test("refuses a whole batch as described", async () => {
    await send("/hook", [{}, {}], { expect: 400 });
  });

  test("shows devices and their logs as described", async () => {
    const devices = await call("GET", "/v1/devices", { path: "/v1/devices?limit=1", expect: 200 });
    assert.equal(devices.length, 1);
    await call("GET", "/v1/devices/{id}", { path: `/v1/devices/${DEVICE}`, expect: 200 });
    await call("GET", "/v1/devices/{id}", { path: "/v1/devices/unknown", expect: 404 });
    const history = (query, expect = 200) =>
      call("GET", "/v1/devices/{id}/history", { path: `/v1/devices/${DEVICE}/history?${query}`, expect });
    const pages = [await history(""), await history("limit=1"), await history("order=desc&event=long")];
    assert.deepEqual(
      pages.map((page) => page.events.length),
      [5, 1, 1],
    );
    for (const line of (await history("format=ndjson")).trim().split("\n")) {
      assert.deepEqual(faults({ $ref: "#/components/schemas/Event" }, JSON.parse(line)), []);
    }
    assert.equal((await history("format=csv")).trim().split("\r\n").length, 6);
    await history("limit=0", 400);
    const series = (query, expect = 200) =>
      call("GET", "/v1/devices/{id}/series", { path: `/v1/devices/${DEVICE}/series?${query}`, expect });
    assert.equal((await series("field=temperature")).buckets.length, 1);
    await series("buckets=0", 400);
    await history("after=x", 400);
  });

  test("publishes, and shows a product's devices, as described", async () => {
    const published = JSON.stringify({ name: "t", data: "1", private: true, ttl: 60 });
    await call("POST", "/v1/devices/events", { body: published, expect: 200 });
    await call("POST", "/v1/devices/events", { body: "{}", expect: 400 });
    const toProduct = { path: "/v1/products/1/events", body: published, expect: 200 };
    await call("POST", "/v1/products/{product}/events", toProduct);
    const product = (suffix, path, expect = 200) =>
      call("GET", `/v1/products/{product}/devices${suffix}`, {
        path: `/v1/products/1/devices${path}`,
        expect,
      });
    await until(async () => (await product("", "")).devices.some(({ id }) => id === DEVICE));
    await product("", "?page=0", 400);
    await product("/{id}", `/${DEVICE}`);
    await product("/{id}", "/unknown", 404);
  });

  test("keeps what was refused, and takes it in after all, as described", async () => {
    await send("/hook", { data: "nameless" }, { path: "/hook?ttl=60", expect: 400 });
    await send("/hook", {}, { body: Buffer.from([0xff, 0xfe]), expect: 400 });
    const { quarantine } = await call("GET", "/v1/quarantine", { expect: 200 });
    const [binary, nameless] = quarantine;
    const entry = (method, { id }, suffix = "", more = {}) =>
      call(method, `/v1/quarantine/{id}${suffix}`, {
        path: `/v1/quarantine/${id}${suffix}`,
        expect: 200,
        ...more,
      });
    await entry("POST", nameless, "/replay", { expect: 400 });
    const mended = JSON.stringify({ body: JSON.stringify({ event: "mended", coreid: DEVICE }) });
    assert.equal((await entry("POST", nameless, "/replay", { body: mended })).coreid, DEVICE);
    await entry("POST", nameless, "/replay", { expect: 404 });
    await entry("DELETE", binary);
    await entry("DELETE", binary, "", { expect: 404 });
  });

  test("shows what all devices have said as described", async () => {
    const events = (template, query, expect = 200) =>
      call("GET", template, {
        path: `${template.replaceAll(/\{(\w+)\}/g, (_, name) => EXAMPLES[name])}?${query}`,
        headers: { ...bearer(ADMIN), accept: "application/json" },
        expect,
      });
    assert.ok((await events("/v1/events", "order=desc&limit=1")).next);
    await events("/v1/events", "limit=1000");
    await events("/v1/devices/{id}/events/{prefix}", "");
    await events("/v1/events", "after=x", 400);
    await events("/v1/events", "order=up", 400);
    await call("GET", "/v1/stream", { expect: 426 });
    await call("GET", "/v1/stream", { path: "/v1/stream?after=x", expect: 400 });
    await call("GET", "/v1/stream", { path: `/v1/stream?prefix=${"x".repeat(300)}`, expect: 400 });
  });

  test("counts as described", async () => {
    await call("GET", "/v1/stats", { expect: 200 });
  });

  test("makes, shows and ends sessions as described", async () => {
    const session = (method, headers, expect) => call(method, "/v1/session", { headers, expect });
    const nothing = { authorization: "" };
    const own = { ...nothing, "x-fieldhook-request": "1" };
    const elsewhere = { origin: "https://elsewhere.example" };
    await session("POST", {}, 200);
    await call("POST", "/v1/session", {
      headers: nothing,
      body: JSON.stringify({ token: ADMIN }),
      expect: 200,
    });
    await call("POST", "/v1/session", { headers: nothing, body: "token=", expect: 400 });
    await session("POST", nothing, 401);
    await session("POST", bearer("wrong"), 401);
    await session("POST", elsewhere, 403);
    const made = await worker.fetch("/v1/session", { method: "POST", headers: bearer(ADMIN) });
    const cookie = made.headers.get("set-cookie").split(";")[0];
    await session("GET", nothing, 401);
    await session("GET", { ...nothing, cookie }, 200);
    await session("DELETE", { ...nothing, cookie }, 403);
    await session("DELETE", { ...own, ...elsewhere, cookie }, 403);
    await session("DELETE", { ...own, cookie }, 204);
    await session("GET", { ...nothing, cookie }, 401);
  });

  test("keeps twins as described", async () => {
    const twin = (method, content, { device = DEVICE, ...more } = {}) =>
      call(method, "/v1/devices/{id}/twin", {
        path: `/v1/devices/${device}/twin`,
        body: typeof content === "object" && !Buffer.isBuffer(content) ? JSON.stringify(content) : content,
        ...more,
      });
    await twin("GET", undefined, { device: "unknown", expect: 404 });
    for (const method of ["PATCH", "PUT"]) {
      await twin(method, { interval: 60, long: "x".repeat(600) }, { expect: 200 });
      for (const version of ["*", '"2"', 'W/"3"'].slice(0, method === "PUT" ? 1 : 3))
        await twin(method, { interval: 60 }, { headers: { "if-match": version }, expect: 200 });
      await twin(method, { interval: 1 }, { headers: { "if-match": '"0"' }, expect: 409 });
      await twin(method, { interval: 1 }, { headers: { "if-match": '"1", "2"' }, expect: 400 });
      await twin(method, Buffer.from([0xff]), { expect: 400 });
      await twin(method, "{", { expect: 400 });
      await twin(method, "[]", { expect: 400 });
      await twin(method, JSON.parse('{"a":'.repeat(12) + "1" + "}".repeat(12)), { expect: 400 });
      await twin(method, { large: "x".repeat(9_000) }, { expect: 413 });
      await twin(method, " ".repeat(300_000), { expect: 413 });
      await twin(method, {}, { device: "source:x", expect: 404 });
    }
    await send("/hook", { event: "fieldhook/report", data: { t: 1 }, coreid: DEVICE });
    assert.deepEqual((await twin("GET", undefined, { expect: 200 })).reported, { t: 1 });
    await twin("PATCH", { long: "x".repeat(600) }, { expect: 200 });
  });

  test("queues commands as described", async () => {
    const commands = (method, content, { device = DEVICE, id, query = "", ...more } = {}) =>
      call(method, `/v1/devices/{id}/commands${id === undefined ? "" : "/{command}"}`, {
        path: `/v1/devices/${device}/commands${id === undefined ? "" : `/${id}`}${query}`,
        body: typeof content === "object" && !Buffer.isBuffer(content) ? JSON.stringify(content) : content,
        ...more,
      });
    const { id } = await commands("POST", { name: "blink", args: { times: 3 }, ttl: 60 }, { expect: 201 });
    await send("/hook", anEvent({ coreid: DEVICE }), { expect: 200 });
    await commands("DELETE", undefined, { id, expect: 200 });
    const list = Array.from({ length: 50 }, () => ({ name: "x" }));
    assert.equal((await commands("PUT", list, { expect: 200 })).commands.length, 50);
    await commands("PUT", { commands: list }, { expect: 200 });
    const page = await commands("GET", undefined, { query: "?limit=1", expect: 200 });
    await commands("GET", undefined, { query: `?after=${page.next}`, expect: 200 });
    await commands("GET", undefined, { query: "?limit=0", expect: 400 });
    await commands("GET", undefined, { query: "?after=x", expect: 400 });
    for (const [method, of] of [
      ["POST", (command) => command],
      ["PUT", (command) => [command]],
    ]) {
      await commands(method, of({}), { expect: 400 });
      await commands(method, of({ name: 1 }), { expect: 400 });
      await commands(method, "{", { expect: 400 });
      await commands(method, Buffer.from([0xff]), { expect: 400 });
      await commands(method, " ".repeat(300_000), { expect: 413 });
      await commands(method, of({ name: "x" }), { device: "source:x", expect: 404 });
    }
    await commands("POST", { name: "x" }, { expect: 409 });
    await commands("PUT", [...list, { name: "x" }], { expect: 409 });
    await commands("DELETE", undefined, { expect: 200 });
    await commands("POST", { name: "x", args: "x".repeat(600) }, { expect: 413 });
    await commands("PUT", [{ name: "x", args: "x".repeat(600) }], { expect: 413 });
    await commands("DELETE", undefined, { id: 999, expect: 404 });
    await commands("DELETE", undefined, { device: "unknown", id, expect: 404 });
    await commands("DELETE", undefined, { device: "unknown", expect: 404 });
    await commands("GET", undefined, { device: "unknown", expect: 404 });
    await client.define("/v1/sources/wordless", { responseTemplate: "thanks" });
    await send("/hook/{source}", anEvent({ coreid: "wordless" }), { path: "/hook/wordless", expect: 200 });
    const untold = await commands("POST", { name: "x" }, { device: "wordless", expect: 201 });
    assert.equal(untold.undeliverable, true);
  });

  test("defines integrations as described", async () => {
    const whole = {
      event: "t",
      name: "n",
      url: "https://service.example/",
      requestType: "POST",
      json: { a: "{{b}}" },
      query: { page: 1 },
      headers: { a: "b" },
      auth: { username: "u", password: "p" },
      noDefaults: true,
      deviceID: "d",
      disabled: true,
      rejectUnauthorized: true,
      responseTemplate: "{{a}}",
      responseTopic: "a",
      errorResponseTopic: "b",
      respond: false,
      secret: "whsec_dGVzdC1zaWduaW5nLXNlY3JldC0wMTIzNDU2Nzg5",
      replyBudget: 100,
      replyFraming: "plain",
    };
    const { json, ...rest } = whole;
    const form = { ...rest, form: { a: "b" }, url: "http://service.example/" };
    const body = { event: "t", url: "https://service.example/missing", body: "{{a}}" };
    for (const prefix of ["/v1", "/v1/products/{product}"]) {
      for (const kind of ["integrations", "webhooks"]) {
        await lifeOf(`${prefix}/${kind}`, [whole, form, body], {
          made: 200,
          wrong: { ...body, url: "https://127.0.0.1/" },
        });
      }
      const hook = { events: ["t"], target_url: "http://subscriber.example/", status: "paused" };
      const asked = { ...hook, handshake: true, status: "active", secret: whole.secret };
      await lifeOf(`${prefix}/subscriptions`, [hook, asked], { made: 201, wrong: { ...hook, events: [] } });
    }
  });

  /** Makes integrations, does everything with each that can be done, and deletes it. */
  async function lifeOf(template, definitions, { made, wrong }) {
    const root = template.replace("{product}", EXAMPLES.product);
    const at = (method, id, suffix, body, expect) =>
      call(method, `${template}/{integration}${suffix.split("?")[0]}`, {
        path: `${root}/${id}${suffix}`,
        body: body && JSON.stringify(body),
        expect,
      });
    const post = (body, expect) => call("POST", template, { path: root, body: JSON.stringify(body), expect });
    await post(wrong, 400);
    const ids = [];
    for (const definition of definitions) ids.push((await post(definition, made)).id);
    const page = await call("GET", template, { path: `${root}?limit=1`, expect: 200 });
    assert.equal((page.subscriptions ?? page).length, 1);
    await call("GET", template, { path: `${root}?after=x`, expect: 400 });
    for (const [index, id] of ids.entries()) {
      const shown = await at("GET", id, "", undefined, 200);
      await at("PUT", id, "", { ...definitions[index], ...shown }, 200);
      await at("PUT", id, "", wrong, 400);
      await at("POST", id, "/pause", undefined, 200);
      await at("POST", id, "/resume", { from: "now" }, 200);
      await at("POST", id, "/resume", { from: 1 }, 400);
      const tried = await at("POST", id, "/test", { event: "t", data: "x" }, 200);
      assert.equal(tried.ok, tried.status === 200);
      const signs = made === 201 || "secret" in definitions[index];
      await at("POST", id, "/rotate", { overlap: 60 }, signs ? 200 : 409);
      await deliver(id, at);
    }
    await call("GET", template, { path: root, expect: 200 });
    for (const id of ids) {
      await at("DELETE", id, "", undefined, 200);
      await at("DELETE", id, "", undefined, 404);
      await at("POST", id, "/replay", { status: "parked" }, 404);
    }
  }

  /** Has an event delivered, asks what became of it, and has it delivered again. */
  async function deliver(id, at) {
    const event = anEvent({ event: "t", coreid: "d", product_id: EXAMPLES.product, data: { b: 1 } });
    await send("/hook", event);
    const attempts = (query) => at("GET", id, `/attempts?${query}`, undefined, 200);
    const noted = async () => (await attempts(`id=${event.event_id}`)).attempts[0];
    const attempt = await until(noted);
    assert.equal((await attempts(`status=${attempt.status}&device=d&limit=1`)).attempts.length, 1);
    await at("GET", id, "/attempts?status=lost", undefined, 400);
    await at("GET", id, "/attempts?after=x", undefined, 400);
    const replay = (which, expect = 202) => at("POST", id, "/replay", which, expect);
    assert.equal((await replay({ id: attempt.id, estimate: true }, 200)).estimate, 1);
    const since = { from: new Date(Date.parse(attempt.at) - 3_600_000).toISOString(), device: "d" };
    await replay({ id: attempt.id });
    await replay(since);
    const parks = await until(async () => (await noted()).next_at === null && (await noted()));
    await replay({ status: "parked" }, parks.status === "parked" ? 202 : 404);
    const begun = parks.status === "parked" ? 3 : 2;
    await replay({ id: "unknown" }, 404);
    await replay({}, 400);
    const ended = async () => {
      const { replays } = await at("GET", id, "/replays", undefined, 200);
      return replays.length === begun && replays.every(({ ended_at }) => ended_at);
    };
    await until(ended);
    const { counts } = await at("GET", id, "", undefined, 200);
    assert.ok(counts.today.success + counts.today.parked, JSON.stringify(counts));
  }

  test("deletes as described", async () => {
    for (const [template, path] of [
      ["/v1/sources/{name}", "/v1/sources/echo"],
      ["/v1/transforms/{name}", "/v1/transforms/long"],
      ["/v1/devices/{id}", `/v1/devices/${DEVICE}`],
    ]) {
      await call("DELETE", template, { path, expect: 200 });
      await call("DELETE", template, { path, expect: 404 });
    }
  });

  test("sends every property that is described", async () => {
    await call("GET", "/healthz", { expect: 200 });
    for (const [ref, shown] of shownProperties) {
      for (const name of propertyNames(resolve({ $ref: ref })) ?? [])
        assert.ok(shown.has(name), `${ref} ${name}`);
    }
    for (const name of [
      "Device",
      "Event",
      "DeviceState",
      "Twin",
      "Command",
      "Bucket",
      "ProductDevice",
      "Source",
      "Transform",
      "Quarantined",
      "Problem",
      "Tried",
      "Replayed",
      "Integration",
      "IntegrationMade",
      "IntegrationLine",
      "Paused",
      "Subscription",
      "Delivered",
      "Exchanged",
      "Rotated",
      "Attempt",
      "Session",
      "ReplayStarted",
      "Replay",
      "Counts",
      "Outcomes",
    ]) {
      assert.ok(shownProperties.has(`#/components/schemas/${name}`), name);
    }
  });

  test("shows examples that are as described", () => {
    const examples = [];
    const collect = (node) => {
      if (typeof node !== "object" || node === null) return;
      if ("example" in node && node.schema) examples.push(node);
      Object.values(node).forEach(collect);
    };
    collect(openapi);
    assert.ok(examples.length);
    for (const { schema, example } of examples) assert.deepEqual(faults(schema, example), []);
  });

  test("answers every code that an operation names", () => {
    for (const { template, operations, methods } of paths) {
      for (const method of methods) {
        for (const [status, response] of Object.entries(operations[method.toLowerCase()].responses)) {
          for (const code of namedCodes(response)) {
            const named = `${method} ${template} ${status} ${code}`;
            assert.ok(shownCodes.has(named), named);
          }
        }
      }
    }
  });

  test("asks for a token wherever the document does", async () => {
    for (const { template, path, operations, methods } of paths) {
      for (const method of methods) {
        const needed = operations[method.toLowerCase()].security ?? openapi.security;
        const answer = await worker.fetch(path, { method });
        assert.equal(answer.status === 401, needed.length > 0, `${method} ${template}`);
      }
    }
    assert.equal(await client.stranger("GET", "/v1/devices"), 401);
  });
});
