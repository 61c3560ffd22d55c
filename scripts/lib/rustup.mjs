// The usual way: rustup downloads the pinned nightly, with the library source and the wasm target.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ask, CommandFailed, run, say, step } from "./console.mjs";
import { rememberedFailure, rememberFailure } from "./outcomes.mjs";
import { NIGHTLY } from "./pins.mjs";

const INSTALL_TIMEOUT_MS = 15 * 60_000;

export const rustupToolchain = {
  help: `install rustup (https://rustup.rs), then: ${installCommand().join(" ")}`,

  /** The pinned nightly, when rustup has it with its library source. */
  async find() {
    const sysroot = await ask("rustup", ["run", NIGHTLY, "rustc", "--print", "sysroot"]);
    if (!sysroot || !existsSync(join(sysroot, "lib", "rustlib", "src", "rust", "library"))) return undefined;
    // By path, not through rustup: a toolchain's folder of shims has a `rustup` of its own.
    return {
      name: NIGHTLY,
      cargo: join(sysroot, "bin", "cargo"),
      rustc: join(sysroot, "bin", "rustc"),
      env: {},
    };
  },

  /** Tries to download it. Where rustup reaches nothing, that is remembered for a day. */
  async install() {
    if (!(await ask("rustup", ["--version"])) || rememberedFailure(NIGHTLY)) return undefined;
    const [command, ...args] = installCommand();
    try {
      await step(`Installing ${NIGHTLY} with rustup`, () =>
        run(command, args, { timeout: INSTALL_TIMEOUT_MS }),
      );
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      say("  rustup could not download it; trying the system's packages instead");
      rememberFailure(NIGHTLY);
      return undefined;
    }
    return this.find();
  },
};

function installCommand() {
  const extras = ["--profile", "minimal", "--component", "rust-src", "--target", "wasm32-unknown-unknown"];
  return ["rustup", "toolchain", "install", NIGHTLY, ...extras, "--no-self-update"];
}
