// Sections of a twin as values: their leaves, merge patches (RFC 7396), and what is wrong with a text. No DOM in here.

import { isRaw, parse, toNumber } from "../../lib/json.mjs";

const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isRaw(value);
const text = (value) => JSON.stringify(value);
const isNumber = (value) => typeof value === "number" || isRaw(value);

/** The same to the API: digits do not matter there. */
const isSame = (a, b) => text(a) === text(b) || (isNumber(a) && isNumber(b) && toNumber(a) === toNumber(b));

/** The patch that makes `to` of `from`. */
export function patchOf(from, to) {
  const patch = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) put(patch, key, null);
  for (const [key, value] of Object.entries(to)) {
    const old = Object.hasOwn(from, key) ? from[key] : undefined;
    if (isSame(old, value)) continue;
    const inner = isObject(old) && isObject(value) ? patchOf(old, value) : value;
    if (inner === value || Object.keys(inner).length) put(patch, key, inner);
  }
  return patch;
}

/** What a patch makes of a value. */
export function merged(value, patch) {
  if (!isObject(patch)) return patch;
  const result = isObject(value) ? { ...value } : {};
  for (const [key, inner] of Object.entries(patch)) {
    if (inner === null) delete result[key];
    else put(result, key, merged(Object.hasOwn(result, key) ? result[key] : undefined, inner));
  }
  return result;
}

/** As `object[key] = value`, also for `__proto__`. */
const put = (object, key, value) =>
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });

/** Leaves by their JSON Pointer; an array is one, since it is compared whole. */
export function leaves(section, path = [], found = new Map()) {
  for (const [key, value] of Object.entries(section)) {
    const inner = [...path, key];
    if (isObject(value) && Object.keys(value).length) leaves(value, inner, found);
    else found.set(pointer(inner), { path: inner, value });
  }
  return found;
}

const pointer = (path) => path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

const RANKS = ["undeliverable", "due", "differs", "same", "reported"];

/** Both sections leaf by leaf, what is not yet so first: `{ pointer, path, desired, reported, state }`. */
export function compared({ desired, reported, delta, undeliverable = [] }) {
  const [wanted, said, due] = [desired, reported, delta].map((section) => leaves(section));
  const rows = [...new Map([...wanted, ...due, ...said])].map(([at, { path }]) => {
    const row = { pointer: at, path, desired: wanted.get(at)?.value, reported: said.get(at)?.value };
    return { ...row, removed: due.get(at)?.value === null, state: stateOf(row) };
  });
  function stateOf({ pointer: at, desired: want, reported: is }) {
    if (due.has(at)) return undeliverable.includes(at) ? "undeliverable" : "due";
    if (!wanted.has(at)) return "reported";
    return said.has(at) && isSame(want, is) ? "same" : "differs";
  }
  return rows.sort((a, b) => RANKS.indexOf(a.state) - RANKS.indexOf(b.state));
}

/** Reads JSON that is being typed: `{ value }`, or `{ error }` in words. Nothing typed is no value. */
export function typed(json, { object = false } = {}) {
  if (!json.trim() && !object) return {};
  try {
    const value = parse(json);
    if (object && !isObject(value)) return { error: "The section is a JSON object: { … }" };
    const own = object && ["_v", "_ack"].find((key) => Object.hasOwn(value, key));
    return own ? { error: `${own} is no key of a section: it is how a device reports` } : { value };
  } catch (error) {
    return { error: error.message.replace(/^JSON\.parse: /, "") };
  }
}
