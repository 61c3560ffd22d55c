// Which numbers of a log are offered as a chart, whatever devices send.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fieldsOf } from "../../dashboard/pages/device/series.mjs";

const nested = (...sizes) => {
  const [size, ...inner] = sizes;
  return size === undefined ? 7 : Array.from({ length: size }, () => nested(...inner));
};

describe("the fields of a chart", () => {
  test("are those of the log, the most frequent first", () => {
    const events = [{ data: { a: 1, b: { c: ["2.5"] } } }, { data: { b: { c: [3] }, _v: 4, word: "x" } }];
    assert.deepEqual(fieldsOf(events), ["b.c.0", "a"]);
    assert.deepEqual(fieldsOf([{ data: "21.5" }]), ["$"]);
    assert.deepEqual(fieldsOf([]), []);
  });

  test("stay few, and no path is without end", () => {
    assert.equal(fieldsOf([{ data: nested(20, 20, 20, 11) }]).length, 200);
    const others = Array.from({ length: 50 }, (_, index) => ({
      data: Object.fromEntries(Array.from({ length: 20 }, (_, key) => [`k${index}-${key}`, 1])),
    }));
    assert.equal(fieldsOf(others).length, 200);
    assert.deepEqual(fieldsOf([{ data: { ["x".repeat(5_000)]: 1, short: 1 } }]), ["short"]);
  });

  test("are looked for in the first of an event's values only", () => {
    let read = 0;
    const value = {
      get value() {
        return (read += 1) && "word";
      },
    };
    const data = Array.from({ length: 20 }, () => Array.from({ length: 20 }, () => Array(20).fill(value)));
    assert.deepEqual(fieldsOf([{ data }]), []);
    assert.ok(read > 0 && read <= 2_000, `${read} values were read`);
  });
});
