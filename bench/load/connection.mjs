// One connection of HTTP/1.1, one request at a time: as little as can be, so that the load is no limit.

import { connect } from "node:net";

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "0\r\n\r\n";

export class Connection {
  #socket;
  #read = "";
  #answered;
  #failed;

  constructor(port) {
    this.#socket = connect(port, "127.0.0.1").setNoDelay(true).setEncoding("latin1");
    this.#socket.on("data", (text) => this.#take(text));
    const fail = (why) => this.#failed?.(new Error(`the connection ended: ${why?.message ?? "closed"}`));
    this.#socket.on("error", fail).on("close", fail);
  }

  /** Sends a request; resolves with `{ status, head, body }` once the answer is whole. */
  send(bytes) {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(bytes);
    });
  }

  close() {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #take(text) {
    this.#read += text;
    const end = this.#read.indexOf(HEAD_END);
    if (end < 0) return;
    const head = this.#read.slice(0, end);
    const body = this.#read.slice(end + HEAD_END.length);
    if (!isWhole(head, body)) return;
    this.#read = "";
    this.#answered({ status: Number(head.slice(9, 12)), head, body });
  }
}

function isWhole(head, body) {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (length) return body.length >= Number(length[1]);
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return body.endsWith(LAST_CHUNK);
  return true;
}
