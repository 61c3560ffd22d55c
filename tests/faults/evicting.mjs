// The shipped entry, with objects that can be thrown out of memory, as the platform does between any two requests:
// PUT /__evict with a list of [binding, name]. Bundled into the Worker, so it imports nothing of the tests.

import * as shipped from "../../src/entry.mjs";

let made = 0;

const evictable = (Class) =>
  class extends Class {
    constructor(ctx, env) {
      super(ctx, env);
      made += 1;
    }

    /** What it has written is on disk first: an eviction loses memory and nothing else. */
    async evict() {
      await this.ctx.storage.sync();
      this.ctx.abort("evicted by a test");
    }
  };

export const Device = evictable(shipped.Device);
export const Fleet = evictable(shipped.Fleet);
export const Registry = evictable(shipped.Registry);

export default {
  ...shipped.default,
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname !== "/__evict") return shipped.default.fetch(request, env, ctx);
    for (const [binding, name] of await request.json()) {
      // Whoever throws an object out is told that it broke.
      await env[binding]
        .getByName(name)
        .evict()
        .catch(() => {});
    }
    return Response.json({ made });
  },
};
