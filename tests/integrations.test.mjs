// Definitions of integrations: made, listed, read, replaced, tried out and deleted, in Particle's JSON and answers.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertProblem, clientOf, nextLink, numbers } from "./support/client.mjs";
import { rowsWith } from "./support/storage.mjs";
import { startWorker } from "./support/worker.mjs";

const MASK = "********";
const URL_ = "https://service.example/in";
const SIMPLE = { event: "temp", url: URL_ };
const UNKNOWN = "0123456789abcdef01234567";

/** Everything a definition can say at once. */
const WHOLE = {
  event: "temp/",
  name: "Everything",
  url: `${URL_}/{{device}}?api_key=secret-in-url&unit=C`,
  requestType: "POST",
  json: { value: "{{t}}", nested: [{ password: "secret-in-json" }], at: "{{PARTICLE_PUBLISHED_AT}}" },
  query: { token: "secret-in-query", page: 1 },
  headers: { Authorization: "Bearer secret-in-header", "X-Plain": "shown" },
  auth: { username: "user", password: "secret-in-auth" },
  noDefaults: true,
  deviceID: "0123456789abcdef01234567",
  rejectUnauthorized: true,
  responseTemplate: "{{answer}}",
  responseTopic: "{{PARTICLE_DEVICE_ID}}/answer",
  errorResponseTopic: "failed",
  secret: "whsec_c2VjcmV0LXRoYXQtc2lnbnMtMDEyMzQ1Njc4OWFi",
  replyBudget: 1000,
  replyFraming: "plain",
  unchunked: 1.5,
};
const SECRETS = [
  "secret-in-url",
  "secret-in-json",
  "secret-in-query",
  "secret-in-header",
  "secret-in-auth",
  WHOLE.secret.slice(6),
];

describe("integrations", () => {
  let worker, client, sent, answer;
  before(async () => {
    const outbound = async (request) => {
      sent.push({ request, body: await request.text() });
      return answer(request);
    };
    worker = await startWorker({ vars: { MAX_BODY: "400000" }, outbound });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const reset = () => {
    sent = [];
    answer = () => new Response("thanks");
  };
  reset();

  const create = async (definition, at = "/v1/integrations") => {
    const made = await client.admin("POST", at, definition);
    assert.equal(made.status, 200, made.text);
    return made.body;
  };
  const get = async (id, at = "/v1/integrations") => (await client.read("GET", `${at}/${id}`)).body;
  const list = async (at = "/v1/integrations") => (await client.read("GET", at)).body;

  test("POST answers as Particle does", async () => {
    const { id, created_at, ...rest } = await create({ ...SIMPLE, name: "Temperature" });
    assert.match(id, /^[0-9a-f]{24}$/);
    assert.ok(Math.abs(Date.now() - Date.parse(created_at)) < 60_000);
    assert.deepEqual(rest, {
      ok: true,
      url: URL_,
      event: "temp",
      name: "Temperature",
      hookUrl: `${worker.url}/v1/webhooks/${id}`,
      status: "active",
    });
  });

  test("a name that is not given is the event's", async () => {
    assert.equal((await create({ ...SIMPLE, event: "nameless" })).name, "nameless");
  });

  test("GET has everything that was sent, in its order, unknown properties too, and secrets masked", async () => {
    const { id } = await create(WHOLE);
    const shown = await client.read("GET", `/v1/integrations/${id}`);
    for (const secret of SECRETS) assert.ok(!shown.text.includes(secret), secret);
    const { id: shownId, created_at, updated_at, status, counts, ...definition } = shown.body;
    assert.deepEqual([shownId, status], [id, "active"]);
    assert.equal(created_at, updated_at);
    assert.deepEqual(definition, {
      ...WHOLE,
      url: `${URL_}/{{device}}?api_key=${MASK}&unit=C`,
      json: { ...WHOLE.json, nested: [{ password: MASK }] },
      query: { token: MASK, page: 1 },
      headers: { Authorization: MASK, "X-Plain": "shown" },
      auth: { username: "user", password: MASK },
      secret: MASK,
    });
    assert.deepEqual(Object.keys(definition), Object.keys(WHOLE));
  });

  test("no secret lies in storage, and none is in the log", async () => {
    await create(WHOLE);
    for (const secret of SECRETS) {
      assert.deepEqual(rowsWith(worker.storage, "Registry", secret), [], secret);
      assert.ok(!worker.logs.some((line) => line.includes(secret)), secret);
    }
    assert.ok(rowsWith(worker.storage, "Registry", "unchunked").length > 0, "the rows were not read");
  });

  test("what GET shows can be PUT back: masks keep their secrets, and the request is the same", async () => {
    const { id } = await create({ ...WHOLE, deviceID: undefined });
    const trial = async () => {
      reset();
      const tried = await client.admin("POST", `/v1/integrations/${id}/test`, {
        event: "temp/1",
        data: '{"t":1}',
      });
      assert.equal(tried.body.ok, true, tried.text);
      const [{ request, body }] = sent;
      return [request.url, request.headers.get("authorization"), JSON.parse(body).nested];
    };
    const before = await trial();
    assert.match(before[0], /api_key=secret-in-url&unit=C&token=secret-in-query/);
    assert.deepEqual(before[2], [{ password: "secret-in-json" }]);
    const shown = await get(id);
    const replaced = await client.admin("PUT", `/v1/integrations/${id}`, shown);
    assert.equal(replaced.status, 200, replaced.text);
    assert.deepEqual([replaced.body.ok, replaced.body.id], [true, id]);
    const { updated_at, ...again } = await get(id);
    const { updated_at: earlier, ...first } = shown;
    assert.deepEqual(again, first);
    assert.ok(updated_at >= earlier);
    assert.deepEqual(await trial(), before);
  });

  test("PUT replaces: what is left out is gone, its secret too", async () => {
    const { id, created_at } = await create(WHOLE);
    await client.admin("PUT", `/v1/integrations/${id}`, { event: "other", url: URL_ });
    const { updated_at, counts, ...shown } = await get(id);
    assert.deepEqual(shown, { id, created_at, status: "active", event: "other", url: URL_ });
    const again = { event: "other", url: URL_, auth: { username: "user", password: MASK } };
    assertProblem(await client.admin("PUT", `/v1/integrations/${id}`, again), 400, { naming: "auth" });
  });

  test("old spellings mean the same, and each is shown once", async () => {
    const { id } = await create({ eventName: "old", url: URL_, deviceid: UNKNOWN, requestType: "post" });
    const { event, eventName, deviceID, deviceid, requestType } = await get(id);
    assert.deepEqual(
      [event, eventName, deviceID, deviceid, requestType],
      ["old", undefined, UNKNOWN, undefined, "POST"],
    );
  });

  test("the list is a bare array in order of creation, a page of it has its next one in Link", async () => {
    const made = [];
    for (const n of numbers(1, 3))
      made.push((await create({ ...SIMPLE, name: `listed ${n}`, requestType: "GET" })).id);
    const whole = await list();
    assert.deepEqual(
      whole.map(({ id }) => id).filter((id) => made.includes(id)),
      made,
    );
    const { created_at, ...line } = whole.find(({ id }) => id === made[0]);
    assert.deepEqual(line, {
      id: made[0],
      event: "temp",
      url: URL_,
      requestType: "GET",
      name: "listed 1",
      status: "active",
    });
    const paged = [];
    for (let path = "/v1/integrations?limit=2"; path;) {
      const page = await client.read("GET", path);
      assert.ok(page.body.length <= 2);
      paged.push(...page.body);
      path = nextLink(page.headers);
    }
    assert.deepEqual(paged, whole);
    assertProblem(await client.read("GET", "/v1/integrations?after=x"), 400, { code: "bad-cursor" });
    assertProblem(await client.read("GET", "/v1/integrations?limit=0"), 400, { naming: "limit" });
  });

  test("/v1/webhooks is the same", async () => {
    const { id } = await create(SIMPLE, "/v1/webhooks");
    assert.equal((await get(id)).event, "temp");
    assert.deepEqual(await list("/v1/webhooks"), await list());
    assert.deepEqual((await client.admin("DELETE", `/v1/webhooks/${id}`)).body, { ok: true });
  });

  test("what is made under a product belongs to it", async () => {
    const { id, product } = await create(SIMPLE, "/v1/products/my-product/webhooks");
    assert.equal(product, "my-product");
    assert.deepEqual(
      (await list("/v1/products/my-product/integrations")).map(({ id }) => id),
      [id],
    );
    assert.equal((await get(id, "/v1/products/my-product/integrations")).product, "my-product");
    for (const at of ["/v1/products/other/integrations", "/v1/products/other/webhooks"]) {
      assert.deepEqual(await list(at), []);
      assertProblem(await client.read("GET", `${at}/${id}`), 404, { code: "unknown-integration" });
      assertProblem(await client.admin("DELETE", `${at}/${id}`), 404, { code: "unknown-integration" });
    }
    assertProblem(await client.read("GET", "/v1/products/a%20b/integrations"), 404);
    await client.admin("PUT", `/v1/integrations/${id}`, SIMPLE);
    assert.equal((await get(id)).product, "my-product");
  });

  test("DELETE answers ok, and then it is unknown", async () => {
    const { id } = await create(SIMPLE);
    const gone = await client.admin("DELETE", `/v1/integrations/${id}`);
    assert.deepEqual([gone.status, gone.body], [200, { ok: true }]);
    for (const [method, suffix] of [
      ["GET", ""],
      ["PUT", ""],
      ["DELETE", ""],
      ["POST", "/test"],
      ["POST", "/pause"],
      ["POST", "/resume"],
      ["POST", "/rotate"],
    ]) {
      const body = method === "PUT" ? SIMPLE : undefined;
      const answer = await client.admin(method, `/v1/integrations/${id}${suffix}`, body);
      assertProblem(answer, 404, { code: "unknown-integration" });
      assert.equal(answer.body.error, "unknown-integration");
      assert.equal(answer.body.error_description, answer.body.detail);
    }
  });

  test("disabled is paused, and stays so until it says otherwise", async () => {
    const { id, status, paused } = await create({ ...SIMPLE, disabled: true });
    assert.deepEqual([status, paused.reason], ["paused", "disabled"]);
    const shown = await get(id);
    assert.deepEqual([shown.disabled, shown.status], [true, "paused"]);
    assert.equal((await list()).find((one) => one.id === id).disabled, true);
    await client.admin("PUT", `/v1/integrations/${id}`, shown);
    assert.deepEqual((await get(id)).paused, paused);
    await client.admin("PUT", `/v1/integrations/${id}`, { ...shown, disabled: false });
    const { status: now, paused: why, disabled } = await get(id);
    assert.deepEqual([now, why, disabled], ["active", undefined, false]);
  });

  test("pause and resume", async () => {
    const { id } = await create(SIMPLE);
    const call = (what, body) => client.admin("POST", `/v1/integrations/${id}/${what}`, body);
    const paused = await call("pause");
    assert.deepEqual([paused.status, paused.body.status, paused.body.disabled], [200, "paused", true]);
    assert.deepEqual((await call("pause")).body, paused.body);
    assert.equal((await call("resume")).body.status, "active");
    assert.equal((await call("resume", { from: "now" })).body.status, "active");
    assertProblem(await call("resume", { from: "yesterday" }), 400, { naming: "from" });
    assertProblem(await call("resume", { since: "now" }), 400, { naming: "since" });
  });

  test("rotate needs a secret to rotate", async () => {
    const { id } = await create(SIMPLE);
    assertProblem(await client.admin("POST", `/v1/integrations/${id}/rotate`), 409, { code: "not-signed" });
  });

  for (const [property, change] of [
    ["event", { event: undefined }],
    ["event", { event: 7 }],
    ["url", { url: undefined }],
    ["url", { url: 7 }],
    ["requestType", { requestType: "PATCH" }],
    ["json", { json: "{{#open}}" }],
    ["json", { json: { deep: ["{{/closed}}"] } }],
    ["body", { body: 7 }],
    ["form", { form: "text" }],
    ["query", { query: "text" }],
    ["headers", { headers: { "not a name": "x" } }],
    ["headers", { headers: { "X-Line": "a\r\nb: c" } }],
    ["auth", { auth: "Basic" }],
    ["noDefaults", { noDefaults: "perhaps" }],
    ["deviceID", { deviceID: 7 }],
    ["disabled", { disabled: "perhaps" }],
    ["responseTemplate", { responseTemplate: "{{#open}}" }],
    ["responseTopic", { responseTopic: 7 }],
    ["respond", { respond: "perhaps" }],
    ["secret", { secret: "whsec_%" }],
    ["replyBudget", { replyBudget: 102_400 }],
    ["replyFraming", { replyFraming: "boxed" }],
    ["auth", { auth: { username: "u", password: MASK } }],
  ]) {
    test(`what cannot work is refused at its property: ${JSON.stringify(change).slice(0, 50)}`, async () => {
      const count = (await list()).length;
      assertProblem(await client.admin("POST", "/v1/integrations", { ...SIMPLE, ...change }), 400, {
        naming: property,
      });
      assert.equal((await list()).length, count);
    });
  }

  for (const url of [
    "http://service.example/",
    "ftp://service.example/",
    "service.example",
    "https://service.example:22/",
    "https://user:password@service.example/",
    "https://{{host}}/",
    "https://service.example{{port}}/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://2130706433/",
    "https://localhost/",
    "https://printer.local/",
  ]) {
    test(`a URL that cannot be called is refused: ${url}`, async () => {
      const refused = await client.admin("POST", "/v1/integrations", { ...SIMPLE, url });
      assertProblem(refused, 400, { code: "bad-url" });
      assert.equal(refused.body.field, "url");
    });
  }

  test("what is no JSON object is no definition", async () => {
    for (const body of ["", "{", "[]", '"x"'])
      assertProblem(await client.admin("POST", "/v1/integrations", body), 400);
    const long = { ...SIMPLE, body: "x".repeat(200_000) };
    assertProblem(await client.admin("POST", "/v1/integrations", long), 400, { code: "bad-definition" });
  });

  test("reading needs the read scope, everything else the admin scope", async () => {
    const { id } = await create(SIMPLE);
    for (const path of ["/v1/integrations", `/v1/integrations/${id}`]) {
      assert.equal((await client.read("GET", path)).status, 200);
      assert.equal(await client.stranger("GET", path), 401);
    }
    for (const [method, suffix] of [
      ["POST", ""],
      ["PUT", `/${id}`],
      ["DELETE", `/${id}`],
      ["POST", `/${id}/test`],
      ["POST", `/${id}/pause`],
      ["POST", `/${id}/resume`],
      ["POST", `/${id}/rotate`],
    ]) {
      assertProblem(await client.read(method, `/v1/integrations${suffix}`, SIMPLE), 403, {
        code: "forbidden",
      });
      assert.equal(await client.stranger(method, `/v1/integrations${suffix}`), 401);
    }
  });

  describe("POST …/test", () => {
    before(reset);

    test("sends a sample now and shows the request and its answer, secrets masked", async () => {
      reset();
      answer = () =>
        new Response('{"you":"said secret-in-header"}', { headers: { "content-type": "application/json" } });
      const { id } = await create({ ...WHOLE, deviceID: undefined });
      const tried = await client.admin("POST", `/v1/integrations/${id}/test`);
      assert.equal(tried.status, 200, tried.text);
      const { ok, status, error, took_ms, request, response } = tried.body;
      assert.deepEqual([ok, status, error], [true, 200, undefined]);
      assert.ok(took_ms >= 0);
      assert.equal(request.method, "POST");
      assert.equal(request.headers["x-plain"], "shown");
      assert.equal(request.headers["authorization"], MASK);
      assert.match(response.body, /you/);
      for (const secret of SECRETS) assert.ok(!tried.text.includes(secret), secret);
      assert.equal(sent.length, 1);
      const [{ request: received }] = sent;
      assert.match(received.headers.get("user-agent"), /^fieldhook\//);
      assert.match(received.headers.get("webhook-signature"), /^v1,/);
      assert.deepEqual(await client.log(UNKNOWN), []);
    });

    test("takes an event as /hook does", async () => {
      reset();
      const { id } = await create({
        ...SIMPLE,
        json: { t: "{{t}}", from: "{{PARTICLE_DEVICE_ID}}" },
        noDefaults: true,
      });
      const event = { event: "temp/in", data: { t: 21.5 }, coreid: "mine" };
      assert.equal((await client.admin("POST", `/v1/integrations/${id}/test`, event)).body.ok, true);
      assert.deepEqual(JSON.parse(sent[0].body), { t: "21.5", from: "mine" });
      assertProblem(
        await client.admin("POST", `/v1/integrations/${id}/test`, { event: "x".repeat(65) }),
        400,
        {
          naming: "event",
        },
      );
    });

    test("tells what went wrong as Particle does", async () => {
      reset();
      const { id } = await create(SIMPLE);
      answer = () => new Response("no such thing", { status: 404 });
      const tried = (await client.admin("POST", `/v1/integrations/${id}/test`)).body;
      assert.deepEqual(
        [tried.ok, tried.status, tried.error, tried.response.body],
        [false, 404, "error status 404 from service.example", "no such thing"],
      );
    });

    test("does not follow a redirect", async () => {
      reset();
      const { id } = await create(SIMPLE);
      answer = () => new Response(null, { status: 302, headers: { location: "https://elsewhere.example/" } });
      const tried = (await client.admin("POST", `/v1/integrations/${id}/test`)).body;
      assert.deepEqual([tried.ok, tried.status, sent.length], [false, 302, 1]);
    });

    test("says why there is no request to send", async () => {
      reset();
      const { id } = await create({ ...SIMPLE, headers: { "X-Data": "{{{PARTICLE_EVENT_VALUE}}}" } });
      const event = { event: "temp", data: "a\r\nx-injected: 1" };
      const tried = (await client.admin("POST", `/v1/integrations/${id}/test`, event)).body;
      assert.equal(tried.ok, false);
      assert.match(tried.error, /^bad-header/);
      assert.equal(sent.length, 0);
    });
  });

  test("our own address is no target", async () => {
    const own = await startWorker({ vars: { ALLOW_PRIVATE_TARGETS: "true" } });
    try {
      const admin = clientOf(own).admin;
      const refused = await admin("POST", "/v1/integrations", { ...SIMPLE, url: `${own.url}/hook` });
      assertProblem(refused, 400, { code: "bad-url" });
      const port = Number(new URL(own.url).port) === 9 ? 10 : 9;
      const made = await admin("POST", "/v1/integrations", { ...SIMPLE, url: `http://127.0.0.1:${port}/` });
      assert.deepEqual([made.status, made.body.insecure], [200, true], made.text);
    } finally {
      await own.stop();
    }
  });
});

test("there are at most 500, and what is changed at once is all kept", async () => {
  const worker = await startWorker();
  try {
    const { admin } = clientOf(worker);
    const made = await Promise.all(numbers(1, 500).map(() => admin("POST", "/v1/integrations", SIMPLE)));
    assert.deepEqual([...new Set(made.map(({ status }) => status))], [200]);
    assertProblem(await admin("POST", "/v1/integrations", SIMPLE), 409, { code: "limit-reached" });
    assert.equal((await admin("GET", "/v1/integrations")).body.length, 500);
    const { id } = made[0].body;
    const change = (n) => admin("PUT", `/v1/integrations/${id}`, { ...SIMPLE, name: `${n}` });
    const changed = await Promise.all([change(1), change(2), admin("POST", `/v1/integrations/${id}/pause`)]);
    assert.deepEqual(
      changed.map(({ status }) => status),
      [200, 200, 200],
    );
    await admin("DELETE", `/v1/integrations/${id}`);
    assert.equal((await admin("POST", "/v1/integrations", SIMPLE)).status, 200);
  } finally {
    await worker.stop();
  }
});

describe("encryption keys", () => {
  const key = (byte) => Buffer.alloc(32, byte).toString("base64");
  const SECRET = { ...SIMPLE, headers: { Authorization: "Bearer kept-secret" } };

  /** Calls `act` with a client of each deployment after the other, all on one storage. */
  async function inTurn(...deployments) {
    const first = await startWorker({ vars: deployments[0].vars });
    try {
      await deployments[0].act(clientOf(first), first);
      await first.release();
      for (const { vars, act } of deployments.slice(1)) {
        const next = await startWorker({ vars, persist: first.storage });
        try {
          await act(clientOf(next), next);
        } finally {
          await next.stop();
        }
      }
    } finally {
      await first.stop();
    }
  }

  test("without one, a definition with secrets is refused, and one without is not", async () => {
    const worker = await startWorker({ vars: { ENCRYPTION_KEYS: undefined } });
    try {
      const { admin } = clientOf(worker);
      const refused = await admin("POST", "/v1/integrations", SECRET);
      assertProblem(refused, 503, { code: "not-configured", naming: "ENCRYPTION_KEYS" });
      assert.equal((await admin("POST", "/v1/integrations", SIMPLE)).status, 200);
      assert.equal((await admin("GET", "/v1/integrations")).body.length, 1);
    } finally {
      await worker.stop();
    }
  });

  test("a key that is none is named at once", async () => {
    const worker = await startWorker({ vars: { ENCRYPTION_KEYS: "short" } });
    try {
      const refused = await clientOf(worker).read("GET", "/v1/devices");
      assertProblem(refused, 503, { code: "not-configured", naming: "ENCRYPTION_KEYS" });
    } finally {
      await worker.stop();
    }
  });

  test("the first seals, all open, and what none opens is shown and says so", async () => {
    let id;
    const tried = async ({ admin }) => admin("POST", `/v1/integrations/${id}/test`);
    const shown = async ({ read }) => (await read("GET", `/v1/integrations/${id}`)).body;
    await inTurn(
      {
        vars: { ENCRYPTION_KEYS: key(1) },
        act: async ({ admin }) => ({ id } = (await admin("POST", "/v1/integrations", SECRET)).body),
      },
      {
        vars: { ENCRYPTION_KEYS: `${key(2)},${key(1)}` },
        act: async (client, worker) => {
          assert.equal((await tried(client)).body.request.headers.authorization, MASK);
          const [before] = rowsWith(worker.storage, "Registry", "v1.");
          await client.admin("PUT", `/v1/integrations/${id}`, await shown(client));
          const [after] = rowsWith(worker.storage, "Registry", "v1.");
          const sealer = (row) => row.match(/"v1\.([0-9a-f]{8})\./)[1];
          assert.notEqual(sealer(after), sealer(before));
        },
      },
      {
        vars: { ENCRYPTION_KEYS: key(2) },
        act: async (client) => assert.ok((await tried(client)).body.request),
      },
      {
        vars: { ENCRYPTION_KEYS: key(3) },
        act: async (client) => {
          assert.equal((await shown(client)).headers.Authorization, MASK);
          const closed = { code: "not-configured", naming: "ENCRYPTION_KEYS" };
          assertProblem(await tried(client), 503, closed);
          const back = await client.admin("PUT", `/v1/integrations/${id}`, await shown(client));
          assertProblem(back, 503, closed);
          const anew = await client.admin("PUT", `/v1/integrations/${id}`, SECRET);
          assert.equal(anew.status, 200, anew.text);
          assert.ok((await tried(client)).body.request);
        },
      },
    );
  });
});
