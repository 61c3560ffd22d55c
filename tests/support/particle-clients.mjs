// Particle's own clients, as their users run them: with the base URL of the Worker under test, and nothing else changed.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// A lock file of their own: see scripts/lib/packages.mjs.
const require = createRequire(new URL("../clients/package.json", import.meta.url));
const LOOPBACK_ONLY = fileURLToPath(new URL("loopback-only.cjs", import.meta.url));

/** particle-api-js, with a token that each call uses. */
export function particleApi(baseUrl, token) {
  const Particle = require("particle-api-js");
  return new Particle({ baseUrl, auth: token });
}

/**
 * The Particle CLI in a home of its own, so that no account of whoever runs the tests is read or written.
 *
 * @returns {(...args: string[]) => Running} starts one command
 */
export function particleCli(apiUrl, token) {
  const home = mkdtempSync(join(tmpdir(), "particle-cli-"));
  process.once("exit", () => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, ".particle"));
  const config = JSON.stringify({ apiUrl, access_token: token });
  writeFileSync(join(home, ".particle", "particle.config.json"), config);
  const cli = require.resolve("particle-cli");
  const env = { PATH: process.env.PATH, HOME: home, PARTICLE_DISABLE_UPDATE: "true" };
  return (...args) =>
    running(spawn(process.execPath, ["--require", LOOPBACK_ONLY, cli, ...args], { env, cwd: home }));
}

/** A command that has begun. `output()` is what it has said so far; `ended` its exit code and all it said. */
function running(child) {
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (said += text));
  }
  child.stdin.end();
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output: said }));
  });
  return { output: () => said, ended, stop: () => child.kill() };
}
