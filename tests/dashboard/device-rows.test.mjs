// What the list of devices holds while events come, also from a flood of devices.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Activity, Rows } from "../../dashboard/pages/devices/rows.mjs";

const heard = (coreid, received_at = new Date().toISOString()) => ({
  coreid,
  event: "temp",
  received_at,
  seq: 1,
});
const ids = (count, prefix = "id") =>
  Array.from({ length: count }, (_, n) => `${prefix}-${String(n).padStart(6, "0")}`);

describe("new devices", () => {
  test("are kept up to a bound, and what goes beyond is said", () => {
    const rows = new Rows();
    rows.show({ items: [], next: null }, {}, "");
    for (const id of ids(100)) rows.note(heard(id));
    assert.deepEqual([rows.fresh.size, rows.isOver], [100, false]);
    for (const id of ids(10_000)) rows.note(heard(id));
    assert.deepEqual([rows.fresh.size, rows.isOver], [100, true]);
  });

  test("that no longer belong on a page that was read again are dropped", () => {
    const rows = new Rows();
    rows.show({ items: [], next: null }, {}, "");
    for (const id of ids(200)) rows.note(heard(id));
    const [first, ...others] = ids(50);
    rows.show({ items: others.map((id) => ({ id, events: 1 })), next: "more" }, {}, "");
    assert.deepEqual([...rows.fresh.keys()], [first]);
    assert.equal(rows.isOver, false);
  });
});

describe("the activity of devices", () => {
  test("is counted by parts of time, and null where nothing is known", () => {
    const now = Date.now();
    const at = (minutes) => new Date(now - 60_000 * minutes).toISOString();
    const activity = new Activity();
    activity.begin([heard("a", at(1)), heard("a", at(1)), heard("b", at(30)), heard("a", at(40))], false);
    assert.equal(activity.span, 15 * 60_000);
    assert.equal(activity.of("a", now).total, 2);
    assert.equal(activity.of("b", now).total, 0);
    activity.begin([heard("a", at(1)), heard("a", at(40)), heard("a", at(90))], true);
    assert.equal(activity.span, 60 * 60_000);
    assert.equal(activity.of("a", now).total, 2);
    activity.begin([heard("a", at(1)), heard("a", at(3))], false);
    const { values, total } = activity.of("a", now);
    assert.equal(total, 2);
    assert.equal(values.length, 30);
    assert.equal(values[0], null);
    assert.equal(activity.of("never", now).total, 0);
  });

  test("is forgotten of those that were heard longest ago", () => {
    const activity = new Activity();
    activity.begin([], true);
    activity.note(heard("once"));
    activity.note(heard("kept"));
    for (const id of ids(4_999)) {
      activity.note(heard(id));
      activity.note(heard("kept"));
    }
    assert.equal(activity.of("once").total, 0);
    assert.equal(activity.of("kept").total, 5_000);
  });
});
