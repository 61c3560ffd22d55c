// A clock that can be set: workerd's own, by way of a small library that is preloaded into it (clock.c).

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("clock.c", import.meta.url));

/** Builds one. `env` is for `startWorker`; `move` sets by how many seconds it is wrong. */
export function movedClock() {
  const scratch = mkdtempSync(join(tmpdir(), "fieldhook-clock-"));
  const [library, file] = [join(scratch, "clock.so"), join(scratch, "moved")];
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE], {
    stdio: "pipe",
  });
  let by = 0;
  const move = (seconds) => {
    by = seconds;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    // In place: workerd has the file mapped.
    writeFileSync(file, bytes, { flag: "r+" });
  };
  writeFileSync(file, Buffer.alloc(8));
  return {
    env: { LD_PRELOAD: library, FAULTS_CLOCK: file },
    move,
    /** What it shows, in milliseconds. */
    now: () => Date.now() + by * 1_000,
    remove: () => rmSync(scratch, { recursive: true, force: true }),
  };
}

/** Why there can be none on this machine; false if there can. */
export function noMovedClock() {
  if (process.platform !== "linux") return "a clock is moved with LD_PRELOAD, on Linux only";
  try {
    movedClock().remove();
    return false;
  } catch (error) {
    return `the clock cannot be built: ${error.message}`;
  }
}
