// JSON that keeps the digits it came with: 21.50 stays 21.50, and so does a number that no double can hold.

/** As JSON.parse; a number that would be written otherwise than it stands is kept as `JSON.rawJSON`. */
export function parse(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source
      ? JSON.rawJSON(context.source)
      : value,
  );
}

/** A number that is kept as it was written. */
export const isRaw = (value) => JSON.isRawJSON?.(value) ?? false;

/** As a number, for charts. */
export const toNumber = (value) => Number(isRaw(value) ? value.rawJSON : value);

/** A value in one line, or indented; strings as they are unless `quoted`. */
export function show(value, { indent, quoted = false } = {}) {
  if (typeof value === "string" && !quoted) return value;
  return value === undefined ? "" : JSON.stringify(value, null, indent);
}
