// What arrives is signed as Standard Webhooks says: the libraries that subscribers use verify it, also while a secret
// is being replaced.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { assertProblem, until } from "./support/client.mjs";
import { WITHIN, publish, startDelivering, unique } from "./support/integrations.mjs";
import { jsonOf, reply } from "./support/service.mjs";

const LIBRARIES = { standardwebhooks: Standard, svix: Svix };
const SECRET = `whsec_${Buffer.from("a secret of 24 bytes 123").toString("base64")}`;
const OTHER = `whsec_${Buffer.from("another secret, 24 bytes").toString("base64")}`;

let client, service, integrations, stop;
before(async () => ({ client, service, integrations, stop } = await startDelivering()));
after(() => stop());

/** Throws unless it is signed. The reference library would also read the body as JSON, which not every body is. */
const verifies = (Library, secret, { raw, headers }) =>
  new Library(secret).verify(raw, headers, { jsonParse: false });
const UNVERIFIED = { name: "WebhookVerificationError" };

function assertSigned(request, ...secrets) {
  for (const [name, Library] of Object.entries(LIBRARIES)) {
    for (const secret of secrets) assert.doesNotThrow(() => verifies(Library, secret, request), name);
    const unknown = `whsec_${Buffer.alloc(24).toString("base64")}`;
    assert.throws(() => verifies(Library, unknown, request), UNVERIFIED, name);
  }
  assert.equal(request.headers["webhook-signature"].split(" ").length, secrets.length);
}

async function signed(definition, event = {}) {
  const name = unique("signed");
  const door = service.door(`/${name}`);
  const id = await integrations.create({ event: name, url: door.url, secret: SECRET, ...definition });
  await publish(client, { event: name, ...event });
  const [request] = await door.have(1);
  return { id, door, request, event: name };
}

describe("a delivery is verified by both libraries", () => {
  for (const [what, definition, event] of [
    ["Particle's form", {}, { data: "a b" }],
    ["JSON", { json: { t: "{{{PARTICLE_EVENT_VALUE}}}" } }, { data: "21.5" }],
    ["text of other alphabets", { body: "{{{PARTICLE_EVENT_VALUE}}}" }, { data: "21,5 °C — 漢字 😀" }],
    ["a body of white space", { body: " \n{{{PARTICLE_EVENT_VALUE}}}\r\n" }, { data: "x" }],
    ["an empty body", { body: "{{{missing}}}" }, {}],
    ["a GET, which has none", { requestType: "GET" }, {}],
    ["a PUT", { requestType: "PUT", json: { a: 1 } }, {}],
  ]) {
    test(what, async () => {
      const { request } = await signed(definition, event);
      assertSigned(request, SECRET);
    });
  }

  test("each attempt, with the same id", async () => {
    const name = unique("signed");
    const door = service.door(`/${name}`).script(500, 503);
    await integrations.create({ event: name, url: door.url, secret: SECRET });
    await publish(client, { event: name });
    const requests = await door.have(3);
    for (const request of requests) assertSigned(request, SECRET);
    assert.equal(new Set(requests.map(({ headers }) => headers["webhook-id"])).size, 1);
  });

  test("a byte more, another id, another time: not verified", async () => {
    const { request } = await signed({ json: { a: 1 } });
    const { raw, headers } = request;
    for (const forged of [
      { raw: Buffer.concat([raw, Buffer.from(" ")]), headers },
      { raw, headers: { ...headers, "webhook-id": `${headers["webhook-id"]}x` } },
      { raw, headers: { ...headers, "webhook-timestamp": `${Number(headers["webhook-timestamp"]) + 1}` } },
    ])
      for (const Library of Object.values(LIBRARIES))
        assert.throws(() => verifies(Library, SECRET, forged), UNVERIFIED);
  });

  test("without a secret there is no signature", async () => {
    const { request } = await signed({ secret: undefined });
    assert.equal(request.headers["webhook-signature"], undefined);
  });
});

describe("a secret", () => {
  test("is shown masked, and a masked one that comes back keeps the stored one", async () => {
    const { id, door, event } = await signed({});
    const shown = await integrations.get(id);
    assert.ok(!JSON.stringify(shown).includes(SECRET.slice(6)), "not shown");
    assert.equal(shown.secret, "********");
    await client.define(`/v1/integrations/${id}`, { event, url: door.url, secret: shown.secret });
    await publish(client, { event });
    assertSigned((await door.have(2))[1], SECRET);
  });

  test("is replaced by PUT at once", async () => {
    const { id, door, event } = await signed({});
    await client.define(`/v1/integrations/${id}`, { event, url: door.url, secret: OTHER });
    await publish(client, { event });
    assertSigned((await door.have(2))[1], OTHER);
  });

  test("is rotated: both sign until the overlap is over, then the new one only", async () => {
    const { id, door, event } = await signed({});
    const { secret } = await integrations.rotate(id, { overlap: 600 });
    assert.match(secret, /^whsec_[A-Za-z0-9+/]+=*$/);
    assert.ok(Buffer.from(secret.slice(6), "base64").length >= 24);
    assert.ok(!JSON.stringify(await integrations.get(id)).includes(secret.slice(6)), "shown once");
    await publish(client, { event });
    assertSigned((await door.have(2))[1], secret, SECRET);

    const newest = await integrations.rotate(id, { overlap: 1 });
    await until(
      async () => {
        const before = door.requests.length;
        await publish(client, { event });
        const { headers } = (await door.have(before + 1)).at(-1);
        return headers["webhook-signature"].split(" ").length === 1;
      },
      { within: WITHIN, every: 200, what: "the end of the overlap" },
    );
    assertSigned(door.requests.at(-1), newest.secret);
  });

  test("cannot be rotated where there is none", async () => {
    const { id } = await signed({ secret: undefined });
    const answer = await client.admin("POST", `/v1/integrations/${id}/rotate`, {});
    assertProblem(answer, 409, { code: "not-signed" });
  });
});

describe("a subscription", () => {
  async function subscribe(definition) {
    const answer = await client.admin("POST", "/v1/subscriptions", definition);
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
  }

  test("has a Standard Webhooks body, signed with the secret that was told once", async () => {
    const event = unique("subscribed");
    const door = service.door(`/${event}`);
    const { id, secret, ...others } = await subscribe({ events: [event], target_url: door.url });
    assert.deepEqual(others.events, [event]);
    assert.equal(others.status, "active");
    await publish(client, {
      event,
      data: '{"t":21.50}',
      coreid: "sub-1",
      published_at: "2026-11-22T01:02:03.456Z",
    });
    const [request] = await door.have(1);
    assertSigned(request, secret);
    assert.match(request.headers["content-type"], /^application\/json/);
    const { type, timestamp, data, ...more } = jsonOf(request);
    assert.deepEqual([type, more], [event, {}]);
    assert.ok(Number.isFinite(Date.parse(timestamp)));
    assert.ok(JSON.stringify(data).includes("sub-1"), request.body);
    assert.ok(request.body.includes("21.50"), "digits are kept");
    const shown = await client.admin("GET", `/v1/subscriptions/${id}`);
    assert.ok(!shown.text.includes(secret.slice(6)));
  });

  test("of several events gets those, and no others", async () => {
    const [one, two, three] = [unique("subscribed"), unique("subscribed"), unique("subscribed")];
    const door = service.door(`/${one}`);
    await subscribe({ events: [one, two], target_url: door.url });
    for (const event of [three, one, two, three, one]) await publish(client, { event, coreid: "sub-2" });
    const requests = await door.have(3);
    assert.deepEqual(
      requests.map((request) => jsonOf(request).type),
      [one, two, one],
    );
  });

  test("rotates as an integration does", async () => {
    const event = unique("subscribed");
    const door = service.door(`/${event}`);
    const { id, secret } = await subscribe({ events: [event], target_url: door.url });
    const answer = await client.admin("POST", `/v1/subscriptions/${id}/rotate`, { overlap: 600 });
    assert.equal(answer.status, 200, answer.text);
    await publish(client, { event });
    assertSigned((await door.have(1))[0], answer.body.secret, secret);
  });

  test("with a handshake begins once its service has sent the secret back", async () => {
    const event = unique("subscribed");
    const door = service.door(`/${event}`);
    let hooked;
    door.script((request, response) => {
      hooked = request.headers["x-hook-secret"];
      reply(200, "", { "x-hook-secret": hooked })(request, response);
    });
    const { secret } = await subscribe({ events: [event], target_url: door.url, handshake: true });
    assert.ok(hooked, "it was asked");
    await publish(client, { event });
    assertSigned((await door.have(2))[1], secret);
  });

  for (const [what, answer] of [
    ["says nothing of it", reply(200)],
    ["sends another back", reply(200, "", { "x-hook-secret": "something-else" })],
    ["fails", reply(500)],
  ]) {
    test(`with a handshake is refused where its service ${what}`, async () => {
      const event = unique("subscribed");
      const door = service.door(`/${event}`).answer(answer);
      const refused = await client.admin("POST", "/v1/subscriptions", {
        events: [event],
        target_url: door.url,
        handshake: true,
      });
      assertProblem(refused, 400, { code: "handshake-failed" });
      await publish(client, { event });
      const { body } = await client.admin("GET", "/v1/subscriptions");
      assert.ok(!JSON.stringify(body).includes(event));
    });
  }
});
