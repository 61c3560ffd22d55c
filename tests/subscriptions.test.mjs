// Subscriptions, the RESThooks face of integrations: made with a handshake, signed, rotated.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { assertProblem, clientOf } from "./support/client.mjs";
import { rowsWith } from "./support/storage.mjs";
import { startWorker } from "./support/worker.mjs";

const MASK = "********";
const TARGET = "https://subscriber.example/hook";
const SIMPLE = { events: ["temp"], target_url: TARGET };

describe("subscriptions", () => {
  let worker, client, sent, answer;
  before(async () => {
    const outbound = async (request) => {
      sent.push({ request, body: await request.text() });
      return answer(request);
    };
    worker = await startWorker({ outbound });
    client = clientOf(worker);
  });
  after(() => worker.stop());
  beforeEach(() => {
    sent = [];
    answer = echo;
  });

  const echo = (request) =>
    new Response(null, {
      status: 204,
      headers: { "x-hook-secret": request.headers.get("x-hook-secret") ?? "" },
    });
  const post = (definition) => client.admin("POST", "/v1/subscriptions", definition);
  const create = async (definition = SIMPLE) => {
    const made = await post(definition);
    assert.equal(made.status, 201, made.text);
    return made.body;
  };
  const get = async (id) => (await client.read("GET", `/v1/subscriptions/${id}`)).body;
  /** Sends a trial and answers what the target received. */
  const trial = async (id) => {
    sent = [];
    const tried = await client.admin("POST", `/v1/subscriptions/${id}/test`, {
      event: "temp/1",
      data: { t: 1 },
    });
    assert.equal(tried.body.ok, true, tried.text);
    const [{ request, body }] = sent;
    return { headers: Object.fromEntries(request.headers), body };
  };

  test("POST answers 201 with a secret that is shown once and kept sealed", async () => {
    const { id, created_at, updated_at, secret, ...rest } = await create();
    assert.match(id, /^[0-9a-f]{24}$/);
    assert.deepEqual(rest, { ...SIMPLE, status: "active" });
    const [, encoded] = secret.match(/^whsec_([A-Za-z0-9+/]+=*)$/);
    const bytes = Buffer.from(encoded, "base64").length;
    assert.ok(bytes >= 24 && bytes <= 64, `${bytes}`);
    assert.equal((await get(id)).secret, MASK);
    assert.deepEqual(rowsWith(worker.storage, "Registry", encoded), []);
    assert.equal(sent.length, 0, "nobody asked for a handshake");
  });

  test("two have two secrets; one that is given is taken", async () => {
    assert.notEqual((await create()).secret, (await create()).secret);
    const secret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
    assert.equal((await create({ ...SIMPLE, secret })).secret, secret);
  });

  test("deliveries are those of Standard Webhooks, and its library verifies them", async () => {
    const { id, secret } = await create();
    const { headers, body } = await trial(id);
    const { type, timestamp, data } = new Webhook(secret).verify(body, headers);
    assert.equal(type, "temp/1");
    assert.ok(Date.parse(timestamp));
    assert.deepEqual([data.event, data.data], ["temp/1", { t: 1 }]);
    assert.equal(headers["content-type"], "application/json");
  });

  test("the list has a cursor; integrations are not in it, but subscriptions are among integrations", async () => {
    const made = [(await create()).id, (await create()).id];
    const integration = { event: "temp", url: "https://service.example/" };
    const other = (await client.admin("POST", "/v1/integrations", integration)).body.id;
    const ids = [];
    for (let after = ""; after !== null;) {
      const { body } = await client.read("GET", `/v1/subscriptions?limit=1${after && `&after=${after}`}`);
      ids.push(...body.subscriptions.map(({ id }) => id));
      after = body.next;
    }
    assert.deepEqual(ids.slice(-2), made);
    assert.ok(!ids.includes(other));
    const all = (await client.read("GET", "/v1/integrations")).body;
    const shown = all.find(({ id }) => id === made[0]);
    assert.deepEqual([shown.event, shown.url, shown.requestType], ["temp", TARGET, "POST"]);
    assertProblem(await client.read("GET", `/v1/subscriptions/${other}`), 404, {
      code: "unknown-integration",
    });
  });

  test("PUT replaces and keeps the secret, left out or masked", async () => {
    const { id, secret } = await create();
    for (const given of [{}, { secret: MASK }]) {
      const definition = { events: ["other", "temp"], target_url: `${TARGET}/2`, ...given };
      const replaced = await client.admin("PUT", `/v1/subscriptions/${id}`, definition);
      assert.equal(replaced.status, 200, replaced.text);
      assert.deepEqual([replaced.body.events, replaced.body.secret], [["other", "temp"], MASK]);
      const { headers, body } = await trial(id);
      new Webhook(secret).verify(body, headers);
    }
    const again = await client.admin("PUT", `/v1/subscriptions/${id}`, await get(id));
    assert.equal(again.status, 200, again.text);
  });

  test("DELETE answers ok", async () => {
    const { id } = await create();
    const gone = await client.admin("DELETE", `/v1/subscriptions/${id}`);
    assert.deepEqual([gone.status, gone.body], [200, { ok: true }]);
    const unknown = await client.read("GET", `/v1/subscriptions/${id}`);
    assertProblem(unknown, 404, { code: "unknown-integration" });
    assert.equal(unknown.body.error, undefined, "this is no path of Particle's");
  });

  test("its status is paused or active", async () => {
    const { id, status } = await create({ ...SIMPLE, status: "paused" });
    assert.equal(status, "paused");
    const call = async (what) => (await client.admin("POST", `/v1/subscriptions/${id}/${what}`)).body.status;
    assert.deepEqual([await call("resume"), await call("pause")], ["active", "paused"]);
    await client.admin("PUT", `/v1/subscriptions/${id}`, { ...(await get(id)), status: "active" });
    assert.equal((await get(id)).status, "active");
    assertProblem(await post({ ...SIMPLE, status: "asleep" }), 400, { naming: "status" });
  });

  for (const [property, change] of [
    ["events", { events: undefined }],
    ["events", { events: [] }],
    ["events", { events: [7] }],
    ["target_url", { target_url: undefined }],
    ["secret", { secret: "whsec_%" }],
    ["handshake", { handshake: "perhaps" }],
    ["handshake", { handshake: true, target_url: `${TARGET}/{{x}}` }],
  ]) {
    test(`what cannot work is refused at its property: ${JSON.stringify(change)}`, async () => {
      assertProblem(await post({ ...SIMPLE, ...change }), 400, { naming: property });
    });
  }

  test("a target that cannot be called is refused by its own name", async () => {
    const refused = await post({ ...SIMPLE, target_url: "https://10.0.0.1/", handshake: true });
    assertProblem(refused, 400, { code: "bad-url" });
    assert.equal(refused.body.field, "target_url");
    assert.equal(sent.length, 0);
  });

  describe("with a handshake", () => {
    const asked = { ...SIMPLE, handshake: true };

    test("the target is sent the secret and echoes it", async () => {
      const { secret } = await create(asked);
      const [{ request, body }] = sent;
      assert.deepEqual([sent.length, request.method, request.url, body], [1, "POST", TARGET, ""]);
      assert.equal(request.headers.get("x-hook-secret"), secret);
    });

    for (const [what, wrong] of [
      ["echoes nothing", () => new Response(null, { status: 204 })],
      ["echoes another", () => new Response(null, { headers: { "x-hook-secret": "whsec_b3RoZXI=" } })],
      ["refuses", (request) => new Response(null, { status: 404, headers: echo(request).headers })],
      [
        "leads elsewhere",
        () => new Response(null, { status: 302, headers: { location: "https://x.example/" } }),
      ],
    ]) {
      test(`one that ${what} is not subscribed`, async () => {
        answer = wrong;
        const count = (await client.read("GET", "/v1/integrations")).body.length;
        const failed = await post(asked);
        assertProblem(failed, 400, { code: "handshake-failed" });
        assert.equal(failed.body.field, "target_url");
        assert.doesNotMatch(failed.text, /whsec_/);
        assert.equal((await client.read("GET", "/v1/integrations")).body.length, count);
        assert.equal(sent.length, 1);
      });
    }

    test("another target is asked again, the same one is not", async () => {
      const made = await create(asked);
      sent = [];
      const put = (change) => client.admin("PUT", `/v1/subscriptions/${made.id}`, { ...asked, ...change });
      assert.equal((await put({ events: ["x"] })).status, 200);
      assert.equal(sent.length, 0);
      assert.equal((await put({ target_url: `${TARGET}/2` })).status, 200);
      assert.equal(sent[0].request.headers.get("x-hook-secret"), made.secret);
      answer = () => new Response(null, { status: 500 });
      assertProblem(await put({ target_url: `${TARGET}/3` }), 400, { code: "handshake-failed" });
      assert.equal((await get(made.id)).target_url, `${TARGET}/2`);
    });
  });

  describe("rotate", () => {
    const rotate = (id, body) => client.admin("POST", `/v1/subscriptions/${id}/rotate`, body);
    const signatures = (headers) => headers["webhook-signature"].split(" ");

    test("makes a new secret, and both sign meanwhile", async () => {
      const { id, secret: old } = await create();
      assert.equal(signatures((await trial(id)).headers).length, 1);
      const rotated = await rotate(id);
      assert.equal(rotated.status, 200, rotated.text);
      const { ok, secret, previous_until } = rotated.body;
      assert.deepEqual([ok, rotated.body.id], [true, id]);
      assert.notEqual(secret, old);
      assert.ok(Math.abs(Date.parse(previous_until) - Date.now() - 86_400_000) < 60_000);
      const { headers, body } = await trial(id);
      assert.equal(signatures(headers).length, 2);
      for (const each of [old, secret]) new Webhook(each).verify(body, headers);
      for (const each of [old, secret])
        assert.deepEqual(rowsWith(worker.storage, "Registry", each.slice(6)), []);
      // A definition that is replaced meanwhile takes nothing from it.
      await client.admin("PUT", `/v1/subscriptions/${id}`, await get(id));
      assert.equal(signatures((await trial(id)).headers).length, 2);
    });

    test("without an overlap the old one signs no more", async () => {
      const { id, secret: old } = await create();
      const { secret } = (await rotate(id, { overlap: 0 })).body;
      const { headers, body } = await trial(id);
      new Webhook(secret).verify(body, headers);
      assert.throws(() => new Webhook(old).verify(body, headers));
    });

    test("takes no other overlap than one in bounds", async () => {
      const { id } = await create();
      for (const overlap of [-1, 2_592_001, "1"]) {
        assertProblem(await rotate(id, { overlap }), 400, { naming: "overlap" });
      }
      assertProblem(await rotate(id, { seconds: 1 }), 400, { naming: "seconds" });
    });
  });
});
