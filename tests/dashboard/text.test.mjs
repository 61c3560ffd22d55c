// What cannot be seen in the text of devices is made visible, and that costs little.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { segments, visibleJson } from "../../dashboard/lib/text.mjs";

const marks = (text, options) => segments(text, options).map((part) => part.mark ?? part);

describe("text", () => {
  test("that can be seen is left as it is", () => {
    for (const text of [
      "",
      "abc",
      "Grüße, 温度 עברית",
      "\u2764\ufe0f \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f469}\u{1f3fd}\u200d\u{1f692} \u{1f3f3}\ufe0f\u200d\u{1f308}",
    ])
      assert.deepEqual(marks(text).join(""), text);
    assert.deepEqual(marks("a\n\tb", { lines: true }), ["a\n\tb"]);
  });

  test("that cannot be seen has a mark for each character", () => {
    for (const code of [
      0x00, 0x1b, 0x7f, 0x85, 0xad, 0x34f, 0x61c, 0x115f, 0x17b4, 0x180b, 0x180e, 0x200b, 0x200d, 0x2028,
      0x202e, 0x2060, 0x2066, 0x2800, 0x3164, 0xd800, 0xfe0f, 0xfeff, 0xffa0, 0xfffb, 0xe0041, 0xe0100,
    ]) {
      const mark = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
      assert.deepEqual(marks(`a${String.fromCodePoint(code)}b`), ["a", mark, "b"]);
      assert.match(visibleJson(`"${String.fromCodePoint(code)}"`), /^"(\\u[0-9a-f]{4})+"$/);
    }
    assert.deepEqual(marks("a\tb\r\n"), ["a", "⇥", "b", "␍", "⏎"]);
    assert.deepEqual(marks("❤\ufe0f\ufe0f"), ["❤\ufe0f", "U+FE0F"]);
  });

  test("has one mark for the same character many times over", () => {
    assert.deepEqual(marks(`a${"\u202e".repeat(60_000)}b`), ["a", "U+202E ×60000", "b"]);
    assert.deepEqual(marks(`${"\u{e0041}".repeat(3)}\u{e0042}\n\n`), ["U+E0041 ×3", "U+E0042", "⏎ ×2"]);
  });
});
