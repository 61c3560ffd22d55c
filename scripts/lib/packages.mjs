// npm packages, and the pinned Node among them: scripts start under whatever Node there is and go on under that one.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { ask, Missing, run, step } from "./console.mjs";
import { bin, inRoot } from "./paths.mjs";
import { NODE } from "./pins.mjs";
import { fingerprint, once } from "./stamps.mjs";

const OLDEST_NODE = 18;

/** Installs node_modules from the lock file when they are absent or older than it. */
export async function ensurePackages() {
  if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
    throw new Missing(
      `Node ${process.versions.node} is too old.`,
      `Install Node ${OLDEST_NODE} or later: https://nodejs.org`,
    );
  }
  const print = fingerprint(
    [inRoot("package.json"), inRoot("package-lock.json")],
    [process.platform, process.arch],
  );
  await once(inRoot("node_modules", ".fieldhook-packages"), print, () =>
    step("Installing npm packages", () => run(...npm(inRoot(), "ci"))),
  );
  if ((await ask(bin("node"), ["--version"])) !== `v${NODE}`) {
    throw new Missing(
      `node_modules has no Node ${NODE}.`,
      "Its install script may have been blocked: npm rebuild node",
    );
  }
}

/**
 * Installs Particle's own clients, which few tests run. They are 600 packages of their own, so whoever runs none
 * of their tests does without; and none of their install scripts runs (tests/clients/.npmrc).
 */
export function ensureClients() {
  return installApart(inRoot("tests", "clients"), "Particle's clients");
}

/** Installs the packages of a folder that has a lock file of its own, when they are absent or older than it. */
export async function installApart(folder, name) {
  const print = fingerprint(["package.json", "package-lock.json"].map((file) => join(folder, file)));
  await once(join(folder, "node_modules", ".fieldhook-packages"), print, () =>
    step(`Installing ${name}`, () => run(...npm(folder, "ci"))),
  );
}

/** Runs this same command under the pinned Node, unless it already does. Returns whether it took over. */
export async function continueUnderPinnedNode() {
  if (process.versions.node === NODE) return false;
  // The channel closes when either side is gone, however it went: see `endWithParent`.
  const child = spawn(bin("node"), process.argv.slice(1), {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const [code, signal] = await new Promise((resolve) => child.on("exit", (...how) => resolve(how)));
  process.exitCode = signal ? 1 : code;
  return true;
}

/** Ends this process when the one that started it is gone. */
export function endWithParent() {
  if (!process.channel) return;
  process.channel.unref();
  process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
}

function npm(cwd, command) {
  const script = process.env.npm_execpath;
  const args = [command, "--loglevel=error", "--no-audit", "--no-fund"];
  const options = { cwd };
  return script?.endsWith(".js") ? [process.execPath, [script, ...args], options] : ["npm", args, options];
}
