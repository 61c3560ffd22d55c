// Where there is a bound, what lies beyond it is named or stays reachable; and what half failed is not kept.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf } from "./support/client.mjs";
import { startWorker, TOKEN } from "./support/worker.mjs";

describe("limits", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const post = (body, headers = {}, path = "/hook") =>
    worker.fetch(path, { method: "POST", headers: { authorization: `Bearer ${TOKEN}`, ...headers }, body });

  /** All ids in quarantine, page by page. */
  async function quarantined(limit) {
    const ids = [];
    for (let after = ""; after !== null;) {
      const page = await client.admin("GET", `/v1/quarantine?limit=${limit}${after && `&after=${after}`}`);
      ids.push(...page.body.quarantine.map(({ id }) => id));
      after = page.body.next;
    }
    return ids;
  }

  test("a quarantine of large bodies is listed to its end, whatever the page", async () => {
    const large = "x".repeat(200_000);
    for (let n = 0; n < 12; n++)
      assert.equal((await post(large, { "content-type": "text/plain" })).status, 400);
    for (const limit of [1000, 5, 1])
      assert.equal(new Set(await quarantined(limit)).size, 12, `${limit} a page`);
  });

  test("what was refused for its method or type can be mended", async () => {
    const device = "mended";
    await worker.fetch("/hook", { headers: { authorization: `Bearer ${TOKEN}` } });
    await post("-", { "content-type": "multipart/form-data; boundary=-" });
    const [multipart, get] = (await client.admin("GET", "/v1/quarantine?limit=2")).body.quarantine;
    assert.deepEqual([multipart.code, get.method], ["unsupported-media-type", "GET"]);
    for (const { id } of [get, multipart]) {
      const body = JSON.stringify(anEvent({ coreid: device }));
      const answer = await client.admin("POST", `/v1/quarantine/${id}/replay`, { body });
      assert.equal(answer.status, 200, answer.text);
    }
    assert.equal((await client.log(device)).length, 2);
  });

  test("one event has a bound of its own, also inside a batch", async () => {
    const large = anEvent({ data: "x".repeat(300_001) });
    const small = anEvent({ coreid: "beside-large" });
    assert.equal((await post(JSON.stringify(large), { "content-type": "application/json" })).status, 413);
    const wide = await startWorker({ vars: { MAX_BODY: "1000000" } });
    try {
      const { publish } = clientOf(wide);
      const { refused, accepted } = await (await publish([small, large])).json();
      assert.deepEqual([accepted, refused], [1, [{ index: 1, code: "body-too-large", field: null }]]);
    } finally {
      await wide.stop();
    }
  });

  test("more fields than an event can mean are refused quickly", async () => {
    const fields = Array.from({ length: 2_001 }, (_, n) => `k${n}=1`).join("&");
    const response = await post(fields, { "content-type": "application/x-www-form-urlencoded" });
    assert.equal((await response.json()).code, "bad-body");
  });

  test("a product, version or owner that could not be one is kept as extra", async () => {
    const long = "x".repeat(257);
    await client.accepted(anEvent({ coreid: "odd", product_id: long, userid: [1] }));
    const event = await client.newest("odd");
    assert.deepEqual(event.extra, { product_id: long, userid: [1] });
    assert.ok(!("product_id" in event) && !("userid" in event));
  });

  test("all definitions together have a bound, and what is over it is not stored", async () => {
    const body = "\u0001".repeat(40_000);
    let answer, stored;
    for (stored = 0; stored < 40; stored++) {
      answer = await client.admin("PUT", `/v1/transforms/large-${stored}`, { event: "none", body });
      if (answer.status !== 201) break;
    }
    assertProblem(answer, 409, { code: "limit-reached" });
    assert.equal((await client.read("GET", `/v1/transforms/large-${stored}`)).status, 404);
    await client.accepted(anEvent({ coreid: "after-limit" }));
  });

  test("a device cannot say what is ours to say in a template", async () => {
    await client.define("/v1/sources/due", { responseTemplate: "[{{{FIELDHOOK_DUE}}}]" });
    const data = JSON.stringify({ FIELDHOOK_DUE: "injected" });
    const { text } = await client.accepted(anEvent({ coreid: "due", data }), { to: "/hook/due" });
    assert.equal(text, "[]");
  });
});

test("what fails half-way keeps nothing, and the device is known by its name afterwards", async () => {
  const worker = await startWorker({ build: "inject" });
  try {
    const client = clientOf(worker);
    const good = anEvent({ coreid: "newcomer" });
    const bad = anEvent({ coreid: "newcomer", event: "inject-panic" });
    assert.equal((await client.publish([good, bad])).status, 503);
    assert.equal((await client.read("GET", "/v1/devices/newcomer")).status, 404);
    await client.accepted([good]);
    assert.equal((await client.read("GET", "/v1/devices/newcomer")).body.id, "newcomer");
    assert.deepEqual(
      (await client.log("newcomer")).map(({ seq }) => seq),
      [1],
    );
  } finally {
    await worker.stop();
  }
});

test("a setting that is set but restricts nothing closes the door instead of opening it", async () => {
  for (const vars of [
    { ALLOWED_NETWORKS: "," },
    { ALLOWED_NETWORKS: ["203.0.113.0/24"] },
    { PROOF: ["all"] },
  ]) {
    const worker = await startWorker({ vars });
    try {
      const response = await clientOf(worker).publish(anEvent());
      const problem = await response.json();
      assert.deepEqual(
        [response.status, problem.code, problem.field],
        [503, "not-configured", Object.keys(vars)[0]],
      );
    } finally {
      await worker.stop();
    }
  }
});
