// The simulator under test: the built command, told by its environment what must not stand in its arguments.

import { spawn } from "node:child_process";
import { SIMULATOR } from "../../scripts/lib/simulator.mjs";
import { READ, TOKEN } from "./worker.mjs";

/** Starts a command of the simulator; `ended` is what it has printed by its end. */
export function startSimulator(args) {
  return collect(
    spawn(SIMULATOR, args, {
      env: { ...process.env, FIELDHOOK_TOKEN: TOKEN, FIELDHOOK_READ_TOKEN: READ },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

/** Runs one to its end. */
export const simulate = (args) => startSimulator(args).ended;

/** Keeps what a process prints. Its end is when nobody holds its output any more, its own children included. */
export function collect(child) {
  const said = { stdout: "", stderr: "" };
  for (const name of Object.keys(said)) child[name].on("data", (chunk) => (said[name] += chunk));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, ...said }));
  });
  return { child, said, ended };
}

/** The numbers of a fleet's table, by label. */
export function tableOf(text) {
  const rows = [...text.matchAll(/^ *(\S.*?) {2,}(\d+)(?: |$)/gm)];
  return Object.fromEntries(rows.map(([, label, number]) => [label, Number(number)]));
}
