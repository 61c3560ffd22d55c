// What was tried and did not work, remembered for a day so that the next run does not wait for it again.

import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./paths.mjs";

const DAY_MS = 24 * 60 * 60 * 1000;
const file = (name) => join(CACHE, "unreachable", name);

export function rememberFailure(name) {
  mkdirSync(join(CACHE, "unreachable"), { recursive: true });
  writeFileSync(file(name), "");
}

export function rememberedFailure(name) {
  const tried = statSync(file(name), { throwIfNoEntry: false })?.mtimeMs;
  return tried !== undefined && Date.now() - tried < DAY_MS;
}
