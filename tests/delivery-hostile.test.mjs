// Services, devices and definitions that mean harm: what they send neither stops the others nor leads elsewhere.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { assertProblem, clientOf } from "./support/client.mjs";
import {
  QUICK,
  integrationsOf,
  datasOf,
  publish,
  publishInTurn,
  startDelivering,
  unique,
} from "./support/integrations.mjs";
import { huge, reply, startService, wire } from "./support/service.mjs";
import { startWorker } from "./support/worker.mjs";

const MB = 1024 * 1024;

let worker, client, service, integrations, stop, elsewhere;
before(async () => {
  ({ worker, client, service, integrations, stop } = await startDelivering());
  elsewhere = await startService();
});
after(() => Promise.all([stop(), elsewhere.stop()]));

async function integration(definition = {}) {
  const event = unique("hostile");
  const door = service.door(`/${event}`);
  const filled = typeof definition === "function" ? definition(door.url) : definition;
  const id = await integrations.create({ event, url: door.url, ...filled });
  return { id, door, event, coreid: `device-${event}` };
}

/** The list of attempts as text: whatever is in it, it can be read, and it is not as big as what came. */
async function shownAttempts(id) {
  const answer = await client.admin("GET", `/v1/integrations/${id}/attempts`);
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  assert.ok(answer.text.length < MB, `${answer.text.length} characters`);
  return answer.body.attempts;
}

describe("an answer", () => {
  for (const [what, answer] of [
    ["of 50 MB", huge()],
    ["of 50 MB, its length not told", huge(50 * MB, {})],
  ]) {
    test(`${what} is a success, and is not read to its end`, async () => {
      const { id, door, ...event } = await integration();
      door.script(answer);
      await publishInTurn(client, ["a", "b"], event);
      assert.deepEqual(datasOf(await door.have(2)), ["a", "b"]);
      const [{ sent, cut }] = door.requests;
      assert.ok(cut && sent < 25 * MB, `${sent} bytes were taken`);
      await integrations.haveAttempts(id, 2, ({ status }) => status === "success");
      await shownAttempts(id);
    });
  }

  test("of 50 MB once it is unpacked", async () => {
    const { id, door, ...event } = await integration();
    door.script(reply(200, gzipSync(Buffer.alloc(50 * MB, "x")), { "content-encoding": "gzip" }));
    await publishInTurn(client, ["a", "b"], event);
    await door.have(2);
    await integrations.haveAttempts(id, 2, ({ status }) => status === "success");
    await shownAttempts(id);
  });

  const head = (lines, body = "ok") =>
    wire(`HTTP/1.1 200 OK\r\n${lines}content-length: ${body.length}\r\n\r\n${body}`);
  for (const [what, answer] of [
    ["with a header of 200 KB", head(`x-long: ${"x".repeat(200_000)}\r\n`)],
    ["with 20,000 headers", head(Array.from({ length: 20_000 }, (_, n) => `x-${n}: y\r\n`).join(""))],
    ["with control characters in its headers", head("x-odd: \x01\x1b[2J\x7f\r\n")],
    [
      "that is not UTF-8",
      wire(Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\xfe\x00", "latin1")),
    ],
    ["that says it is packed, and is not", head("content-encoding: gzip\r\n")],
    ["that is not HTTP", wire("SSH-2.0-OpenSSH_9.2\r\n")],
    ["with two lengths", wire("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\nok")],
    ["with status 999", wire("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n")],
    ["with status 101", wire("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n")],
    ["with status 304", wire("HTTP/1.1 304 Not Modified\r\n\r\n")],
  ]) {
    test(`${what}: is one outcome, and the next event has its turn`, async () => {
      const { id, door, ...event } = await integration();
      door.answer((request, response) =>
        (request.body.includes("data=bad") ? answer : reply(200))(request, response),
      );
      await publishInTurn(client, ["bad", "good"], event);
      await door.have(1, ({ body }) => body.includes("data=good"));
      await integrations.haveAttempts(id, 2);
      await shownAttempts(id);
      assert.equal((await worker.fetch("/healthz")).status, 200);
    });
  }
});

const BREAKS = {
  "CR LF": "a\r\nx-injected: yes\r\n\r\nGET /injected HTTP/1.1",
  LF: "a\nx-injected: yes",
  CR: "a\rx-injected: yes",
  NUL: "a\u0000b",
  "a line separator": "a\u2028x-injected: yes\u0085",
};

describe("data that would break out of its place", () => {
  for (const [what, data] of Object.entries(BREAKS)) {
    for (const [where, definition] of [
      ["a header", { headers: { "x-data": "{{{PARTICLE_EVENT_VALUE}}}" } }],
      ["the name of a header", { headers: { "{{{PARTICLE_EVENT_VALUE}}}": "x" } }],
      ["auth", { auth: { username: "{{{PARTICLE_EVENT_VALUE}}}", password: "x" } }],
      ["a bearer token", { auth: { bearer: "{{{PARTICLE_EVENT_VALUE}}}" } }],
      ["the query", { query: { q: "{{{PARTICLE_EVENT_VALUE}}}" } }],
      ["the url", (url) => ({ url: `${url}/{{{PARTICLE_EVENT_VALUE}}}` })],
    ]) {
      test(`${what} in ${where}: adds no header and no request, and the next event has its turn`, async () => {
        const { door, ...event } = await integration(definition);
        const before = service.requests.length;
        await publishInTurn(client, [data, "good"], event);
        await door.have(1, ({ target, body, headers }) =>
          `${target} ${body} ${JSON.stringify(headers)}`.includes("good"),
        );
        for (const request of service.requests.slice(before)) {
          assert.notEqual(request.path, "/injected");
          assert.equal(request.headers["x-injected"], undefined);
          assert.ok(!request.rawHeaders.some((part) => /[\r\n\0]/.test(part)));
        }
      });
    }
  }
});

describe("data that is hard to read", () => {
  const keys = Array.from({ length: 10_000 }, (_, n) => `"k${n}":${n}`).join(",");
  const datas = [
    "[".repeat(100_000) + "]".repeat(100_000),
    '{"v":'.repeat(30_000) + "1" + "}".repeat(30_000),
    `{${keys}}`,
    `{"v":${"7".repeat(10_000)}}`,
    '{"v":"\\ud800"}',
    '{"v":"\\u0000"}',
    '"\\"'.repeat(30_000),
  ];
  for (const [what, definition] of [
    ["as a form", {}],
    ["in JSON that is written as a string", { json: "{{{PARTICLE_EVENT_VALUE}}}" }],
    ["in JSON, field by field", { json: { v: "{{{v}}}" } }],
    ["as it came", { body: "{{{PARTICLE_EVENT_VALUE}}}" }],
    ["as the whole event", { body: "{{{PARTICLE_EVENT_JSON}}}", headers: { "x-v": "{{v}}" } }],
  ]) {
    test(`is delivered ${what} or skipped, and the next event has its turn`, async () => {
      const { id, door, ...event } = await integration(definition);
      const last = '{"v":"good"}';
      await publishInTurn(client, [...datas, last], event);
      await door.have(1, ({ body }) => body.includes("good"));
      await integrations.haveAttempts(id, datas.length + 1);
      await shownAttempts(id);
    });
  }
});

describe("data that would lead to another host", () => {
  for (const [what, data] of Object.entries({
    "a host": (host) => `@${host}/`,
    "a host behind slashes": (host) => `//${host}/`,
    "a host behind backslashes": (host) => `\\\\${host}\\`,
    "a whole url": (host) => `http://${host}/`,
    "a way up": () => "../../../../etc/passwd",
    "a query": (host) => `?u=http://${host}/#`,
    "a port": () => ":1/",
    "a tab and a host": (host) => `\t//${host}`,
  })) {
    test(`${what}, in the path`, async () => {
      const { door, ...event } = await integration((url) => ({ url: `${url}/{{{PARTICLE_EVENT_VALUE}}}` }));
      const { host } = new URL(elsewhere.url);
      const before = service.requests.length;
      await publishInTurn(client, [data(host), "good"], event);
      await door.have(1, ({ target }) => target.endsWith("/good"));
      assert.deepEqual(elsewhere.requests, []);
      for (const request of service.requests.slice(before))
        assert.equal(request.headers.host, new URL(service.url).host);
    });
  }

  for (const [what, url] of [
    ["a host", "http://{{{PARTICLE_EVENT_VALUE}}}/"],
    ["a part of one", "http://{{{PARTICLE_EVENT_VALUE}}}.example.com/"],
    ["a port", "http://127.0.0.1:{{{PARTICLE_EVENT_VALUE}}}/"],
    ["something right behind the host", "http://127.0.0.1{{{PARTICLE_EVENT_VALUE}}}/"],
    ["a scheme", "{{{PARTICLE_EVENT_VALUE}}}://127.0.0.1/"],
    ["a whole url", "{{{PARTICLE_EVENT_VALUE}}}"],
  ]) {
    test(`no definition lets data be ${what}`, async () => {
      const answer = await client.admin("POST", "/v1/integrations", { event: unique(), url });
      assertProblem(answer, 400, { naming: "url" });
    });
  }
});

describe("a target that is not public", () => {
  const PRIVATE = [
    ...["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "0.0.0.0", "0"],
    ...["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1"],
    ...["224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]"],
    ...["[64:ff9b::7f00:1]", "[2001:db8::1]", "[ff02::1]", "localhost", "LOCALHOST.", "a.localhost"],
    ...["printer.local", "db.internal", "nas.home.arpa", "metadata.google.internal"],
  ];

  test("is refused in a definition, in every spelling, and none is fetched when one got in before", async () => {
    const event = unique("guard");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: door.url });
    await publish(client, { event });
    await door.have(1);
    // The same storage, but now with the guard on.
    await worker.release();
    const guarded = await startWorker({
      network: true,
      persist: worker.storage,
      vars: { ...QUICK, ALLOW_PRIVATE_TARGETS: "false", REQUIRE_HTTPS: "false" },
    });
    try {
      const again = clientOf(guarded);
      for (const host of PRIVATE) {
        const answer = await again.admin("POST", "/v1/integrations", {
          event: unique(),
          url: `http://${host}/`,
        });
        assertProblem(answer, 400, { code: "bad-url" });
      }
      await publish(again, { event });
      const parked = await integrationsOf(again).haveAttempts(id, 1, ({ status }) => status === "parked");
      assert.ok(parked[0].error, JSON.stringify(parked[0]));
      assert.equal(door.requests.length, 1);
    } finally {
      await guarded.stop();
      await worker.restart();
    }
  });

  test("so is the Worker itself, by the name it was called", async () => {
    const answer = await client.admin("POST", "/v1/integrations", {
      event: unique(),
      url: `${worker.url}/hook`,
    });
    assertProblem(answer, 400, { code: "bad-url" });
  });
});
