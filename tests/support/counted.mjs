// The shipped entry with counters around it: object calls by method, SQL statements, rows and alarms by class, KV
// operations, crossings between JavaScript and wasm. Nothing that ships is changed; the bindings and the storage that
// reach the shipped code are wrapped.
//
// GET /__counts answers what was counted since the last DELETE /__counts. POST /__alarm?device= or ?shard= does what an
// object's alarm does: those it sets come an hour late, unless REAL_ALARMS is set.

import { crossings, forgetCrossings } from "./crossings.mjs";
import * as shipped from "../../src/entry.mjs";

/** One isolate holds the Worker and its objects locally, so that one table of counts sees them all. */
const nothing = () => ({
  calls: {},
  sql: {},
  written: {},
  read: {},
  alarmsSet: {},
  alarms: {},
  kv: {},
  requests: 0,
});
let counts = nothing();

const add = (table, name, count = 1) => (table[name] = (table[name] ?? 0) + count);

/** Queries whose rows may still be read: what they have read is asked for later. */
let queries = [];

function settleQueries(left = 0) {
  for (const { cursor, className } of queries.splice(0, queries.length - left))
    add(counts.read, className, cursor.rowsRead);
}

/** `env` with each Durable Object namespace counting the calls made on its stubs, as `DEVICE.accept`. */
function countedEnv(env) {
  return intercept(env, (binding, name) => {
    if (typeof binding?.idFromName === "function") return countedNamespace(binding, name);
    return typeof binding?.getWithMetadata === "function" ? countedStore(binding) : binding;
  });
}

function countedStore(store) {
  return intercept(store, (member, method) => {
    if (typeof member !== "function") return member;
    return (...args) => {
      add(counts.kv, method);
      return member.apply(store, args);
    };
  });
}

function countedNamespace(namespace, binding) {
  return intercept(namespace, (member, name) => {
    if (typeof member !== "function") return member;
    const makesStub = name === "get" || name === "getByName";
    return (...args) => {
      const result = member.apply(namespace, args);
      return makesStub ? countedStub(result, binding) : result;
    };
  });
}

function countedStub(stub, binding) {
  return intercept(stub, (member, method) => {
    // A stub answers to every name; these are properties and symbols that nobody calls over RPC.
    if (typeof member !== "function" || typeof method !== "string" || method === "then") return member;
    return (...args) => {
      add(counts.calls, `${binding}.${method}`);
      return stub[method](...args);
    };
  });
}

/** An object class that counts its statements, their rows and its alarms under the class's name. */
function countedClass(Class, name) {
  return class extends Class {
    constructor(ctx, env) {
      countStatements(ctx.storage.sql, name);
      countAlarms(ctx.storage, name, env.REAL_ALARMS ? 0 : 3_600_000);
      super(ctx, countedEnv(env));
    }

    async alarm() {
      add(counts.alarms, name);
      await super.alarm?.();
    }

    alarmNow() {
      return this.alarm();
    }
  };
}

/** In place: the runtime accepts only the state object it made itself, so that cannot be a proxy. */
function countStatements(sql, className) {
  const exec = sql.exec;
  sql.exec = (...args) => {
    add(counts.sql, className);
    const cursor = exec.apply(sql, args);
    add(counts.written, className, cursor.rowsWritten);
    queries.push({ cursor, className });
    if (queries.length > 2_000) settleQueries(1_000);
    return cursor;
  };
}

/** An alarm is set as ever, but comes long after the test: what it does would be counted with another event. */
function countAlarms(storage, className, late) {
  const setAlarm = storage.setAlarm;
  storage.setAlarm = (at, ...options) => {
    add(counts.alarmsSet, className);
    return setAlarm.call(storage, Number(at) + late, ...options);
  };
}

/** A proxy that hands out what `replace` makes of each member; the real object stays the receiver. */
function intercept(target, replace) {
  return new Proxy(target, { get: (_, name) => replace(Reflect.get(target, name, target), name) });
}

export const Device = countedClass(shipped.Device, "Device");
export const Fleet = countedClass(shipped.Fleet, "Fleet");
export const Registry = countedClass(shipped.Registry, "Registry");

export default {
  ...shipped.default,
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/__alarm") {
      const device = searchParams.get("device");
      const object = device ? env.DEVICE.getByName(device) : env.FLEET.getByName(searchParams.get("shard"));
      await object.alarmNow();
      return new Response(null, { status: 204 });
    }
    if (pathname !== "/__counts") {
      counts.requests += 1;
      return shipped.default.fetch(request, countedEnv(env), ctx);
    }
    settleQueries();
    const seen = structuredClone({ ...counts, crossings });
    if (request.method === "DELETE") {
      counts = nothing();
      forgetCrossings();
    }
    return Response.json(seen);
  },
};
