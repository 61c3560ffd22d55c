// Counts SQLite commits by reading the write-ahead log on disk: https://sqlite.org/fileformat2.html#walformat
//
// The log is a header of 32 bytes and frames of 24 bytes and a page. The last frame of a transaction carries the
// database's size after the commit; the others carry 0. A frame belongs to the log's present run only if its salt
// is the header's: older frames stay in the file after SQLite has started again from its beginning.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const HEADER = 32;
const FRAME_HEADER = 24;
const MAGICS = [0x377f0682, 0x377f0683];

/** Commits in one write-ahead log, with the salt that tells whether a checkpoint came between two counts. */
export function readLog(path) {
  const log = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  if (log.length < HEADER) return { commits: 0, salt: undefined };
  if (!MAGICS.includes(log.readUInt32BE(0))) throw new Error(`${path} is not a SQLite write-ahead log`);
  const frame = FRAME_HEADER + log.readUInt32BE(8);
  const salt = log.subarray(16, 24);
  let commits = 0;
  for (let at = HEADER; at + frame <= log.length; at += frame) {
    if (!log.subarray(at + 8, at + 16).equals(salt)) break;
    if (log.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return { commits, salt: salt.toString("hex") };
}

/**
 * How many commits `work` causes in the objects of one class, by object (the name of its file).
 *
 * @param {string} storage the Worker's storage folder  @param {string} className e.g. "Device"
 */
export async function commitsDuring(storage, className, work) {
  const before = logsOf(storage, className);
  await work();
  const counts = {};
  for (const [object, { commits, salt }] of logsOf(storage, className)) {
    const earlier = before.get(object);
    if (earlier?.salt && earlier.salt !== salt)
      throw new Error(`${object} was checkpointed while commits were counted`);
    const made = commits - (earlier?.commits ?? 0);
    if (made) counts[object] = made;
  }
  return counts;
}

function logsOf(storage, className) {
  const folder = join(storage, "do", `fieldhook-${className}`);
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".sqlite-wal")) : [];
  const objects = files.filter((name) => !name.startsWith("metadata."));
  return new Map(objects.map((name) => [name.replace(".sqlite-wal", ""), readLog(join(folder, name))]));
}
