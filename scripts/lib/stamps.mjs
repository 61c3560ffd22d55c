// Stamps: a file that records the hash of what a result was made from, so that work is done once per change.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** One hash over files, folders (walked in order) and plain strings such as versions. */
export function fingerprint(paths, facts = []) {
  const hash = createHash("sha256");
  for (const fact of facts) hash.update(`${fact}\0`);
  for (const path of paths) addPath(hash, path);
  return hash.digest("hex");
}

function addPath(hash, path) {
  if (!existsSync(path)) return void hash.update(`${path} absent\0`);
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path).sort()) addPath(hash, join(path, name));
  } else {
    hash.update(`${path}\0`).update(readFileSync(path)).update("\0");
  }
}

/** Does `work` unless the stamp already carries `print`; says whether it did. A failed `work` leaves no stamp. */
export async function once(stamp, print, work) {
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === print) return false;
  rmSync(stamp, { force: true });
  await work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, print);
  return true;
}
