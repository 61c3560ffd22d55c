// src/openapi.json as tests read it, and what is wrong with an answer by it.

import { readFileSync } from "node:fs";

/** The document, as it is in the source. */
export const text = readFileSync(new URL("../../src/openapi.json", import.meta.url), "utf8");
export const openapi = JSON.parse(text);

/** A node of the document, or what it refers to. */
export const resolve = (node) =>
  node?.$ref
    ? resolve(
        node.$ref
          .slice(2)
          .split("/")
          .reduce((at, name) => at[name], openapi),
      )
    : node;

/** What is wrong with a value under a schema, in words. A property that is not described is wrong. */
export function faults(schema, value, at = "answer") {
  if (schema.$ref) note(schema.$ref, value);
  const resolved = resolve(schema);
  const found = shapeFaults(resolved, value, at);
  const names = propertyNames(resolved);
  if (names && isObject(value) && resolved.additionalProperties !== true) {
    found.push(
      ...Object.keys(value)
        .filter((name) => !names.has(name))
        .map((name) => `${at}.${name} is not described`),
    );
  }
  return found;
}

/** By reference: the names of the properties that answers had. */
export const shownProperties = new Map();

/** Remembers which properties of a named schema were seen, so that none is described and never sent. */
function note(ref, value) {
  const shown = shownProperties.get(ref) ?? new Set();
  shownProperties.set(ref, shown);
  if (isObject(value)) Object.keys(value).forEach((name) => shown.add(name));
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The properties a schema knows, with those of its parts; undefined where it names none. */
export function propertyNames(schema) {
  const parts = [schema, ...(schema.allOf ?? []).map(resolve)].filter((part) => part.properties);
  return parts.length ? new Set(parts.flatMap((part) => Object.keys(part.properties))) : undefined;
}

function shapeFaults(schema, value, at) {
  const found = [];
  const wrong = (what) => found.push(`${at} ${what}: ${JSON.stringify(value)}`);
  const types = [schema.type ?? []].flat();
  if (types.length && !types.some((type) => isOfType(type, value))) wrong(`is not ${types.join(" or ")}`);
  if ("const" in schema && value !== schema.const) wrong(`is not ${JSON.stringify(schema.const)}`);
  if (schema.enum && !schema.enum.includes(value)) wrong(`is not one of ${schema.enum.join(", ")}`);
  if (schema.minimum !== undefined && value < schema.minimum) wrong(`is below ${schema.minimum}`);
  if (schema.format === "date-time" && typeof value === "string" && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value))
    wrong("is not a time");
  if (schema.pattern && !new RegExp(schema.pattern).test(value)) wrong(`is not ${schema.pattern}`);
  if (isObject(value)) {
    for (const name of schema.required ?? []) if (!(name in value)) wrong(`has no ${name}`);
    for (const [name, part] of Object.entries(schema.properties ?? {})) {
      if (name in value) found.push(...faults(part, value[name], `${at}.${name}`));
    }
    if (isObject(schema.additionalProperties)) {
      for (const [name, part] of Object.entries(value))
        found.push(...faults(schema.additionalProperties, part, `${at}.${name}`));
    }
  }
  if (Array.isArray(value) && schema.items) {
    value.forEach((item, index) => found.push(...faults(schema.items, item, `${at}[${index}]`)));
  }
  for (const part of schema.allOf ?? []) found.push(...shapeFaults(resolve(part), value, at));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    const each = choices.map((choice) => (choice.$ref ? faults : shapeFaults)(choice, value, at));
    if (each.every((list) => list.length)) found.push(...each.sort((a, b) => a.length - b.length)[0]);
  }
  return found;
}

function isOfType(type, value) {
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return isObject(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  return typeof value === type;
}
