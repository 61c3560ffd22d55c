// Which names stand for a secret, by the same rules as the Worker's (core/src/secret_names.rs), and values without them.

import { isRaw, parse } from "./json.mjs";

export const MASK = "********";

/** A name that ends like this, spelled together or apart, in any case. */
const ENDING = /(token|secret|password|passwd|passphrase|apikey|authorization|cookie)$/;
/** A name that is this and nothing else. */
const WHOLE = /^(pwd|bearer|credentials)$/;
/** What follows one of these is the last word of a name: no letter or digit, or a small letter before a capital. */
const LAST_KEY = /([^A-Za-z0-9]|[a-z0-9](?=K))[Kk][Ee][Yy]$/;

/** Whether a field of this name holds a secret. `key` does as the last of several words only. */
export function isSecretName(name) {
  const together = name.replace(/[^A-Za-z0-9]/g, "").toLowerCase();
  if (ENDING.test(together) || WHOLE.test(together)) return true;
  return together.length > "key".length && LAST_KEY.test(name.slice(0, lengthOf(name)));
}

/** Without the characters at the end that are neither letter nor digit. */
function lengthOf(name) {
  let length = name.length;
  while (length && !/[A-Za-z0-9]/.test(name[length - 1])) length -= 1;
  return length;
}

/** JSON in a text is looked into so deep. */
const NESTED = 4;

/** The same value, with a mask for what stands under the name of a secret, also in texts that are JSON or a form. */
export function masked(value, nested = NESTED) {
  if (typeof value === "string") return nested ? maskedText(value, nested) : value;
  if (Array.isArray(value)) return value.map((inner) => masked(inner, nested));
  if (!value || typeof value !== "object" || isRaw(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, isSecretName(name) ? MASK : masked(inner, nested)]),
  );
}

function maskedText(text, nested) {
  if (/^\s*[[{"]/.test(text)) {
    try {
      const before = parse(text);
      const after = JSON.stringify(masked(before, nested - 1));
      return after === JSON.stringify(before) ? text : after;
    } catch {
      // No JSON, then.
    }
  }
  return text.includes("=") ? text.split("&").map(maskedField).join("&") : text;
}

/** `a=1`, of a form or of a URL's query, as a whole or behind other words. */
function maskedField(field) {
  for (const { 0: name, index } of field.matchAll(/[^=?#\s;,]+/g)) {
    const end = index + name.length;
    if (field[end] === "=" && isSecretName(decoded(name))) return `${field.slice(0, end)}=${MASK}`;
  }
  return field;
}

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
