// What an event does not need may fail: KV, and for a while the Registry.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { anEvent, clientOf } from "./support/client.mjs";
import { ADMIN, startWorker } from "./support/worker.mjs";

const FAULTY = fileURLToPath(new URL("support/faulty.mjs", import.meta.url));
/** Longer than an isolate keeps a snapshot without asking again. */
const STALE_MS = 10_500;

let worker, client;
before(async () => {
  worker = await startWorker({ entry: FAULTY });
  client = clientOf(worker);
});
after(() => worker.stop());

const fail = (...names) => worker.fetch("/__fail", { method: "PUT", body: JSON.stringify(names) });
const failedPuts = async () => (await (await worker.fetch("/healthz")).json()).kv_put_failures;

test("a KV put that fails is counted and is no error; the object still knows the repeat", async () => {
  await fail("KV.put");
  const event = anEvent({ coreid: "kv-fails" });
  const before = await failedPuts();
  assert.equal((await client.publish(event)).status, 204);
  for (let tries = 0; (await failedPuts()) === before && tries < 50; tries++) await sleep(20);
  assert.equal(await failedPuts(), before + 1);
  assert.equal((await client.publish(event)).headers.get("fieldhook-duplicate"), "true");
  await fail();
});

test("a refresh that fails keeps the old configuration, and the next one that succeeds brings the new", async () => {
  const put = (responseTemplate) =>
    worker.fetch("/v1/sources/kept", {
      method: "PUT",
      headers: { authorization: `Bearer ${ADMIN}` },
      body: JSON.stringify({ responseTemplate }),
    });
  const replyNow = async () =>
    (await client.publish(anEvent({ coreid: "kept" }), { to: "/hook/kept" })).text();
  assert.equal((await put("old")).status, 201);
  assert.equal(await replyNow(), "old");
  await fail("REGISTRY.snapshot");
  // It is stored, though this isolate could not be told.
  assert.equal((await put("new")).status, 200);
  assert.equal(await replyNow(), "old");
  await sleep(STALE_MS);
  assert.equal(await replyNow(), "old");
  await fail();
  for (let tries = 0; (await replyNow()) === "old" && tries < 50; tries++) await sleep(100);
  assert.equal(await replyNow(), "new");
});
