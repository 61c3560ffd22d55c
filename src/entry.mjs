// The Worker's entry: hands each request over to Rust in one call, and gives each Durable Object the thin
// class that RPC needs. Explicit forwarding is also the list of what may be called.

import { DurableObject } from "cloudflare:workers";
import * as rust from "../build/index.js";

const MAX_BODY = 262144;

export default {
  async fetch(request, env, ctx) {
    const limit = Number(env.MAX_BODY) || MAX_BODY;
    const body = await readBody(request, limit);
    return rust.Edge.serve(request.method, request.url, flat(request.headers), body, env, ctx);
  },
};

/** Header fields as `name\nvalue\n…`: one string crosses instead of many. */
function flat(headers) {
  let text = "";
  for (const [name, value] of headers) text += (text && "\n") + name + "\n" + value;
  return text;
}

/** The body's bytes, or undefined where there are more than `limit`; never reads further than that. */
async function readBody(request, limit) {
  if (request.body === null) return new Uint8Array();
  const length = request.headers.get("content-length");
  if (length !== null) {
    return Number(length) > limit ? undefined : new Uint8Array(await request.arrayBuffer());
  }
  const parts = [];
  let size = 0;
  for await (const part of request.body) {
    size += part.byteLength;
    if (size > limit) return undefined;
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

export class Device extends DurableObject {
  #rust;

  constructor(ctx, env) {
    super(ctx, env);
    this.#rust = new rust.Device(ctx, env);
  }

  /** All of it or nothing: what throws in there, a panic included, is rolled back. */
  accept(message) {
    return this.ctx.storage.transactionSync(() => this.#rust.accept(message));
  }

  describe() {
    return this.#rust.describe();
  }

  twin(device, operation, body, ifMatch) {
    return this.#rust.twin(device, operation, body, ifMatch);
  }

  commands(device, operation, body) {
    return this.#rust.commands(device, operation, body);
  }

  history(query) {
    return this.#rust.history(query);
  }

  series(plan) {
    return this.#rust.series(plan);
  }

  forget() {
    return this.#rust.forget();
  }

  alarm() {
    return this.#rust.alarm();
  }
}

export class Fleet extends DurableObject {
  #rust;

  constructor(ctx, env) {
    super(ctx, env);
    this.#rust = new rust.Fleet(ctx, env);
  }

  register(device, firstHeard) {
    return this.#rust.register(device, firstHeard);
  }

  forget(device) {
    return this.#rust.forget(device);
  }

  devices(after, limit) {
    return this.#rust.devices(after, limit);
  }

  quarantineAdd(entries) {
    return this.#rust.quarantineAdd(entries);
  }

  quarantineList(before, limit) {
    return this.#rust.quarantineList(before, limit);
  }

  quarantineRead(number) {
    return this.#rust.quarantineRead(number);
  }

  quarantineRemove(number) {
    return this.#rust.quarantineRemove(number);
  }

  alarm() {
    return this.#rust.alarm();
  }
}

export class Registry extends DurableObject {
  #rust;

  constructor(ctx, env) {
    super(ctx, env);
    this.#rust = new rust.Registry(ctx, env);
  }

  snapshot(known) {
    return this.#rust.snapshot(known);
  }

  put(kind, name, body) {
    return this.#rust.put(kind, name, body);
  }

  get(kind, name) {
    return this.#rust.get(kind, name);
  }

  list(kind, after, limit) {
    return this.#rust.list(kind, after, limit);
  }

  remove(kind, name) {
    return this.#rust.remove(kind, name);
  }
}
