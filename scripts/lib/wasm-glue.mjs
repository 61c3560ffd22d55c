// Unwraps what wasm-bindgen puts around each import of a module that may unwind: an inner function called by `apply`
// with `arguments`, through one more function that turns what it throws into an exception that Rust can catch. The same
// is said here with a `try` in the function itself, which is what the engine is good at. An event comes through some
// forty imports.

import { readFileSync, writeFileSync } from "node:fs";

const CATCHER =
  /function ([\w$]+)\(([\w$]+),([\w$]+)\)\{try\{return \2\.apply\(this,\3\)\}catch\(([\w$]+)\)\{(throw [^}]*\{traceStack:!0\}\))\}\}/;

/** Rewrites the JavaScript beside the wasm. Throws where it is not what this knows, as after an upgrade. */
export function unwrapGlue(path) {
  writeFileSync(path, unwrapped(readFileSync(path, "utf8")));
}

/**
 * ```js
 * f:function(){return a(function(x){return!x},arguments)}
 * f:function(x){try{return!x}catch(t){throw …}}
 * ```
 */
export function unwrapped(text) {
  const [, name, , , thrown, rethrow] = CATCHER.exec(text) ?? [];
  if (!name)
    throw new Error("the glue has no function that catches for its imports, or another than expected");
  const opening = new RegExp(`function\\(\\)\\{return ${escaped(name)}\\(function\\(([^)]*)\\)\\{`, "g");
  const tag = new RegExp(`(?<![\\w$.])${escaped(/Exception\(([\w$]+),/.exec(rethrow)?.[1] ?? "")}(?![\\w$])`);
  if (text.match(new RegExp(`${tag.source}=`, "g"))?.length > 1)
    throw new Error("the tag's name is given twice, so an import may see the other");
  const parts = [];
  let at = 0;
  for (let match; (match = opening.exec(text));) {
    const end = endOfBlock(text, opening.lastIndex);
    if (!text.startsWith("},arguments)}", end))
      throw new Error(`an import that is wrapped otherwise, at ${end}`);
    const body = text.slice(opening.lastIndex, end);
    if (tag.test(match[1] + body)) throw new Error("an import has a variable of the name of the tag");
    parts.push(
      text.slice(at, match.index),
      `function(${match[1]}){try{${body}}catch(${thrown}){${rethrow}}}`,
    );
    at = opening.lastIndex = end + "},arguments)}".length;
  }
  if (parts.length === 0) throw new Error("the glue wraps no import");
  return parts.join("") + text.slice(at);
}

/** A name as it stands in a regular expression. */
function escaped(name) {
  return name.replaceAll("$", "\\$");
}

/** Where the block ends whose inside begins at `at`. Texts are passed over; the glue has no regular expressions. */
function endOfBlock(text, at) {
  for (let depth = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === '"' || sign === "'" || sign === "`") at = endOfText(text, at);
    else if (sign === "{") depth++;
    else if (sign === "}" && depth-- === 0) return at;
  }
  throw new Error("a block of the glue has no end");
}

function endOfText(text, start) {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === text[start]) return at;
  }
  throw new Error("a text of the glue has no end");
}
