// How the build rewrites what wasm-bindgen makes: scripts/lib/wasm-glue.mjs by itself.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { unwrapped } from "../scripts/lib/wasm-glue.mjs";

const CATCHER =
  "function a(o,e){try{return o.apply(this,e)}catch(t){throw t instanceof WebAssembly.Exception?t:" +
  "new WebAssembly.Exception(V,[t],{traceStack:!0})}}";

test("an import catches by itself, and does what it did", () => {
  const imports = "({f:function(){return a(function(x,y){if(x){return`}${y}`+'}'}return{y}},arguments)}})";
  const after = unwrapped(`${CATCHER};const all=${imports};all`);
  assert.ok(!after.includes("arguments"));
  const { f } = (0, eval)(after);
  assert.deepEqual([f(1, 2), f(0, 3)], ["}2}", { y: 3 }]);
});

test("what it throws becomes an exception that Rust can catch, once", () => {
  const tag = new WebAssembly.Tag({ parameters: ["externref"] });
  const wrapped = `${CATCHER};({f:function(){return a(function(error){throw error},arguments)}})`;
  const { f } = new Function("V", `${unwrapped(wrapped).replace(";(", ";return(")}`)(tag);
  const error = new Error("of JavaScript");
  const caught = (thrown) => {
    try {
      f(thrown);
    } catch (exception) {
      return exception;
    }
  };
  const exception = caught(error);
  assert.ok(exception instanceof WebAssembly.Exception && exception.getArg(tag, 0) === error);
  assert.equal(caught(exception), exception);
});

test("glue that is not as expected is an error, not a Worker that catches nothing", () => {
  const { throws } = assert;
  throws(() => unwrapped("function a(o,e){return o.apply(this,e)}"), /no function that catches/);
  throws(() => unwrapped(CATCHER), /wraps no import/);
  throws(
    () => unwrapped(`${CATCHER};({f:function(){return a(function(x){},arguments,1)}})`),
    /wrapped otherwise/,
  );
  throws(
    () => unwrapped(`${CATCHER};({f:function(){return a(function(V){},arguments)}})`),
    /name of the tag/,
  );
  throws(() => unwrapped(`let V=1;${CATCHER};function f(){let V=2}`), /given twice/);
});

test("nothing in the built Worker is wrapped any more", () => {
  const glue = readFileSync(new URL("../build/index.js", import.meta.url), "utf8");
  assert.ok(!glue.includes("arguments"));
  assert.ok(glue.includes("WebAssembly.Exception("));
});
