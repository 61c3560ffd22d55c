// Clients of a stream that only count what they hear.

import { connect } from "node:net";
import { request } from "./events.mjs";

const EVENT = Buffer.from("\ndata:");
const OPENING = "\n:ok";
const OPENED_AT_ONCE = 20;
const PATIENCE_MS = 20_000;

export class Readers {
  #port;
  #bytes;
  /** Each open stream: its socket, and what it has heard of the wave. */
  #open = [];
  /** How many of them have yet to hear all of the wave. */
  #missing = 0;
  #wave = 0;
  #done;

  constructor(port, token) {
    this.#port = port;
    this.#bytes = request("/v1/events", { method: "GET", headers: { authorization: `Bearer ${token}` } });
  }

  get size() {
    return this.#open.length;
  }

  /** Opens as many as are missing to `clients`, or closes what is too many. */
  async open(clients) {
    for (const { socket } of this.#open.splice(clients)) socket.destroy();
    while (this.size < clients) {
      const some = Math.min(OPENED_AT_ONCE, clients - this.size);
      await Promise.all(Array.from({ length: some }, () => this.#openOne()));
    }
  }

  /** Resolves when every client has heard so many events more. */
  hear(events) {
    this.#wave = events;
    this.#missing = this.size;
    for (const reader of this.#open) reader.heard = 0;
    return new Promise((resolve, reject) => {
      const late = () =>
        reject(new Error(`${this.#missing} of ${this.size} clients did not hear everything`));
      const timer = setTimeout(late, PATIENCE_MS);
      this.#done = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#missing === 0) this.#done();
    });
  }

  close() {
    for (const { socket } of this.#open.splice(0)) socket.destroy();
  }

  #openOne() {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, "127.0.0.1", () => socket.write(this.#bytes));
      const reader = { socket, heard: 0 };
      let [tail, isOpen] = [Buffer.alloc(0), false];
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("a stream was closed before it began")));
      socket.on("data", (chunk) => {
        const read = tail.length ? Buffer.concat([tail, chunk]) : chunk;
        if (!isOpen) {
          isOpen = read.includes(OPENING);
          if (!isOpen) return void (tail = read);
          this.#open.push(reader);
          resolve();
        }
        for (let at = read.indexOf(EVENT); at >= 0; at = read.indexOf(EVENT, at + 1)) {
          if (++reader.heard === this.#wave && --this.#missing === 0) this.#done();
        }
        tail = read.subarray(Math.max(0, read.length - EVENT.length + 1));
      });
    });
  }
}
