// The shipped entry, but statements in objects can be told to fail: PUT /__break with a text, and each statement that
// has it in its SQL or its values throws, as with a full disk. `object:NAME` breaks every statement of the object with that
// name, an empty text mends them. Bundled into the Worker, so it imports nothing of the tests.

import * as shipped from "../../src/entry.mjs";

let broken = "";

const isBroken = (object, args) =>
  broken.startsWith("object:")
    ? broken === `object:${object}`
    : broken && args.some((part) => `${part}`.includes(broken));

const breaking = (Class) =>
  class extends Class {
    constructor(ctx, env) {
      const { sql } = ctx.storage;
      const exec = sql.exec;
      // In place: the runtime accepts only the state object it made itself.
      sql.exec = (...args) => {
        if (isBroken(ctx.id.name, args)) throw new Error("the disk is full");
        return exec.apply(sql, args);
      };
      super(ctx, env);
    }
  };

export const Device = breaking(shipped.Device);
export const Fleet = breaking(shipped.Fleet);
export const Registry = breaking(shipped.Registry);

export default {
  ...shipped.default,
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname !== "/__break") return shipped.default.fetch(request, env, ctx);
    broken = await request.text();
    return new Response(null, { status: 204 });
  },
};
