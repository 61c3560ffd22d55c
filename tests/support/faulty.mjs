// The shipped entry with bindings that can be told to fail: PUT /__fail with a list of `KV.put` and
// `REGISTRY.snapshot`. Bundled into the Worker, so it imports nothing of the tests.

import shipped from "../../src/entry.mjs";

export { Device, Fleet, Registry } from "../../src/entry.mjs";

let failing = [];

/** `target` with one method that can fail. A stub takes every name for a remote method: call it by its name. */
function failingWhen(name, target, method) {
  return new Proxy(target, {
    get: (object, property) =>
      typeof object[property] !== "function"
        ? object[property]
        : (...args) => {
            if (property === method && failing.includes(name))
              return Promise.reject(new Error(`${name} fails`));
            return object[property](...args);
          },
  });
}

export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/__fail") {
      failing = await request.json();
      return new Response(null, { status: 204 });
    }
    const registry = {
      getByName: (name) => failingWhen("REGISTRY.snapshot", env.REGISTRY.getByName(name), "snapshot"),
    };
    const kv = failingWhen("KV.put", env.DEDUP, "put");
    return shipped.fetch(request, { ...env, REGISTRY: registry, DEDUP: kv }, ctx);
  },
};
