// What a person sees while the scripts work: one line per step, the elapsed time, and plain words when it fails.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

const HEARTBEAT_MS = 15_000;
const QUIET_BELOW_MS = 1_500;
const SHOWN_LOG_LINES = 60;

/** Something the user has to do or install; shown without a stack trace. */
export class Missing extends Error {
  /** @param {string} what is missing, in a sentence  @param {string} how to get it */
  constructor(what, how) {
    super(`${what}\n  ${how.replaceAll("\n", "\n  ")}`);
  }
}

/** A command that did not end well. `output` is what it printed; its end is in the message unless it was shown. */
export class CommandFailed extends Error {
  constructor(command, code, output, shown = false) {
    const tail = shown ? "" : output.trimEnd().split("\n").slice(-SHOWN_LOG_LINES).join("\n");
    super(`${command} failed (${code})${tail && `:\n${tail}`}`);
    this.code = code;
    this.output = output;
  }
}

/** Runs `work`, saying its name at once, that it goes on now and then, and how long it took. */
export async function step(name, work) {
  const began = Date.now();
  const elapsed = () => `${((Date.now() - began) / 1000).toFixed(1)} s`;
  say(name);
  const heartbeat = setInterval(() => say(`  … ${name}: ${elapsed()}`), HEARTBEAT_MS);
  try {
    const result = await work();
    if (Date.now() - began > QUIET_BELOW_MS) say(`  done in ${elapsed()}`);
    return result;
  } finally {
    clearInterval(heartbeat);
  }
}

/** Progress goes to stderr, so that stdout carries only results. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a command to its end and returns what it printed on stdout and stderr.
 *
 * With `log` the output goes to that file (and, on failure, its last lines into the error); with `show` it
 * goes to the terminal as it comes; `timeout` in milliseconds ends a command that does not.
 */
export function run(command, args, { cwd, env, log, show = false, timeout } = {}) {
  return new Promise((resolve, reject) => {
    if (log) mkdirSync(dirname(log), { recursive: true });
    const file = log && createWriteStream(log);
    const child = spawn(command, args, { cwd, env, timeout, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const take = (stream) => (chunk) => {
      output += chunk;
      file?.write(chunk);
      if (show) stream.write(chunk);
    };
    child.stdout.on("data", take(process.stdout));
    child.stderr.on("data", take(process.stderr));
    child.on("error", (error) => reject(new CommandFailed(command, error.code, String(error))));
    child.on("close", (code, signal) => {
      file?.end();
      if (code === 0) resolve(output);
      else reject(new CommandFailed([command, ...args].join(" "), code ?? signal, output, show));
    });
  });
}

/** The first line a command prints, or undefined when it cannot be run: for asking tools their version. */
export async function ask(command, args, options) {
  try {
    return (await run(command, args, { timeout: 30_000, ...options })).trim();
  } catch {
    return undefined;
  }
}

/** Runs a script's main function: its failure is one clear message and exit code 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    const expected = error instanceof Missing || error instanceof CommandFailed;
    say(`\n${expected ? error.message : error.stack}`);
    process.exitCode = 1;
  }
}

/** A JSON file's content, or undefined when it is absent or broken. */
export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
