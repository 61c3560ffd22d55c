// rustfmt and clippy of the native toolchain: found, or added the way that toolchain came.

import { aptInstall } from "./debian.mjs";
import { ask, Missing, run, step } from "./console.mjs";

const TOOLS = {
  fmt: { component: "rustfmt", debian: "rustfmt-web" },
  clippy: { component: "clippy", debian: "rust-web-clippy" },
};

/** Makes `cargo fmt` and `cargo clippy` work in `env`. */
export async function ensureNativeTools(env) {
  for (const [subcommand, { component, debian }] of Object.entries(TOOLS)) {
    const works = async () => (await ask("cargo", [subcommand, "--version"], { env })) !== undefined;
    if (await works()) continue;
    if (await ask("rustup", ["show", "active-toolchain"], { env })) {
      await step(`Adding ${component} with rustup`, () =>
        run("rustup", ["component", "add", component], { env }),
      );
    } else if (await ask("apt-get", ["--version"])) {
      await aptInstall([debian]);
    }
    if (!(await works()))
      throw new Missing(`cargo ${subcommand} is missing.`, `rustup component add ${component}`);
  }
}
