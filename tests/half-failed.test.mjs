// What an object writes in one call is kept together or not at all: a statement that fails takes back those before it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { anEvent, assertProblem, clientOf } from "./support/client.mjs";
import { startWorker } from "./support/worker.mjs";

const BREAKING = fileURLToPath(new URL("support/breaking.mjs", import.meta.url));

describe("a write that fails half-way", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ entry: BREAKING });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const breaks = (text) => worker.fetch("/__break", { method: "PUT", body: text });
  const twin = (method, id, body) => client.admin(method, `/v1/devices/${id}/twin`, body);
  const commands = (method, id, body) => client.admin(method, `/v1/devices/${id}/commands`, body);

  /** Asserts that `work` is told 503 while statements with that text fail. */
  async function failing(text, work) {
    await breaks(text);
    const answer = await work();
    await breaks("");
    assertProblem(answer, 503, { code: "unavailable" });
    assert.ok(Number(answer.headers.get("retry-after")) > 0);
  }

  async function published(batch) {
    const response = await client.publish(batch);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
  }

  const quarantined = async () =>
    (await client.admin("GET", "/v1/quarantine")).body.quarantine.map(({ body }) => body);

  test("keeps none of a batch's refused events, and the next ones are kept as ever", async () => {
    const batch = [{ data: "first" }, { data: "second" }, { data: "third" }];
    await failing("second", () => published(batch));
    assert.deepEqual(await quarantined(), []);
    assert.equal((await client.publish({ data: "alone" })).status, 400);
    assert.equal((await client.publish(batch)).status, 400);
    assert.deepEqual(
      (await quarantined()).map((body) => JSON.parse(body).data),
      ["third", "second", "first", "alone"],
    );
  });

  test("keeps nothing of a twin that would have made its device", async () => {
    await failing("INTO state", () => twin("PATCH", "new", { a: 1 }));
    assertProblem(await twin("GET", "new"), 404, { code: "unknown-device" });
    const { headers, body } = await twin("PATCH", "new", { b: 2 });
    assert.deepEqual([headers.get("etag"), body.desired], ['"1"', { b: 2 }]);
  });

  test("leaves a twin and its ETag as they were, in memory too", async () => {
    await twin("PATCH", "known", { a: 1 });
    await failing("INTO dialogue", () => twin("PUT", "known", { a: 2 }));
    const { headers, body } = await twin("GET", "known");
    assert.deepEqual([headers.get("etag"), body.desired], ['"1"', { a: 1 }]);
    assert.deepEqual(JSON.parse((await client.accepted(anEvent({ coreid: "known" }))).text).d, { a: 1 });
  });

  test("keeps nothing of commands that would have made their device, and gives their ids again", async () => {
    await failing("INTO state", () => commands("PUT", "ordered", [{ name: "a" }, { name: "b" }]));
    assertProblem(await commands("GET", "ordered"), 404, { code: "unknown-device" });
    assert.equal((await commands("POST", "ordered", { name: "c" })).body.id, 1);
  });

  test("does not define a source, and the next definition is made", async () => {
    const put = (responseTemplate) => client.admin("PUT", "/v1/sources/half", { responseTemplate });
    await failing("UPDATE version", () => put("one"));
    assertProblem(await client.admin("GET", "/v1/sources/half"), 404, { code: "unknown-source" });
    assert.equal((await put("two")).status, 201);
    await failing("UPDATE version", () => client.admin("DELETE", "/v1/sources/half"));
    assert.equal((await client.admin("GET", "/v1/sources/half")).body.responseTemplate, "two");
  });

  test("a refusal is told by its code, and the object knows afterwards what it knew", async () => {
    await twin("PATCH", "refused", { a: 1 });
    for (const body of ["[]", { big: "x".repeat(9_000) }])
      assert.ok((await twin("PATCH", "refused", body)).status < 500);
    assertProblem(await commands("POST", "refused", { name: "" }), 400, { code: "bad-field" });
    assertProblem(await twin("PATCH", "never", "[]"), 400, { code: "bad-patch" });
    assertProblem(await twin("GET", "never"), 404, { code: "unknown-device" });
    assert.equal((await twin("PATCH", "never", { a: 1 })).headers.get("etag"), '"1"');
    assert.deepEqual((await twin("PATCH", "refused", { b: 2 })).body.desired, { a: 1, b: 2 });
  });
});
