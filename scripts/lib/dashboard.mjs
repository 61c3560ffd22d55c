// The dashboard as it is served: build/site/ is dashboard/, the packages' ES modules in vendor/ with their licences,
// and the definitions of particle/. Nothing is bundled: each file is served as a file of its own, its names and texts as
// they are, without the comments and the white space that only its reader needs.

import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, extname, join, posix, relative, sep } from "node:path";
import { step } from "./console.mjs";
import { inRoot } from "./paths.mjs";
import { fingerprint, once } from "./stamps.mjs";

/** What wrangler.toml names as the folder of assets. */
export const SITE = inRoot("build", "site");
const STAMP = inRoot("build", ".fieldhook-site-stamp");
const SOURCE = inRoot("dashboard");
const PARTICLE = inRoot("particle");

/** What a module is called in an import, where its package has it, and where it is served. */
const MODULES = [
  ["preact", "preact/dist/preact.mjs", "vendor/preact/preact.mjs"],
  ["preact/hooks", "preact/hooks/dist/hooks.mjs", "vendor/preact/hooks.mjs"],
  ["htm", "htm/dist/htm.mjs", "vendor/htm/htm.mjs"],
  ["@preact/signals", "@preact/signals/dist/signals.mjs", "vendor/signals/signals.mjs"],
  [
    "@preact/signals-core",
    "@preact/signals-core/dist/signals-core.mjs",
    "vendor/signals-core/signals-core.mjs",
  ],
  ["uplot", "uplot/dist/uPlot.esm.js", "vendor/uplot/uplot.mjs"],
];
/** What is no module, taken as it is. */
const FILES = [
  ["preact/LICENSE", "vendor/preact/LICENSE.txt"],
  ["htm/LICENSE", "vendor/htm/LICENSE.txt"],
  ["@preact/signals/LICENSE", "vendor/signals/LICENSE.txt"],
  ["@preact/signals-core/LICENSE", "vendor/signals-core/LICENSE.txt"],
  ["uplot/LICENSE", "vendor/uplot/LICENSE.txt"],
  ["uplot/dist/uPlot.min.css", "vendor/uplot/uplot.css"],
];

/** Makes build/site/ unless it is there and nothing it is made of has changed. */
export async function buildSite() {
  const print = fingerprint([SOURCE, PARTICLE, inRoot("package-lock.json"), inRoot("scripts", "lib")]);
  await once(STAMP, print, () => step("Building the dashboard into build/site/", write));
}

/** Makes it beside, then puts it in place: whoever serves it meets the old one or the new one, whole. */
async function write() {
  const fresh = `${SITE}.${process.pid}`;
  const old = `${fresh}.old`;
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  cpSync(SOURCE, fresh, { recursive: true });
  await strip(fresh);
  for (const path of filesOf(fresh).filter((path) => path.endsWith(".mjs"))) pointAt(fresh, path);
  for (const [, from, to] of MODULES) vendor(fresh, from, to);
  preload(fresh, "index.html", "app.mjs");
  for (const [from, to] of FILES) copy(inRoot("node_modules", from), join(fresh, to));
  for (const name of readdirSync(PARTICLE).filter((name) => name.endsWith(".json"))) {
    copy(join(PARTICLE, name), join(fresh, "particle", name));
  }
  while (!putInPlace(fresh, old)) rmSync(old, { recursive: true, force: true });
  rmSync(old, { recursive: true, force: true });
}

/** False where another process, which builds the same, came in between. */
function putInPlace(fresh, old) {
  try {
    renameSync(SITE, old);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  try {
    renameSync(fresh, SITE);
    return true;
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "EPERM"].includes(error.code) || !existsSync(SITE)) throw error;
    return false;
  }
}

/** A fifth of what is sent, gzipped, and nothing of what runs. */
async function strip(site) {
  const { transform } = await import("esbuild");
  for (const path of filesOf(site)) {
    const loader = { ".mjs": "js", ".css": "css" }[extname(path)];
    if (!loader) continue;
    const file = join(site, path);
    const options = { loader, minifyWhitespace: true, charset: "utf8", legalComments: "none" };
    writeFileSync(file, (await transform(readFileSync(file, "utf8"), options)).code);
  }
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, readFileSync(from));
}

function vendor(site, from, to) {
  copy(inRoot("node_modules", from), join(site, to));
  pointAt(site, to);
}

/** Points a module's imports of packages at where these are served, and at no source map, which is not served. */
function pointAt(site, path) {
  const file = join(site, path);
  const code = readFileSync(file, "utf8");
  writeFileSync(file, withPaths(code, path).replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, "\n"));
}

/** Tells the browser at once of all modules that the first one needs, so that it need not find them one by one. */
function preload(site, page, first) {
  const found = new Set([first]);
  for (const path of found) {
    const code = readFileSync(join(site, path), "utf8");
    for (const [, name] of code.matchAll(/\b(?:from|import)\s*["'](\.[^"']+)["']/g)) {
      found.add(posix.join(posix.dirname(path), name));
    }
  }
  const links = [...found].map((path) => `<link rel="modulepreload" href="${path}" />`);
  const file = join(site, page);
  writeFileSync(file, readFileSync(file, "utf8").replace("</head>", `${links.join("\n")}\n</head>`));
}

/** Browsers know no packages: an import map would tell them, but that is an inline script. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\s]+)\2/g;

/** The code of a module served at `path`, with relative paths in the place of packages' names. */
export function withPaths(code, path) {
  return code.replace(SPECIFIER, (whole, before, quote, name) => {
    const known = MODULES.find(([specifier]) => specifier === name);
    if (!known) return whole;
    const to = posix.relative(posix.dirname(path), known[2]);
    return `${before}${quote}${to.startsWith(".") ? to : `./${to}`}${quote}`;
  });
}

/** The specifiers that a module imports from. */
export function specifiers(code) {
  return [...code.matchAll(SPECIFIER)].map(([, , , name]) => name);
}

/** Every file of a folder, as the path of its URL, without what the platform reads and does not serve. */
export function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && basename(entry.name) !== "_headers")
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}
