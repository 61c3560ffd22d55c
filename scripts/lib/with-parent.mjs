// Programs that end with the process that started them.

import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("with-parent.sh", import.meta.url));

/** The words that start `program` by way of with-parent.sh. */
export function withParent(program, args) {
  return process.platform === "win32" ? [program, ...args] : [SCRIPT, program, ...args];
}
