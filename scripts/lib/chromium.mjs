// The browser that the dashboard's tests use: the system's Chromium, from Debian's packages where there is none.

import { existsSync } from "node:fs";
import { ask, Missing } from "./console.mjs";
import { aptInstall } from "./debian.mjs";

const PACKAGE = "chromium";
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where it is; CHROMIUM names another. */
export function findChromium() {
  return [process.env.CHROMIUM, ...PLACES].find((path) => path && existsSync(path));
}

/** Finds it, or installs it. */
export async function ensureChromium() {
  if (!findChromium() && (await ask("apt-get", ["--version"]))) await aptInstall([PACKAGE]);
  const found = findChromium();
  if (!found)
    throw new Missing("Chromium is missing.", "install it, or name it: CHROMIUM=/path/to/chromium npm test");
  return found;
}
