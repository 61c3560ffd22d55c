// What the overview says first, decided from what the API told: no browser is needed for that.

import assert from "node:assert/strict";
import { test } from "node:test";

// The address bar, which the module that makes links reads when it is loaded.
Object.assign(globalThis, { location: { hash: "" }, addEventListener() {} });
const { attention } = await import("../../dashboard/pages/overview/attention.mjs");

const entries = (count, received_at) => Array.from({ length: count }, () => ({ received_at }));

/** What is said of requests that were refused and not kept. */
function refusals(refused, { today = 0, before = 0 } = {}) {
  const now = new Date().toISOString();
  const stats = {
    days: [{ day: now.slice(0, 10), events: 9, duplicates: 0, refused, limited: 0, errors: 0 }],
    devices: { known: 1, online: 1 },
  };
  const quarantine = [...entries(today, now), ...entries(before, "2026-01-02T03:04:05.678Z")];
  return attention({ stats, quarantine }).filter(({ text }) => /refused today/.test(text));
}

test("requests that were refused today and not kept are told, whatever was kept on other days", () => {
  const [{ text, to }] = refusals(40, { before: 50 });
  assert.match(text, /^40 requests were refused today: a wrong token/);
  assert.equal(to, "#/setup");
  assert.equal(refusals(40, { today: 39, before: 50 }).length, 1);
});

test("what is in quarantine is not told as refused once more", () => {
  assert.deepEqual(refusals(40, { today: 40 }), []);
  assert.deepEqual(refusals(400, { today: 100 }), [], "a full page may not be all");
});
