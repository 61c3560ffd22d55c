// The shipped entry with counters around it: object calls by method, SQL statements by class. Nothing that ships
// is changed; the bindings and the storage that reach the shipped code are wrapped.
//
// GET /__counts answers what was counted since the last DELETE /__counts.

import * as shipped from "../../src/entry.mjs";

/** One isolate holds the Worker and its objects locally, so that one table of counts sees them all. */
const counts = { calls: {}, sql: {} };

const add = (table, name) => (table[name] = (table[name] ?? 0) + 1);

/** `env` with each Durable Object namespace counting the calls made on its stubs, as `DEVICE.accept`. */
function countedEnv(env) {
  return intercept(env, (binding, name) =>
    typeof binding?.idFromName === "function" ? countedNamespace(binding, name) : binding,
  );
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

/** An object class whose `ctx.storage.sql.exec` counts its statements under the class's name. */
function countedClass(Class, name) {
  return class extends Class {
    constructor(ctx, env) {
      countStatements(ctx.storage.sql, name);
      postponeAlarms(ctx.storage);
      super(ctx, countedEnv(env));
    }
  };
}

/** In place: the runtime accepts only the state object it made itself, so that cannot be a proxy. */
function countStatements(sql, className) {
  const exec = sql.exec;
  sql.exec = (...args) => {
    add(counts.sql, className);
    return exec.apply(sql, args);
  };
}

/** An alarm is set as ever, but comes long after the test: what it does would be counted with another event. */
function postponeAlarms(storage) {
  const setAlarm = storage.setAlarm;
  storage.setAlarm = (at, ...options) => setAlarm.call(storage, Number(at) + 3_600_000, ...options);
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
    if (new URL(request.url).pathname !== "/__counts")
      return shipped.default.fetch(request, countedEnv(env), ctx);
    const seen = structuredClone(counts);
    if (request.method === "DELETE") [counts.calls, counts.sql] = [{}, {}];
    return Response.json(seen);
  },
};
