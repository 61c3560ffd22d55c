// A device as its firmware is: firmware/tests/replay.cpp in a process of its own, which hears parts of replies and
// says what to report. And a cloud between the two that loses, repeats and shuffles, the same way for the same seed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { buildReplay } from "../../scripts/firmware.mjs";
import { partsOf } from "./framed.mjs";

const LAST = ["heard", "report", "state", "ok", "error"];

let program;

/** Starts a device for one test. It knows no time but what it is told with `pass`. */
export async function startDevice(test, coreid) {
  const child = spawn(await (program ??= buildReplay()), { stdio: ["pipe", "pipe", "pipe"] });
  test.after(() => child.kill());
  let complaints = "";
  child.stderr.on("data", (data) => (complaints += data));
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let now = 0;

  /** Says one line to the device; answers all that it says to it, the last being what ends the answer. */
  async function say(line) {
    child.stdin.write(`${line}\n`);
    const answers = [];
    for (;;) {
      const { value, done } = await lines.next();
      if (done) assert.fail(`the device ended at ${JSON.stringify(line.slice(0, 80))}: ${complaints}`);
      const answer = JSON.parse(value);
      answers.push(answer);
      if (LAST.some((name) => name in answer)) {
        assert.equal(answer.error, undefined, `${line}: ${value}`);
        return answers;
      }
    }
  }

  return {
    coreid,
    /** Ids of the commands that were run, in order, each as often as it was. */
    ran: [],
    async hear({ topic, bytes }) {
      const answers = await say(`part ${coreid}/${topic} ${bytes.toString("hex")}`);
      this.ran.push(...answers.filter(({ command, done }) => command && done).map(({ command }) => command));
      return answers.at(-1);
    },
    async report() {
      const { report } = (await say("report")).at(-1);
      assert.notEqual(report, null, "the report fits its buffer");
      return report;
    },
    /** The report that was asked for last has reached the cloud. */
    sent: () => say("sent"),
    set: (pointer, value) => say(`set ${pointer} ${JSON.stringify(value)}`),
    reset: () => say("reset keep"),
    refuse: (name) => say(`refuse ${name}`),
    allow: (name) => say(`allow ${name}`),
    /** Time goes by for the device alone. */
    pass: (ms) => say(`time ${(now += ms)}`),
    state: async () => (await say("state")).at(-1),
    /** Ends it, and the sanitizers have had nothing to say. */
    async stop() {
      child.stdin.end();
      assert.deepEqual([await exited, complaints], [[0, null], ""]);
    },
  };
}

/** A reply's parts as Particle publishes them to the device. */
export const partsFor = (event, body) =>
  partsOf(body).map((bytes, n) => ({ topic: `hook-response/${event}/${n}`, bytes }));

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(next() * count);
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (items) => items[below(items.length)],
    shuffled(items) {
      const all = [...items];
      for (let left = all.length; left > 1; left--) {
        const at = below(left);
        [all[left - 1], all[at]] = [all[at], all[left - 1]];
      }
      return all;
    },
  };
}

/** Runs `work` with a seed, which a failure names: `SEED=… npm test -- firmware` runs it again. */
export async function withSeed(work) {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  try {
    await work(randomOf(seed), seed);
  } catch (error) {
    throw new Error(`SEED=${seed}`, { cause: error });
  }
}
