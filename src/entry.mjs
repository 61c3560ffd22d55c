// The Worker's entry: hands each request over to Rust in one call, and gives each Durable Object the thin
// class that RPC needs. Explicit forwarding is also the list of what may be called.

import { DurableObject } from "cloudflare:workers";
import * as rust from "../build/index.js";
import { readBody } from "./body.mjs";
import openapi from "./openapi.json" with { type: "text" };

/**
 * What Rust's futures take their turns by. The platform's own goes through C++ each time, four microseconds of it; a
 * settled promise's turn is the engine's alone. It is made anew for each: one that two requests share belongs to the
 * first of them. What a turn throws, which only a trap in wasm does, is logged as an unhandled rejection.
 */
globalThis.queueMicrotask = (turn) => void Promise.resolve().then(turn);

/** `MAX_BODY`, asked for once: the settings cannot change while an isolate lives. */
let maxBody;

export default {
  async fetch(request, env, ctx) {
    maxBody ??= rust.Edge.maxBody(env);
    const body = await readBody(request, maxBody);
    if (body === null) return rust.Edge.bodyGivenUp();
    const headers = fieldsOf(request.headers);
    return (await rust.Edge.serve(request.method, request.url, headers, body, env, ctx)) ?? description();
  },
};

/** What `/openapi.json` answers; a test holds it against the routes. */
function description() {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return new Response(openapi, { headers });
}

/** Header fields as `name\nvalue\n…`: one string crosses instead of many. */
function fieldsOf(headers) {
  let text = "";
  headers.forEach((value, name) => {
    text += (text && "\n") + name + "\n" + value;
  });
  return text;
}

/**
 * Runs what answers as src/rpc/ reads it, as one transaction: where the answer is a problem, or a panic comes instead
 * of one, nothing has been written, and what `object` remembers is no better than what its tables hold.
 */
function atomically(storage, object, work) {
  const undo = new Error("undo");
  let answer;
  try {
    storage.transactionSync(() => {
      answer = work();
      if (answer.startsWith("-")) throw undo;
    });
  } catch (error) {
    object.rolledBack();
    if (error !== undo) throw error;
  }
  return answer;
}

export class Device extends DurableObject {
  #rust;

  constructor(ctx, env) {
    super(ctx, env);
    this.#rust = new rust.Device(ctx, env);
  }

  accept(message) {
    return this.#rust.recall(message) ?? this.#whole(() => this.#rust.accept());
  }

  describe() {
    return this.#rust.describe();
  }

  twin(device, operation, body, ifMatch) {
    return atomically(this.ctx.storage, this.#rust, () => this.#rust.twin(device, operation, body, ifMatch));
  }

  commands(device, operation, body) {
    return atomically(this.ctx.storage, this.#rust, () => this.#rust.commands(device, operation, body));
  }

  history(query) {
    return this.#rust.history(query);
  }

  series(plan) {
    return this.#rust.series(plan);
  }

  expire() {
    return this.#whole(() => this.#rust.expire());
  }

  answered(key, reply, tooLarge) {
    return this.#whole(() => this.#rust.answered(key, reply, tooLarge));
  }

  replay(ask) {
    return this.#rust.replay(ask);
  }

  forget() {
    return this.#rust.forget();
  }

  async alarm() {
    await this.#rust.alarmComes();
    this.expire();
    return this.#rust.alarm();
  }

  /** All of it or nothing: what throws in there, a panic included, is rolled back, and forgotten. */
  #whole(work) {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      this.#rust.rolledBack();
      throw error;
    }
  }
}

export class Fleet extends DurableObject {
  #rust;

  constructor(ctx, env) {
    super(ctx, env);
    this.#rust = new rust.Fleet(ctx, env);
  }

  append(message) {
    return this.#whole(() => this.#rust.append(message));
  }

  leave(device, born) {
    return this.#whole(() => this.#rust.leave(device, born));
  }

  forget(device, born) {
    return this.#whole(() => this.#rust.forget(device, born));
  }

  devices(after, limit, filter) {
    return this.#rust.devices(after, limit, filter);
  }

  count(counts) {
    return this.#whole(() => this.#rust.count(counts));
  }

  stats() {
    return this.#rust.stats();
  }

  page(wanted, from, descending, limit) {
    return this.#rust.page(wanted, from, descending, limit);
  }

  /** A reader's socket: only a Worker of this deployment can ask for one. */
  fetch(request) {
    return this.#rust.openReader(request.url);
  }

  webSocketMessage(socket, message) {
    return this.#rust.heard(socket, String(message));
  }

  /** A close must be answered, or the socket stays half open. */
  webSocketClose(socket) {
    socket.close();
  }

  webSocketError(socket) {
    socket.close();
  }

  report(report, notices) {
    return this.#whole(() => this.#rust.report(report, notices));
  }

  askCircuit(host) {
    return this.#whole(() => this.#rust.askCircuit(host));
  }

  attempts(query) {
    return this.#rust.attempts(query);
  }

  outcomes(integration) {
    return this.#rust.outcomes(integration);
  }

  reset(integration, deleted) {
    return this.#whole(() => this.#rust.reset(integration, deleted));
  }

  startJob(job) {
    return this.#whole(() => this.#rust.startJob(job));
  }

  estimate(task, integration, prefixes, device) {
    return this.#rust.estimate(task, integration, prefixes, device);
  }

  jobs(integration) {
    return this.#rust.jobs(integration);
  }

  quarantineAdd(entries) {
    return this.#whole(() => this.#rust.quarantineAdd(entries));
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

  async alarm() {
    const silent = this.#whole(() => this.#rust.expire());
    await this.#rust.sweep(silent);
    await this.#rust.work();
  }

  /** All of it or nothing, as in Device. */
  #whole(write) {
    return this.ctx.storage.transactionSync(write);
  }
}

export class Registry extends DurableObject {
  #rust;

  constructor(ctx, env) {
    super(ctx, env);
    this.#rust = new rust.Registry(ctx, env);
  }

  snapshot(known, shards) {
    return this.#rust.snapshot(known, shards);
  }

  put(kind, name, body) {
    return this.#whole(() => this.#rust.put(kind, name, body));
  }

  get(kind, name) {
    return this.#rust.get(kind, name);
  }

  list(kind, after, limit) {
    return this.#rust.list(kind, after, limit);
  }

  remove(kind, name) {
    return this.#whole(() => this.#rust.remove(kind, name));
  }

  createIntegration(json, host) {
    return this.#whole(() => this.#rust.createIntegration(json, host));
  }

  replaceIntegration(json, seen, host) {
    return this.#whole(() => this.#rust.replaceIntegration(json, seen, host));
  }

  readIntegration(id) {
    return this.#rust.readIntegration(id);
  }

  listIntegrations() {
    return this.#rust.listIntegrations();
  }

  removeIntegration(id) {
    return this.#whole(() => this.#rust.removeIntegration(id));
  }

  pauseIntegration(id, reason) {
    return this.#whole(() => this.#rust.pauseIntegration(id, reason));
  }

  resumeIntegration(id, skip) {
    return this.#whole(() => this.#rust.resumeIntegration(id, skip));
  }

  endSession(id, until, isAdmin) {
    return this.#whole(() => this.#rust.endSession(id, until, isAdmin));
  }

  sessionEnded(id) {
    return this.#rust.sessionEnded(id);
  }

  #whole(write) {
    return atomically(this.ctx.storage, this.#rust, write);
  }
}
