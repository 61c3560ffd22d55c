// Command-line tools that come as crates: found in the right version, or built once into the cache.

import { join } from "node:path";
import { ask, run, step } from "./console.mjs";
import { CACHE, CARGO_BIN } from "./paths.mjs";
import { CARGO_TOOLS } from "./pins.mjs";

/** The folder that holds `crate`'s executables in the pinned version. */
export async function cargoTool(crate, env) {
  const { version, binary } = CARGO_TOOLS[crate];
  const root = join(CACHE, "tools", `${crate}-${version}`);
  for (const folder of [CARGO_BIN, join(root, "bin")]) {
    if (await isVersion(join(folder, binary), version)) return folder;
  }
  const install = ["install", `${crate}@${version}`, "--root", root, "--force"];
  await step(`Building ${crate} ${version} (once, some minutes)`, () =>
    run("cargo", install, { env, cwd: CACHE }),
  );
  return join(root, "bin");
}

async function isVersion(path, version) {
  const answer = await ask(path, ["--version"]);
  return answer?.split(/\s+/).includes(version) ?? false;
}
