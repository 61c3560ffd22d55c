// What the live tail holds, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { entry, Tail } from "../../dashboard/lib/tail.mjs";
import { numbers } from "../support/client.mjs";

const entries = (from, to) =>
  numbers(from, to).map((seq) => {
    const event = { event: "temp", coreid: "one", seq, cursor: `c-${seq}`, data: `n-${seq}` };
    return entry({ event, line: JSON.stringify(event) });
  });
const shown = (tail) => tail.shown.map(({ seq }) => seq);

test("what came while paused outlasts a clear, and is shown when it goes on", () => {
  const tail = new Tail();
  tail.push(entries(1, 2));
  tail.pause(true);
  tail.push(entries(3, 5));
  tail.clear();
  assert.deepEqual([shown(tail), tail.heldCount], [[], 3]);
  assert.equal(tail.pause(false), 3);
  assert.deepEqual([shown(tail), tail.heldCount], [[3, 4, 5], 0]);
});

test("begun anew it shows the past once, with what was held among it, and stays paused", () => {
  const tail = new Tail();
  tail.pause(true);
  tail.push(entries(3, 5));
  tail.begin(entries(1, 5));
  assert.deepEqual([shown(tail), tail.heldCount, tail.paused], [[1, 2, 3, 4, 5], 0, true]);
  tail.push(entries(6, 6));
  assert.deepEqual([shown(tail), tail.heldCount], [[1, 2, 3, 4, 5], 1]);
});
