// The shipped entry, with an eye on what streams hold: how often a shard's object was made, how many sockets it has,
// and how many streams live in wasm. A shard can be made to fail, as when a machine goes away. Bundled into the
// Worker, so it imports nothing of the tests.

import * as rust from "../../build/index.js";
import * as shipped from "../../src/entry.mjs";

/** How many shards there are, if the shards are to say another number than the Worker's settings. */
let shards;

const counts = { shardsMade: 0, streamsMade: 0, streamsFreed: 0 };

const { __wrap: wrap } = rust.Stream;
rust.Stream.__wrap = (pointer) => {
  counts.streamsMade += 1;
  return wrap.call(rust.Stream, pointer);
};
const { free } = rust.Stream.prototype;
rust.Stream.prototype.free = function () {
  counts.streamsFreed += 1;
  return free.call(this);
};

export class Fleet extends shipped.Fleet {
  constructor(ctx, env) {
    super(ctx, env);
    counts.shardsMade += 1;
  }

  async fetch(request) {
    const response = await super.fetch(request);
    if (!shards || !response.webSocket) return response;
    const headers = { ...Object.fromEntries(response.headers), "fieldhook-shards": String(shards) };
    return new Response(null, { status: 101, webSocket: response.webSocket, headers });
  }

  sockets() {
    return this.ctx.getWebSockets().length;
  }

  fail() {
    this.ctx.abort("a test asked for it");
  }
}

export { Device, Registry } from "../../src/entry.mjs";

export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    const shard = () => env.FLEET.getByName(searchParams.get("shard") ?? "shard-0");
    if (pathname === "/__counts") return Response.json(counts);
    if (pathname === "/__sockets") return Response.json(await shard().sockets());
    if (pathname === "/__fail") {
      await shard()
        .fail()
        .catch(() => {});
      return new Response(null, { status: 204 });
    }
    if (pathname === "/__shards") {
      shards = Number(searchParams.get("count"));
      return new Response(null, { status: 204 });
    }
    if (pathname === "/__append") {
      const [device, seq] = [searchParams.get("device"), Number(searchParams.get("seq"))];
      const details = { id: `${device}-${seq}`, coreid: device, published_at: 1, source: "default" };
      // As core/src/flat.rs has it: the format; device, born, base, not_before, first_heard; how many are sent, and of
      // each seq, received_at, event, data, details, key, reply.
      const text = (value) => `${value.length}:${value}`;
      const sent = `${seq};1;${text("temp")}${text("1")}${text(JSON.stringify(details))}${text("")}${text("")}`;
      const run = `1${text(device)}1;${seq - 1};0;1;1;${sent}`;
      return new Response(await shard().append(run));
    }
    return shipped.default.fetch(request, env, ctx);
  },
};
