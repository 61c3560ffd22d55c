// The dashboard's files: served by the platform in front of the Worker, as they are, with strict headers.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { filesOf, SITE, specifiers, withPaths } from "../scripts/lib/dashboard.mjs";
import { anEvent, clientOf } from "./support/client.mjs";
import { COUNTED, startWorker } from "./support/worker.mjs";

/** What a page may load before it draws a chart: all that it imports, and what every page has. */
const MOST_GZIPPED = 60 * 1024;

let worker;
let client;
before(async () => {
  worker = await startWorker({ site: true, entry: COUNTED });
  client = clientOf(worker);
});
after(() => worker.stop());

const text = (path) => readFileSync(join(SITE, path), "utf8");
const modules = () => filesOf(SITE).filter((path) => path.endsWith(".mjs"));
const styles = () => filesOf(SITE).filter((path) => /^style\/.*\.css$/.test(path));

describe("a file", () => {
  test("comes without a call of the Worker, whichever it is", async () => {
    await worker.fetch("/__counts", { method: "DELETE" });
    for (const path of ["/", "/vendor/preact/preact.mjs", "/particle/integration.json"]) {
      assert.equal((await worker.fetch(path)).status, 200, path);
    }
    const { requests } = await (await worker.fetch("/__counts")).json();
    assert.equal(requests, 0);
    await worker.fetch("/healthz");
    assert.equal((await (await worker.fetch("/__counts")).json()).requests, 1, "and calls are counted");
  });

  test("may run no script and reach no host but its own", async () => {
    for (const path of ["/", ...modules().map((path) => `/${path}`)]) {
      const { headers } = await worker.fetch(path);
      const policy = new Map(
        headers
          .get("content-security-policy")
          .split(";")
          .map((rule) => rule.trim().split(" "))
          .map(([name, ...values]) => [name, values.join(" ")]),
      );
      assert.equal(policy.get("default-src"), "'none'", path);
      for (const own of ["script-src", "style-src", "connect-src"]) assert.equal(policy.get(own), "'self'");
      for (const none of ["base-uri", "form-action", "frame-ancestors"]) {
        assert.equal(policy.get(none), "'none'");
      }
      assert.doesNotMatch([...policy.values()].join(" "), /unsafe|\*|http/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("referrer-policy"), "no-referrer");
      assert.equal(headers.get("cross-origin-opener-policy"), "same-origin");
    }
  });

  test("has the type that a browser asks of it", async () => {
    for (const [path, type] of [
      ["/", /^text\/html/],
      ["/vendor/htm/htm.mjs", /^text\/javascript/],
      ["/vendor/uplot/uplot.css", /^text\/css/],
      ["/particle/integration.json", /^application\/json/],
      ["/vendor/htm/LICENSE.txt", /^text\/plain/],
    ]) {
      assert.match((await worker.fetch(path)).headers.get("content-type"), type, path);
    }
  });

  test("answers HEAD without a body, and 304 to who has it", async () => {
    const head = await worker.fetch("/", { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    const again = await worker.fetch("/", { headers: { "if-none-match": head.headers.get("etag") } });
    assert.equal(again.status, 304);
  });
});

describe("beside the files", () => {
  test("what is no file is the Worker's to answer", async () => {
    for (const path of ["/nothing", "/vendor/", "/vendor/preact/preact.module.js.map", "/_headers"]) {
      const response = await worker.fetch(path);
      assert.equal(response.status, 404, path);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal((await response.json()).code, "not-found");
    }
  });

  test("the Worker's own paths are the Worker's", async () => {
    assert.equal((await worker.fetch("/healthz")).status, 200);
    assert.equal((await (await worker.fetch("/openapi.json")).json()).openapi, "3.1.0");
    assert.equal((await worker.fetch("/v1/devices")).status, 401);
    assert.equal((await worker.fetch("/hook", { method: "POST" })).status, 401);
  });

  test("an event goes in and out as ever", async () => {
    await client.accepted(anEvent({ coreid: "site" }));
    assert.equal((await client.newest("site")).data, 21.5);
  });
});

/** A module and all that it imports, without what it asks for only later (`import()`). */
function loaded(path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  const later = new Set([...text(path).matchAll(/\bimport\(\s*"([^"]+)"/g)].map(([, name]) => name));
  for (const name of specifiers(text(path)).filter((name) => !later.has(name))) {
    loaded(new URL(name, `http://site/${path}`).pathname.slice(1), seen);
  }
  return seen;
}

describe("build/site", () => {
  test("has no import that a browser cannot follow", () => {
    const files = new Set(filesOf(SITE));
    for (const path of modules()) {
      for (const name of specifiers(text(path))) {
        const { pathname } = new URL(name, `http://site/${path}`);
        assert.match(name, /^(\.\.?)?\//, `${path} imports ${name}`);
        assert.ok(files.has(pathname.slice(1)), `${path} imports ${name}, which is not there`);
      }
    }
  });

  test("names all modules of the first page in it, so that none is looked for in vain or one by one", async () => {
    const named = [...text("index.html").matchAll(/modulepreload" href="([^"]+)"/g)].map(([, path]) => path);
    const reached = new Set(["app.mjs"]);
    for (const path of reached) {
      for (const [, name] of text(path).matchAll(/\b(?:from|import)"(\.[^"]+)"/g)) {
        reached.add(new URL(name, `http://site/${path}`).pathname.slice(1));
      }
    }
    assert.deepEqual(named.toSorted(), [...reached].toSorted());
    assert.ok(named.includes("vendor/preact/hooks.mjs") && !named.includes("pages/events.mjs"));
  });

  test("carries the licence of each package, and no source map that is not there", () => {
    for (const folder of ["preact", "htm", "signals", "signals-core", "uplot"]) {
      assert.match(text(`vendor/${folder}/LICENSE.txt`), /MIT License|Apache License/i, folder);
    }
    for (const path of modules()) assert.doesNotMatch(text(path), /sourceMappingURL/, path);
  });

  test("is small: no page loads more than that before it draws a chart", () => {
    const size = (path) => gzipSync(text(path), { level: 9 }).length;
    const page = (path) => loaded(path, loaded("app.mjs"));
    const pages = modules().filter((path) => /^pages\/[^/]+$/.test(path));
    assert.ok(pages.includes("pages/events.mjs") && page(pages[0]).has("vendor/preact/preact.mjs"));
    for (const path of pages) {
      const files = ["index.html", ...styles(), ...page(path)];
      const bytes = files.reduce((sum, file) => sum + size(file), 0);
      assert.ok(bytes <= MOST_GZIPPED, `${path}: ${bytes} bytes gzipped in ${files.length} files`);
    }
  });

  test("has particle's definitions, as they are", () => {
    const definition = readFileSync(new URL("../particle/integration.json", import.meta.url), "utf8");
    assert.equal(text("particle/integration.json"), definition);
  });

  test("an import is pointed at where a package is served, and no other text is", () => {
    const given = `import{a}from"preact";import "preact/hooks";const u=import("uplot");import b from "./b.mjs";x("preact")`;
    const made = `import{a}from"../vendor/preact/preact.mjs";import "../vendor/preact/hooks.mjs";const u=import("../vendor/uplot/uplot.mjs");import b from "./b.mjs";x("preact")`;
    assert.equal(withPaths(given, "pages/x.mjs"), made);
  });
});
