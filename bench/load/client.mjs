// The load's process as the bench speaks to it.

import { bin, inRoot } from "../../scripts/lib/paths.mjs";
import { start } from "../machine.mjs";

export class Load {
  #process;
  #waiting = new Map();
  #number = 0;

  constructor() {
    const stdio = ["ignore", "inherit", "inherit", "ipc"];
    this.#process = start("load", bin("node"), [inRoot("bench", "load", "process.mjs")], { stdio });
    this.#process.on("message", ({ number, result, error }) => {
      const { resolve, reject } = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error) reject(new Error(error));
      else resolve(result);
    });
    this.#process.on("exit", (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the load ended (${code})`));
    });
  }

  get pid() {
    return this.#process.pid;
  }

  /** What process.mjs makes of a command: `window`, `prepare`, `open`, `fanOut`. */
  do(command, options) {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#process.send({ number, command, ...options });
    });
  }

  stop() {
    this.#process.disconnect();
  }
}
