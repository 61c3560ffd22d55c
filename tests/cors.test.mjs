// Browsers: a page of any origin may call /v1 with a token that it knows, and read what is answered.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf } from "./support/client.mjs";
import { READ, startWorker } from "./support/worker.mjs";

const ORIGIN = "https://dashboard.example";

describe("a page of another origin", () => {
  let worker;
  before(async () => {
    worker = await startWorker();
    await clientOf(worker).accepted([1, 2].map(() => anEvent({ coreid: "device" })));
  });
  after(() => worker.stop());

  const preflight = (path, method, headers = {}) =>
    worker.fetch(path, {
      method: "OPTIONS",
      headers: { origin: ORIGIN, "access-control-request-method": method, ...headers },
    });
  const listed = (answer, name) => answer.headers.get(name).toLowerCase().split(", ");

  for (const [method, path, headers] of [
    ["GET", "/v1/devices", "authorization"],
    ["PATCH", "/v1/devices/device/twin", "authorization, content-type, if-match"],
    ["DELETE", "/v1/devices/device", "authorization"],
    ["POST", "/v1/devices/events", "authorization,content-type"],
    ["GET", "/v1/events/temp", "authorization, last-event-id"],
    ["PUT", "/v1/sources/s", "x-fieldhook-token"],
  ]) {
    test(`may ${method} ${path}, and is told so without a token`, async () => {
      const answer = await preflight(path, method, { "access-control-request-headers": headers });
      assert.deepEqual([answer.status, await answer.text()], [204, ""]);
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
      assert.ok(listed(answer, "access-control-allow-methods").includes(method.toLowerCase()));
      const allowed = listed(answer, "access-control-allow-headers");
      for (const name of headers.split(/, ?/)) assert.ok(allowed.includes(name), name);
    });
  }

  test("reads answers, errors among them, and the headers that matter", async () => {
    const authorization = `Bearer ${READ}`;
    for (const [path, init, status] of [
      ["/v1/devices/device", { headers: { authorization } }, 200],
      ["/v1/devices/device/history?limit=1", { headers: { authorization } }, 200],
      ["/v1/devices/device/history?format=csv", { headers: { authorization } }, 200],
      ["/v1/devices/device", { headers: {} }, 401],
      ["/v1/devices/device", { method: "DELETE", headers: { authorization } }, 403],
      ["/v1/nothing", { headers: { authorization } }, 404],
    ]) {
      const answer = await worker.fetch(path, { ...init, headers: { ...init.headers, origin: ORIGIN } });
      await answer.text();
      assert.equal(answer.status, status, path);
      assert.equal(answer.headers.get("access-control-allow-origin"), "*", path);
      for (const name of ["etag", "link", "retry-after"])
        assert.ok(listed(answer, "access-control-expose-headers").includes(name), name);
    }
  });

  test("never uses credentials of the browser's own", async () => {
    for (const answer of [await preflight("/v1/devices", "GET"), await worker.fetch("/v1/devices")])
      assert.equal(answer.headers.get("access-control-allow-credentials"), null);
  });

  test("cannot call /hook: devices do not run in pages", async () => {
    const answer = await preflight("/hook", "POST");
    assert.deepEqual([answer.status, answer.headers.get("access-control-allow-origin")], [405, null]);
  });

  test("an OPTIONS that is no preflight is 405 as before", async () => {
    const answer = await worker.fetch("/v1/devices", { method: "OPTIONS" });
    assert.equal(answer.status, 405);
  });
});
