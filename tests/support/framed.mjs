// The device's side of a framed reply: joins parts that Particle delivered in any order.
//
// A part is `~`, two characters of tag, index and count in base 36, `|`, then text and, but for the last, NULs.

import assert from "node:assert/strict";

const PART = 512;
const HEADER = 6;

/** As Particle cuts a response: every 512 bytes. */
export function partsOf(body) {
  const parts = [];
  for (let at = 0; at < body.length; at += PART) parts.push(body.subarray(at, at + PART));
  return parts;
}

/** The text of a reply, from its parts in any order. */
export function join(parts) {
  const texts = [];
  for (const part of parts) {
    const [, index, count] =
      /^~[A-Za-z0-9_-]{2}([0-9a-z])([0-9a-z])\|$/.exec(part.subarray(0, HEADER)) ??
      assert.fail(`no header: ${part}`);
    assert.equal(parseInt(count, 36), parts.length);
    texts[parseInt(index, 36)] = part.subarray(HEADER).toString().replaceAll("\0", "");
  }
  assert.equal(texts.filter((text) => text !== undefined).length, parts.length, "each index once");
  return texts.join("");
}

/** The same parts in an order that is never the original one, if there are several. */
export function shuffled(parts) {
  return parts.length < 2
    ? parts
    : [...parts.slice(parts.length / 2), ...parts.slice(0, parts.length / 2).reverse()];
}
