// What a chart asks for, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { beginOf } from "../../dashboard/pages/device/series.mjs";

test("a chart begins with a device that is younger than it, and is never shorter than a minute", () => {
  const hour = 3_600_000;
  for (const [since, expected] of [
    ["2026-01-01T09:00:00.000Z", "2026-01-01T11:00:00.000Z"],
    ["2026-01-01T11:30:00.000Z", "2026-01-01T11:29:59.000Z"],
    ["2026-01-01T11:59:58.000Z", "2026-01-01T11:59:00.000Z"],
    // The browser's clock may be behind.
    ["2026-01-01T12:05:00.000Z", "2026-01-01T11:59:00.000Z"],
    [null, "2026-01-01T11:00:00.000Z"],
  ])
    assert.equal(beginOf("2026-01-01T12:00:00.000Z", hour, since), expected, since);
});
