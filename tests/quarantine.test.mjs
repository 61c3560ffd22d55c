// Quarantine: what was authenticated and refused is kept as it came, listed, and taken in after a fix.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers } from "./support/client.mjs";
import { ADMIN, TOKEN, startWorker } from "./support/worker.mjs";

const MAX_BODY = 2_000;
const ENTRIES_MAX = 1_000;
const PARTICLE = { "user-agent": "ParticleBot/1.1 (https://docs.particle.io/webhooks)" };

/** Follows the cursor through all pages; answers each page's entries. */
async function pages(client, limit) {
  const all = [];
  for (let after = ""; after !== null;) {
    const page = await client.admin("GET", `/v1/quarantine?limit=${limit}${after && `&after=${after}`}`);
    assert.equal(page.status, 200, page.text);
    all.push(page.body.quarantine);
    after = page.body.next;
  }
  return all;
}

describe("quarantine", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { MAX_BODY: String(MAX_BODY) } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const newest = async () => (await client.admin("GET", "/v1/quarantine?limit=1")).body.quarantine[0];
  const replay = (entry, body) => client.admin("POST", `/v1/quarantine/${entry.id}/replay`, body && { body });
  /** Publishes what must be refused; answers the entry that was made. */
  async function refused(body, options) {
    const before = (await newest())?.id;
    const response = await client.publish(body, options);
    await response.text();
    assert.ok(response.status === 202 || response.status >= 400, response.status);
    const entry = await newest();
    assert.notEqual(entry?.id, before, "it was kept");
    return entry;
  }
  /** Does something after which no more is in quarantine than before. */
  async function keepsNothing(action) {
    const before = (await newest())?.id;
    await action();
    assert.equal((await newest())?.id, before);
  }

  test("without a refused event the list is empty", async () => {
    assert.deepEqual((await client.admin("GET", "/v1/quarantine")).body, { quarantine: [], next: null });
  });

  for (const [what, body, code, field] of [
    ["broken JSON", '{"event":', "bad-json", undefined],
    ["an event without a name", '{"data":"21.5","coreid":"d1"}', "missing-field", "event"],
    ["a name with a control character", '{"event":"a\\nb"}', "bad-field", "event"],
    ["a device id that cannot be one", '{"event":"t","coreid":"../etc"}', "bad-field", "coreid"],
  ]) {
    test(`${what} is kept with its exact body and the reason`, async () => {
      const response = await client.publish(body, { to: "/hook/kept" });
      const answer = { status: response.status, headers: response.headers, text: await response.text() };
      assertProblem({ ...answer, body: JSON.parse(answer.text) }, 400, { code });
      const entry = await newest();
      assert.deepEqual([entry.body, entry.code, entry.field, entry.source], [body, code, field, "kept"]);
      assert.ok(entry.detail && Math.abs(Date.parse(entry.received_at) - Date.now()) < 5_000);
    });
  }

  test("Particle is told 202 without a body, and the event is kept all the same", async () => {
    const response = await client.publish("{broken", PARTICLE);
    assert.deepEqual([response.status, await response.text()], [202, ""]);
    assert.equal((await newest()).body, "{broken");
  });

  test("the list is newest first, and a cursor leads through it", async () => {
    for (const n of numbers(1, 7)) await refused(`{"data":${n}}`);
    const all = (await pages(client, 1_000)).flat();
    assert.deepEqual(
      all.slice(0, 7).map(({ body }) => body),
      numbers(1, 7)
        .reverse()
        .map((n) => `{"data":${n}}`),
    );
    const paged = await pages(client, 3);
    assert.ok(paged.every((page) => page.length <= 3));
    assert.deepEqual(paged.flat(), all);
  });

  test("it is for the admin scope only", async () => {
    const entry = await refused("{broken");
    for (const [method, path] of [
      ["GET", "/v1/quarantine"],
      ["POST", `/v1/quarantine/${entry.id}/replay`],
    ]) {
      assertProblem(await client.read(method, path), 403);
      assert.equal(await client.stranger(method, path), 401);
    }
    assert.equal((await newest()).id, entry.id);
  });

  test("a mended body is taken in, and the entry is gone", async () => {
    const event = anEvent({ coreid: "mended", data: { t: 1 } });
    const entry = await refused(JSON.stringify(event).slice(0, -1));
    const replayed = await replay(entry, JSON.stringify(event));
    assert.equal(replayed.status, 200, replayed.text);
    const [kept, ...others] = await client.log("mended");
    assert.deepEqual([kept.seq, kept.id, kept.data, others], [1, event.event_id, { t: 1 }, []]);
    assert.notEqual((await newest())?.id, entry.id);
  });

  test("what is still wrong is refused again, and stays", async () => {
    const entry = await refused('{"data":"nameless","coreid":"still-wrong"}');
    assertProblem(await replay(entry), 400, { naming: "event" });
    assertProblem(await replay(entry, "{"), 400);
    assert.equal((await newest()).id, entry.id);
    assert.deepEqual(await client.log("still-wrong"), []);
  });

  test("a replay keeps the event's source, and its reply settings of today apply", async () => {
    const entry = await refused('{"coreid":"sourced","data":"x"}', { to: "/hook/replayed" });
    await client.define("/v1/transforms/replayed", { event: "replayed", body: "transformed" });
    await replay(entry, '{"event":"replayed","coreid":"sourced","data":"x"}');
    const kept = await client.newest("sourced");
    assert.deepEqual([kept.source, kept.data, kept.raw], ["replayed", "transformed", "x"]);
  });

  test("replayed twice, one after the other, it counts once", async () => {
    const entry = await refused('{"coreid":"twice"}');
    const mended = '{"event":"t","coreid":"twice","data":"1"}';
    assert.equal((await replay(entry, mended)).status, 200);
    assertProblem(await replay(entry, mended), 404, { code: "unknown-entry" });
    assert.equal((await client.log("twice")).length, 1);
  });

  test("replayed many times at once it counts once, even without an id of its own", async () => {
    const entry = await refused('{"coreid":"at-once"}');
    const mended = '{"event":"t","coreid":"at-once","data":"1"}';
    const answers = await Promise.all(numbers(1, 10).map(() => replay(entry, mended)));
    for (const { status } of answers) assert.ok([200, 404].includes(status), status);
    assert.equal((await client.log("at-once")).length, 1);
  });

  test("an event that came again by itself is not counted again by a replay", async () => {
    const event = anEvent({ coreid: "came-again" });
    const entry = await refused(JSON.stringify({ ...event, event: "" }));
    await client.accepted(event);
    assert.equal((await replay(entry, JSON.stringify(event))).status, 200);
    assert.equal((await client.log("came-again")).length, 1);
  });

  test("a binary body is kept whole, and can be mended", async () => {
    const binary = Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x00, 0x80]);
    const entry = await refused(binary);
    assert.equal(entry.body_encoding, "base64");
    assert.deepEqual(Buffer.from(entry.body, "base64"), binary);
    assertProblem(await replay(entry), 400);
    assert.equal((await replay(entry, '{"event":"t","coreid":"binary","data":"mended"}')).status, 200);
    assert.equal((await client.newest("binary")).data, "mended");
  });

  test("query and Particle's headers take part in a replay", async () => {
    const options = { to: "/hook?coreid=placed", "x-particle-event-id": "placed-1" };
    const entry = await refused('{"data":"x"', options);
    assert.equal((await replay(entry, '{"event":"t","data":"x"}')).status, 200);
    const kept = await client.newest("placed");
    assert.deepEqual([kept.id, kept.event], ["placed-1", "t"]);
  });

  test("of a batch only the refused items are kept, each by itself", async () => {
    const good = anEvent({ coreid: "batch" });
    const bad = { data: "nameless", coreid: "batch" };
    const response = await client.publish([good, bad, "text"], { to: "/hook/batch" });
    assert.equal(response.status, 200);
    const { accepted, refused: named } = await response.json();
    assert.equal(accepted, 1);
    assert.deepEqual(
      named.map(({ index, code, field }) => [index, code, field ?? null]),
      [
        [1, "missing-field", "event"],
        [2, named[1].code, null],
      ],
    );
    const { quarantine } = (await client.admin("GET", "/v1/quarantine?limit=2")).body;
    assert.deepEqual(quarantine.map(({ body, source }) => [body, source]).reverse(), [
      [JSON.stringify(bad), "batch"],
      ['"text"', "batch"],
    ]);
    assert.equal((await replay(quarantine[1], JSON.stringify({ ...bad, event: "mended" }))).status, 200);
    assert.deepEqual(
      (await client.log("batch")).map(({ seq, event }) => [seq, event]),
      [
        [1, "temp"],
        [2, "mended"],
      ],
    );
  });

  test("what was not authenticated is not kept", async () => {
    await keepsNothing(async () => {
      for (const token of ["", "wrong"])
        assert.equal((await client.publish("{broken", { token })).status, 401);
    });
  });

  test("a body over MAX_BODY is 413 and not kept", async () => {
    await keepsNothing(async () => {
      const response = await client.publish(anEvent({ data: "x".repeat(MAX_BODY) }));
      assert.equal(response.status, 413);
    });
  });

  test("an event that is taken in is not kept here", async () => {
    await keepsNothing(() => client.accepted(anEvent()));
  });

  test("an entry that is not there is 404, a cursor that is none 400", async () => {
    for (const id of ["1", "nothing", "1700000000000-0-999999"]) {
      assertProblem(await client.admin("POST", `/v1/quarantine/${id}/replay`), 404, {
        code: "unknown-entry",
      });
    }
    assertProblem(await client.admin("GET", "/v1/quarantine?after=nothing"), 400, { naming: "after" });
    assertProblem(await client.admin("GET", "/v1/quarantine?limit=0"), 400, { naming: "limit" });
  });

  test("entries outlast a restart", async () => {
    const entry = await refused('{"coreid":"outlasting"}');
    await worker.restart();
    assert.equal((await newest()).id, entry.id);
    assert.equal((await replay(entry, '{"event":"t","coreid":"outlasting"}')).status, 200);
  });

  test("no token and no signature reaches the disk", async () => {
    const own = "a-token-that-only-this-source-has";
    await client.define("/v1/sources/secretive", { tokens: [own] });
    await refused("{broken", {
      to: `/hook/secretive?access_token=${own}`,
      token: own,
      "x-fieldhook-token": own,
    });
    await refused("{broken", { "x-hub-signature-256": `sha256=${"ab".repeat(32)}` });
    await client.accepted(anEvent({ token: own, coreid: "secretive" }), {
      to: `/hook/secretive?token=${own}`,
      token: own,
    });
    const stored = contentsOf(worker.storage);
    assert.ok(
      stored.some((file) => file.includes("{broken")),
      "the storage is what is searched",
    );
    for (const secret of [own, TOKEN, ADMIN, "ab".repeat(32)]) {
      assert.ok(
        stored.every((file) => !file.includes(secret)),
        secret,
      );
    }
  });

  test(`the newest ${ENTRIES_MAX} are kept`, async () => {
    for (const [from, to] of [
      [1, 300],
      [301, 600],
      [601, 900],
      [901, ENTRIES_MAX + 5],
    ]) {
      assert.equal((await client.publish(numbers(from, to), { to: "/hook/flood" })).status, 400);
    }
    const bodies = (await pages(client, 1_000)).flat().map(({ body }) => Number(body));
    assert.deepEqual(bodies, numbers(6, ENTRIES_MAX + 5).reverse());
  });
});

describe("quarantine over three shards", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { FLEET_SHARDS: "3" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  test("all shards are one list, newest first, page by page", async () => {
    const sent = [];
    for (const n of numbers(1, 24)) {
      sent.push(`{"n":${n}}`);
      const response = await client.publish(sent.at(-1), { to: `/hook/source-${n}` });
      assert.equal(response.status, 400);
      await response.text();
    }
    const whole = (await pages(client, 1_000)).flat();
    const paged = await pages(client, 5);
    assert.deepEqual(paged.flat(), whole);
    assert.deepEqual(
      paged.map((page) => page.length),
      [5, 5, 5, 5, 4],
    );
    assert.deepEqual(whole.map(({ body }) => body).sort(), [...sent].sort());
    const times = whole.map(({ received_at }) => received_at);
    assert.deepEqual(times, [...times].sort().reverse());
    assert.ok(fleetObjects(worker.storage) >= 3, "several shards have entries");
  });

  test("an entry of any shard can be replayed", async () => {
    const entries = (await pages(client, 1_000)).flat();
    for (const [index, entry] of entries.entries()) {
      const event = anEvent({ coreid: `replayed-${index}` });
      const { status, text } = await client.admin("POST", `/v1/quarantine/${entry.id}/replay`, {
        body: JSON.stringify(event),
      });
      assert.equal(status, 200, text);
      assert.equal((await client.newest(`replayed-${index}`)).source, entry.source);
    }
    assert.deepEqual((await pages(client, 1_000)).flat(), []);
  });

  test("entries of the same moment, in all shards, are neither lost nor repeated between pages", async () => {
    const sources = numbers(1, 30).map((n) => `crowd-${n}`);
    await Promise.all(
      sources.map(async (source) => (await client.publish("{broken", { to: `/hook/${source}` })).text()),
    );
    for (const limit of [1, 4, 7]) {
      const seen = (await pages(client, limit)).flat().map(({ source }) => source);
      assert.deepEqual([...seen].sort(), [...sources].sort());
    }
  });
});

/** Every file of the storage, as bytes. */
function contentsOf(storage) {
  const files = readdirSync(storage, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files.map((file) => readFileSync(join(file.parentPath, file.name)));
}

function fleetObjects(storage) {
  const names = readdirSync(join(storage, "do", "fieldhook-Fleet"));
  return names.filter((name) => name.endsWith(".sqlite") && !name.startsWith("metadata")).length;
}
