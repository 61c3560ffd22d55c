// One window: a subject under load for some seconds, alone on its core, taken again if the machine was busy.

import { setTimeout as sleep } from "node:timers/promises";
import { cpuNanoseconds, watched } from "./machine.mjs";
import { SECRET, TOKEN } from "./subjects/index.mjs";

/** A subject is at rest when it uses less than this share of a core over so many milliseconds. */
const REST = { share: 0.05, over: 50, patience: 5_000 };
/** What is done behind the last answer belongs to the window. */
const DRAIN_MS = 50;

export class Windows {
  /** Windows that stayed disturbed however often they were taken. */
  disturbed = 0;
  taken = 0;
  #load;
  #subjects;
  #tries;
  #prepared = new Set();

  constructor(load, subjects, tries) {
    this.#load = load;
    this.#subjects = subjects;
    this.#tries = tries;
  }

  /** Lets a window run that nobody looks at, so that code is compiled and buffers are there. */
  async warmUp(options) {
    const subject = await this.#subjects.get(options.subject, options);
    subject.resume();
    try {
      await this.#prepare(subject, options);
      await this.#once(subject, options);
    } finally {
      subject.pause();
    }
  }

  /** Measures one window; the least disturbed of a few if none was quiet. */
  async take(options) {
    const subject = await this.#subjects.get(options.subject, options);
    subject.resume();
    try {
      await this.#prepare(subject, options);
      await isAtRest(subject.pid);
      let best;
      for (let tries = 0; tries < this.#tries; tries++) {
        const window = await this.#once(subject, options);
        if (!best || window.others < best.others) best = window;
        if (!best.isDisturbed) break;
      }
      this.taken++;
      if (best.isDisturbed) this.disturbed++;
      return best;
    } finally {
      subject.pause();
    }
  }

  async #once(subject, { command = "window", ...options }) {
    const before = cpuNanoseconds(subject.pid);
    const asked = { ...options, port: subject.port, secret: SECRET };
    const window = await watched([subject.pid, this.#load.pid], () => this.#load.do(command, asked));
    await sleep(DRAIN_MS);
    // A server that answers errors quickly must not look fast.
    if (Object.keys(window.wrong).length) {
      throw new Error(`${subject.name} answered ${options.kind} with ${JSON.stringify(window.wrong)}`);
    }
    // Microseconds; only of use where there is no lead, whose events are not counted.
    return { ...window, cpu: (cpuNanoseconds(subject.pid) - before) / 1000 / window.events };
  }

  /** Once for each kind of load on a subject: what must have been sent, and clients that stay. */
  async #prepare({ port }, options) {
    const { kind, clients, devices, prefix, size } = options;
    const key = JSON.stringify([port, kind, clients, devices, prefix, size]);
    if (this.#prepared.has(key)) return;
    this.#prepared.add(key);
    if (clients) await this.#load.do("open", { port, clients, token: TOKEN });
    if (kind) await this.#load.do("prepare", { ...options, port, secret: SECRET });
  }
}

/** Alarms that fell due while the subject stood still run before the window begins. */
async function isAtRest(pid) {
  const until = performance.now() + REST.patience;
  while (performance.now() < until) {
    const before = cpuNanoseconds(pid);
    await sleep(REST.over);
    if (cpuNanoseconds(pid) - before < REST.share * REST.over * 1e6) return;
  }
}
