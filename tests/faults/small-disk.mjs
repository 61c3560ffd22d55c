// A disk of a few megabytes, that can be filled, and made read-only: a tmpfs, which only root can mount.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why there can be none on this machine; false if there can. */
export function noSmallDisk() {
  if (process.platform !== "linux") return "a tmpfs is mounted on Linux only";
  if (process.getuid() !== 0) return "mounting a small disk takes root";
  try {
    smallDisk(1).unmount();
    return false;
  } catch (error) {
    return `mounting a small disk failed: ${error.message}`;
  }
}

/** Mounts one. It is to be unmounted when nobody has a file open on it. */
export function smallDisk(megabytes) {
  const folder = mkdtempSync(join(tmpdir(), "fieldhook-disk-"));
  const filler = join(folder, "filler");
  const mount = (...options) => execFileSync("mount", [...options, folder], { stdio: "pipe" });
  try {
    mount("-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs");
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
  return {
    folder,
    /** Leaves no room at all. */
    fill() {
      try {
        for (const size of [1 << 20, 1 << 12]) {
          try {
            for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: "a" });
          } catch (error) {
            if (error.code !== "ENOSPC") throw error;
          }
        }
      } catch (error) {
        this.free();
        throw error;
      }
    },
    free: () => rmSync(filler, { force: true }),
    readOnly: () => mount("-o", "remount,ro"),
    writable: () => mount("-o", "remount,rw"),
    unmount() {
      execFileSync("umount", ["-l", folder], { stdio: "pipe" });
      rmdirSync(folder);
    },
  };
}
