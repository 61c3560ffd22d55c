// A delivery that fails: which failures are tried again, which are parked at once, and which pause the integration.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { numbers } from "./support/client.mjs";
import {
  ATTEMPTS,
  byTime,
  datasOf,
  idsOf,
  publish,
  publishInTurn,
  startDelivering,
  unique,
} from "./support/integrations.mjs";
import { drip, dripHead, hang, redirectTo, reply, reset, resetInBody } from "./support/service.mjs";

/** What pauses an integration: so many parked in a row. */
const PARKED_IN_A_ROW = 20;

let client, service, integrations, stop;
before(async () => ({ client, service, integrations, stop } = await startDelivering()));
after(() => stop());

/** An integration with a door and a device of its own, and answers to begin with. */
async function failing(...answers) {
  const event = unique("retry");
  const door = service.door(`/${event}`);
  door.script(...answers);
  const id = await integrations.create({ event, url: door.url });
  return { id, door, event, coreid: `device-${event}` };
}

describe("is tried again", () => {
  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) {
    test(`${status}, with the same webhook-id, before the next event`, async () => {
      const { id, door, ...event } = await failing(status, 200);
      await publishInTurn(client, ["a", "b"], event);
      assert.deepEqual(datasOf(await door.have(3)), ["a", "a", "b"]);
      const [first, second, third] = idsOf(door.requests);
      assert.equal(first, second);
      assert.notEqual(second, third);
      const attempts = byTime(await integrations.haveAttempts(id, 3));
      assert.deepEqual(
        attempts.map((attempt) => [attempt.status, attempt.http_status, attempt.attempt]),
        [
          ["failure", status, 1],
          ["success", 200, 2],
          ["success", 200, 1],
        ],
      );
      assert.match(attempts[0].error, new RegExp(`^error status ${status} from 127\\.0\\.0\\.1`));
    });
  }

  for (const [what, answer, error] of [
    ["a service that says nothing", hang, /^ETIMEDOUT/],
    ["a head that does not end", dripHead, /^ETIMEDOUT/],
    ["a body that does not end", drip, /^ESOCKETTIMEDOUT/],
    ["a connection that is reset", reset, /^ECONNRESET/],
    ["a connection that is reset in the body", resetInBody, /^ECONNRESET/],
  ]) {
    test(`${what}: ${error.source.slice(1)}`, async () => {
      const { id, door, ...event } = await failing(answer, 200);
      await publishInTurn(client, ["a", "b"], event);
      assert.deepEqual(datasOf(await door.have(3)), ["a", "a", "b"]);
      assert.equal(new Set(idsOf(door.requests)).size, 2);
      const [first, second] = byTime(await integrations.haveAttempts(id, 3));
      assert.equal(first.status, "failure");
      assert.match(first.error, error);
      assert.equal(second.status, "success");
      if (answer !== reset && answer !== resetInBody) assert.ok(door.requests[0].cut, "it was let go");
    });
  }

  test("a port that refuses", async () => {
    // The same host as the other tests': it is up again before its circuit has opened.
    const { id, door, ...event } = await failing();
    await service.stop();
    await publish(client, { ...event, data: "a" });
    const [first] = byTime(await integrations.haveAttempts(id, 1));
    await service.start();
    assert.deepEqual([first.status, first.http_status ?? null], ["failure", null]);
    // workerd does not tell a refusal from a reset.
    assert.match(first.error, /^ECONN(REFUSED|RESET)/);
    const tried = await integrations.haveAttempts(id, 1, ({ status }) => status !== "failure");
    assert.ok(["success", "parked"].includes(tried[0].status));
  });
});

describe("Retry-After", () => {
  /** How long after the first request the second came, in milliseconds. */
  async function pauseAfter(status, retryAfter) {
    const { door, ...event } = await failing(reply(status, "", { "retry-after": retryAfter }));
    await publish(client, event);
    const [first, second] = await door.have(2);
    return { first: first.at, second: second.at };
  }

  for (const status of [429, 503]) {
    test(`of a ${status}, in seconds`, async () => {
      const { first, second } = await pauseAfter(status, "2");
      assert.ok(second - first >= 2_000, `came after ${second - first} ms`);
    });

    test(`of a ${status}, as a date`, async () => {
      const until = new Date(Date.now() + 3_000);
      const { second } = await pauseAfter(status, until.toUTCString());
      assert.ok(second >= Date.parse(until.toUTCString()), `came at ${new Date(second).toISOString()}`);
    });
  }

  for (const odd of ["-1", "soon", "", "99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT", "0"]) {
    test(`that makes no sense, ${JSON.stringify(odd)}: harms nobody else`, async () => {
      const { id, door, ...event } = await failing(reply(429, "", { "retry-after": odd }));
      await publish(client, event);
      await integrations.haveAttempts(id, 1);
      if (odd.length < 20) await door.have(2);
      const other = await failing();
      await publish(client, { event: other.event, coreid: other.coreid });
      await other.door.have(1);
    });
  }
});

describe("is given up", () => {
  test("after the whole schedule: parked, and the next event has its turn", async () => {
    const { id, door, ...event } = await failing(500, 502, 503);
    await publishInTurn(client, ["a", "b"], event);
    assert.deepEqual(datasOf(await door.have(ATTEMPTS + 1)), ["a", "a", "a", "b"]);
    assert.equal(new Set(idsOf(door.requests).slice(0, ATTEMPTS)).size, 1);
    const attempts = byTime(await integrations.haveAttempts(id, ATTEMPTS + 1));
    assert.deepEqual(
      attempts.map((attempt) => [attempt.status, attempt.http_status]),
      [
        ["failure", 500],
        ["failure", 502],
        ["parked", 503],
        ["success", 200],
      ],
    );
    assert.deepEqual(
      attempts.map(({ next_at }) => Boolean(next_at)),
      [true, true, false, false],
      "when it is tried again is told only where it is",
    );
  });

  for (const status of [400, 401, 403, 404, 405, 409, 413, 422]) {
    test(`at once: ${status}`, async () => {
      const { id, door, ...event } = await failing(status);
      await publishInTurn(client, ["a", "b"], event);
      assert.deepEqual(datasOf(await door.have(2)), ["a", "b"]);
      const [parked] = await integrations.haveAttempts(id, 1, () => true, "status=parked");
      assert.deepEqual([parked.status, parked.http_status, parked.attempt], ["parked", status, 1]);
      assert.match(parked.error, new RegExp(`^error status ${status} from 127\\.0\\.0\\.1`));
    });
  }

  for (const status of [301, 302, 307, 308]) {
    test(`a redirect is a failure, and is not followed: ${status}`, async () => {
      const elsewhere = service.door(`/${unique("elsewhere")}`);
      const { id, door, ...event } = await failing();
      door.answer((request, response) =>
        (new URLSearchParams(request.body).get("data") === "a"
          ? redirectTo(elsewhere.url, status)
          : reply(200))(request, response),
      );
      await publishInTurn(client, ["a", "b"], event);
      await door.have(1, ({ body }) => body.includes("data=b"));
      assert.deepEqual(elsewhere.requests, []);
      const [parked] = await integrations.haveAttempts(id, 1, ({ status }) => status === "parked");
      assert.equal(parked.http_status, status);
      assert.equal((await integrations.get(id)).status, "active");
    });
  }
});

describe("pauses the integration", () => {
  test("410: nothing more is sent until it is resumed, and the place is kept", async () => {
    const { id, door, ...event } = await failing(410);
    await publish(client, { ...event, data: "a" });
    const { paused } = await integrations.becomes(id, "paused");
    assert.equal(paused.reason, "gone");
    assert.ok(Date.parse(paused.at) > 0);
    await publishInTurn(client, ["b", "c"], event);
    assert.deepEqual(datasOf(door.requests), ["a"]);
    await integrations.resume(id);
    await door.have(1, ({ body }) => body.includes("data=c"));
    // Whether the one that was answered 410 comes again is for its owner to replay; the others come in order.
    assert.deepEqual(
      datasOf(door.requests).filter((data) => data !== "a"),
      ["b", "c"],
    );
  });

  test("410 pauses for every device", async () => {
    const { id, door, event } = await failing(410);
    await publish(client, { event, coreid: "gone-1" });
    await integrations.becomes(id, "paused");
    for (const coreid of ["gone-1", "gone-2", "gone-3"]) await publish(client, { event, coreid });
    assert.equal(door.requests.length, 1);
    await integrations.resume(id);
    for (const coreid of ["gone-2", "gone-3"])
      await door.have(1, ({ body }) => body.includes(`coreid=${coreid}`));
  });

  test(`${PARKED_IN_A_ROW} parked in a row; what came behind waits`, async () => {
    const { id, door, ...event } = await failing();
    door.answer(400);
    await publishInTurn(client, numbers(1, PARKED_IN_A_ROW + 5), event);
    const { paused } = await integrations.becomes(id, "paused");
    assert.equal(paused.reason, "parked");
    // The device learns of the pause a moment after its shard has counted: none of the rest is lost by that.
    const before = door.requests.length;
    assert.ok(before >= PARKED_IN_A_ROW && before <= PARKED_IN_A_ROW + 5, `${before} requests`);
    door.answer(200);
    await integrations.resume(id);
    await publish(client, { ...event, data: "the end" });
    await door.have(1, ({ body }) => body.includes("the%20end"));
    assert.deepEqual(datasOf(door.requests), [...numbers(1, PARKED_IN_A_ROW + 5).map(String), "the end"]);
  });

  test("one success in between, and the count begins anew", async () => {
    const { id, door, ...event } = await failing();
    door.script(...Array(PARKED_IN_A_ROW - 1).fill(400), 200, ...Array(PARKED_IN_A_ROW - 1).fill(400), 200);
    await publishInTurn(client, numbers(1, 2 * PARKED_IN_A_ROW), event);
    await door.have(2 * PARKED_IN_A_ROW);
    await integrations.haveAttempts(id, 2, ({ status }) => status === "success");
    assert.equal((await integrations.get(id)).status, "active");
  });
});

test("attempts say what was tried, in Particle's words, and when it is tried again", async () => {
  const { id, door, ...event } = await failing(503, 404);
  const { event_id } = await publish(client, event);
  await door.have(2);
  const attempts = byTime(await integrations.haveAttempts(id, 2));
  assert.deepEqual(
    attempts.map(({ status, http_status }) => [status, http_status]),
    [
      ["failure", 503],
      ["parked", 404],
    ],
  );
  for (const attempt of attempts) {
    assert.equal(attempt.integration, id);
    assert.deepEqual([attempt.device, attempt.event, attempt.seq], [event.coreid, event.event, 1]);
    assert.equal(attempt.event_id, event_id);
    assert.ok(Number.isFinite(Date.parse(attempt.at)) && attempt.took_ms >= 0);
  }
  assert.ok(Date.parse(attempts[0].next_at) > Date.parse(attempts[0].at));
  assert.ok(attempts[0].id.startsWith(door.requests[0].headers["webhook-id"]));
});
