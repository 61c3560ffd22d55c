// The C compiler: Rust links with it, and the simulator's TLS (ring) is in part C and assembly.

import { ask, Missing } from "./console.mjs";
import { aptInstall } from "./debian.mjs";

/** What cargo and the crates that it builds call. */
const COMPILER = "cc";
const PACKAGES = ["gcc", "libc6-dev"];

/** Makes sure that there is one. On Windows it is Rust's own installer that brings it. */
export async function ensureCCompiler() {
  const works = async () => (await ask(COMPILER, ["--version"])) !== undefined;
  if (process.platform === "win32" || (await works())) return;
  if (await ask("apt-get", ["--version"])) await aptInstall(PACKAGES);
  if (await works()) return;
  throw new Missing(
    `${COMPILER} is missing: Rust links with a C compiler.`,
    `on Debian and Ubuntu: sudo apt-get install ${PACKAGES.join(" ")}\non Fedora: sudo dnf install gcc\non macOS: xcode-select --install`,
  );
}
