// The other way: Debian packages a recent compiler with its library source, for machines that reach only
// package registries. A stable compiler accepts the nightly flags when RUSTC_BOOTSTRAP=1 says so.

import { existsSync } from "node:fs";
import { ask, Missing, run, step } from "./console.mjs";

const PACKAGES = ["rustc-web", "cargo-web", "rust-web-src"];
const RUSTC = "/usr/bin/rustc";
const CARGO = "/usr/bin/cargo";

export const debianToolchain = {
  help: `on Debian: apt-get install ${PACKAGES.join(" ")} and the lld of the same LLVM version`,

  /** The packaged compiler, when its source and a linker of its LLVM version are there too. */
  async find() {
    const compiler = await describe();
    if (!compiler || !existsSync(compiler.linker)) return undefined;
    return {
      name: `debian-${compiler.release}`,
      cargo: CARGO,
      rustc: RUSTC,
      env: { RUSTC_BOOTSTRAP: "1", CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: compiler.linker },
    };
  },

  /** Installs the packages. */
  async install() {
    if (!(await ask("apt-get", ["--version"]))) return undefined;
    if (!(await describe())) await aptInstall(PACKAGES);
    const compiler = await describe();
    if (!compiler) return undefined;
    await aptInstall([`lld-${compiler.llvm}`]);
    return this.find();
  },
};

/** Version, LLVM version and linker of Debian's compiler, or undefined without its library source. */
async function describe() {
  const about = await ask(RUSTC, ["-vV"]);
  const [release, llvm] = [/^release: (.*)$/m, /^LLVM version: (\d+)/m].map(
    (field) => about?.match(field)?.[1],
  );
  const sysroot = await ask(RUSTC, ["--print", "sysroot"]);
  if (!release || !llvm || !existsSync(`${sysroot}/lib/rustlib/src/rust/library/std`)) return undefined;
  return { release, llvm, linker: `/usr/bin/wasm-ld-${llvm}` };
}

/** Installs Debian packages as root or with a sudo that asks nothing; otherwise says what to run. */
export async function aptInstall(packages) {
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  const root = process.getuid?.() === 0;
  const sudo = root ? [] : ["sudo", "--non-interactive"];
  if (!root && (await ask("sudo", ["--non-interactive", "true"])) === undefined) {
    throw new Missing(
      `These system packages are missing: ${packages.join(" ")}`,
      `sudo apt-get update && sudo ${install.join(" ")}`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (words) => run([...sudo, ...words][0], [...sudo, ...words].slice(1), { env });
  await step(`Installing ${packages.join(", ")} with apt`, async () => {
    await apt(["apt-get", "update"]);
    await apt(install);
  });
}
