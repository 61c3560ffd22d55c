// What is told of deliveries: the attempts, which of them, without secrets, and how many there were a day.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertProblem, numbers, until } from "./support/client.mjs";
import { WITHIN, byTime, publish, publishInTurn, startDelivering, unique } from "./support/integrations.mjs";
import { reply } from "./support/service.mjs";

let client, service, integrations, stop;
before(
  async () =>
    ({ client, service, integrations, stop } = await startDelivering({ vars: { RETRY_SCHEDULE: "0.1" } })),
);
after(() => stop());

async function integration(definition = {}) {
  const event = unique("attempts");
  const door = service.door(`/${event}`);
  const id = await integrations.create({ event, url: door.url, ...definition });
  return { id, door, event };
}

describe("filters", () => {
  let one;
  const [first, second] = ["filter-1", "filter-2"];
  before(async () => {
    one = await integration();
    one.door.script(200, 500, 200, 404, 200);
    for (const coreid of [first, first, second, second]) {
      await publish(client, { event: one.event, coreid });
      await one.door.have(1, ({ body }) => body.includes(coreid));
    }
    await integrations.haveAttempts(one.id, 5);
  });

  const listed = async (query) =>
    byTime(await integrations.attempts(one.id, query)).map(({ device, status }) => `${device} ${status}`);

  test("none: all of them", async () => {
    assert.equal((await listed("")).length, 5);
  });

  test("by status", async () => {
    assert.equal((await listed("status=success")).length, 3);
    assert.equal((await listed("status=failure")).length, 1);
    assert.equal((await listed("status=parked")).length, 1);
    assert.deepEqual(await listed("status=skipped"), []);
  });

  test("by device", async () => {
    const [of_first, of_second] = [await listed(`device=${first}`), await listed(`device=${second}`)];
    assert.ok(of_first.every((entry) => entry.startsWith(first)));
    assert.ok(of_second.every((entry) => entry.startsWith(second)));
    assert.equal(of_first.length + of_second.length, 5);
    assert.deepEqual(await listed("device=nobody"), []);
  });

  test("by time, and by several at once", async () => {
    const attempts = byTime(await integrations.attempts(one.id));
    const middle = attempts[2].at;
    const behind = byTime(await integrations.attempts(one.id, `from=${encodeURIComponent(middle)}`));
    assert.deepEqual(
      behind.map(({ id }) => id),
      attempts.filter(({ at }) => Date.parse(at) >= Date.parse(middle)).map(({ id }) => id),
    );
    assert.deepEqual(await listed("from=2100-01-01T00:00:00Z"), []);
    assert.deepEqual(await listed("to=2000-01-01T00:00:00Z"), []);
    assert.deepEqual(
      await listed(`status=parked&device=${first}`),
      (await listed("status=parked")).filter((entry) => entry.startsWith(first)),
    );
  });

  test("page by page", async () => {
    const seen = [];
    for (let after = ""; after !== null;) {
      const path = `/v1/integrations/${one.id}/attempts?limit=2${after && `&after=${encodeURIComponent(after)}`}`;
      const { body } = await client.read("GET", path);
      assert.ok(body.attempts.length <= 2);
      seen.push(...body.attempts.map(({ id }) => id));
      after = body.next;
    }
    assert.equal(new Set(seen).size, 5);
    assert.equal(seen.length, 5);
  });

  test("that make no sense are refused", async () => {
    for (const query of ["status=lost", "from=yesterday", "limit=0", "after=nonsense"]) {
      const answer = await client.read("GET", `/v1/integrations/${one.id}/attempts?${query}`);
      assertProblem(answer, 400);
    }
    const unknown = "/v1/integrations/0123456789abcdef01234567/attempts";
    assertProblem(await client.read("GET", unknown), 404, { code: "unknown-integration" });
  });
});

describe("the request and the answer", () => {
  test("are shown as they were", async () => {
    const { id, door, event } = await integration({ headers: { "x-place": "Zürich" }, json: { t: 1 } });
    door.answer(422, "no such field: é", { "x-why": "t" });
    await publish(client, { event, data: "21.5" });
    const [{ request, response }] = await integrations.haveAttempts(id, 1);
    const [sent] = await door.have(1);
    assert.deepEqual([request.method, request.url, request.body], ["POST", door.url, sent.body]);
    assert.equal(request.headers["x-place"], "Zürich");
    assert.equal(request.headers["webhook-id"], sent.headers["webhook-id"]);
    assert.deepEqual([response.body, response.headers["x-why"]], ["no such field: é", "t"]);
  });

  test("are cut where they are long, and say so", async () => {
    const { id, door, event } = await integration();
    door.answer(200, "x".repeat(100_000));
    await publish(client, { event, data: "y".repeat(100_000) });
    const [{ request, response }] = await integrations.haveAttempts(id, 1);
    for (const shown of [request, response]) {
      assert.equal(shown.truncated, true);
      assert.ok(shown.body.length <= 16 * 1024);
    }
  });
});

describe("secrets", () => {
  const SECRET = "s3cr3t-that-nobody-may-see";

  /** Every text in which an administrator or a reader sees an integration. */
  async function everythingShown(id) {
    const paths = ["", "/attempts"].map((rest) => `/v1/integrations/${id}${rest}`);
    paths.push("/v1/integrations", "/v1/webhooks");
    const texts = [];
    for (const path of paths) {
      const { status, text } = await client.admin("GET", path);
      assert.equal(status, 200, `${path}: ${text}`);
      texts.push(text);
    }
    return texts.join("\n");
  }

  for (const [what, definition, arrives] of [
    [
      "a password",
      { auth: { username: "ann", password: SECRET } },
      ({ headers }) => atob(headers.authorization.slice(6)),
    ],
    ["a bearer token", { auth: { bearer: SECRET } }, ({ headers }) => headers.authorization],
    [
      "an Authorization header",
      { headers: { Authorization: `Key ${SECRET}` } },
      ({ headers }) => headers.authorization,
    ],
    ["an api key in a header", { headers: { "X-API-Key": SECRET } }, ({ headers }) => headers["x-api-key"]],
    ["a token in the query", { query: { access_token: SECRET } }, ({ target }) => target],
    ["an api_key in a form", { form: { api_key: SECRET } }, ({ body }) => body],
    ["a token in json, however deep", { json: { a: [{ writeToken: SECRET }] } }, ({ body }) => body],
  ]) {
    test(`${what}: arrives, and is never shown`, async () => {
      const { id, door, event } = await integration(definition);
      // A service that says it back, as some do in their errors.
      const echo = (request) => `you sent ${arrives(request)} with ${request.headers.authorization}`;
      door.answer((request, response) => reply(400, echo(request))(request, response));
      await publish(client, { event });
      const [request] = await door.have(1);
      assert.ok(arrives(request).includes(SECRET), "it arrives");
      await integrations.haveAttempts(id, 1);
      const shown = await everythingShown(id);
      assert.ok(!shown.includes(SECRET));
      assert.ok(!shown.includes(Buffer.from(`ann:${SECRET}`).toString("base64")));
      assert.ok(shown.includes("********"));
    });
  }

  test("in the url's own query", async () => {
    const event = unique("attempts");
    const door = service.door(`/${event}`);
    const id = await integrations.create({ event, url: `${door.url}?api_key=${SECRET}&field=1` });
    await publish(client, { event });
    const [request] = await door.have(1);
    assert.equal(request.query.get("api_key"), SECRET);
    await integrations.haveAttempts(id, 1);
    assert.ok(!(await everythingShown(id)).includes(SECRET));
  });

  test("that come in an event's data, under such a name", async () => {
    const { id, door, event } = await integration({ json: { password: "{{{password}}}", t: "{{{t}}}" } });
    await publish(client, { event, data: JSON.stringify({ password: SECRET, t: 21.5 }) });
    const [request] = await door.have(1);
    assert.equal(JSON.parse(request.body).password, SECRET);
    const [attempt] = await integrations.haveAttempts(id, 1);
    assert.equal(JSON.parse(attempt.request.body).password, "********");
    assert.equal(JSON.parse(attempt.request.body).t, "21.5");
  });

  test("survive being read and put back", async () => {
    const { id, door, event } = await integration({ auth: { bearer: SECRET }, json: { token: SECRET } });
    const { event: _event, ...shown } = await integrations.get(id);
    await client.define(`/v1/integrations/${id}`, { event, ...definitionOf(shown), url: door.url });
    await publish(client, { event });
    const [request] = await door.have(1);
    assert.equal(request.headers.authorization, `Bearer ${SECRET}`);
    assert.equal(JSON.parse(request.body).token, SECRET);
  });

  /** Without what the Worker adds to it. */
  const definitionOf = ({ auth, json }) => ({ auth, json });
});

describe("what is kept", () => {
  test("the last ten successes and the last ten errors, in full, whatever there is more of", async () => {
    const { id, door, event } = await integration();
    const total = 30;
    door.script(...numbers(1, 12).map(() => 404));
    await publishInTurn(client, numbers(1, 12), { event });
    await door.have(12);
    await publishInTurn(client, numbers(13, total), { event });
    await door.have(total);
    const errors = await integrations.haveAttempts(id, 10, ({ status }) => status === "parked");
    const successes = await integrations.haveAttempts(id, 10, ({ status }) => status === "success");
    for (const attempts of [errors, successes]) {
      for (const { request, response } of byTime(attempts).slice(-10)) {
        assert.ok(request.method && request.url && request.body, JSON.stringify(request));
        assert.ok(response, "an answer");
      }
    }
    const newest = byTime(successes).at(-1).request.body;
    await until(
      async () =>
        byTime(await integrations.attempts(id))
          .at(-1)
          .request.body.includes(`data=${total}`),
      {
        within: WITHIN,
        what: { toString: () => `the newest (${newest})` },
      },
    );
  });

  test("how many a day: successes, failures and what was skipped", async () => {
    const { id, door, event } = await integration();
    door.script(200, 500, 200, 404, 200);
    await publishInTurn(client, [1, 2, 3, 4], { event });
    await door.have(5);
    await integrations.haveAttempts(id, 5);
    let counts;
    await until(
      async () => {
        counts = (await integrations.get(id)).counts;
        const { success, failure } = totals(counts);
        return success >= 3 && failure >= 2;
      },
      { within: WITHIN, every: 100, what: { toString: () => `the counts (${JSON.stringify(counts)})` } },
    );
    assert.deepEqual(totals(counts), { success: 3, failure: 2, skipped: 0 });
  });

  /** What `today` and the days before it add up to; a test may run over midnight. */
  function totals({ days }) {
    const sum = (name) => days.reduce((total, day) => total + (day[name] ?? 0), 0);
    return { success: sum("success"), failure: sum("failure"), skipped: sum("skipped") };
  }
});
