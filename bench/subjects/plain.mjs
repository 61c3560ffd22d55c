// The Worker's work in plain JavaScript: WebCrypto, one RPC to the device's object, no library. What everything else
// is held against.

import { answerTo, isSigned, readEvents, Refused } from "./plain-front.mjs";
import { openStream } from "./plain-stream.mjs";

export { Device, Fleet, Registry } from "./plain-objects.mjs";

const METHODS = ["GET", "POST", "PUT", "DELETE"];

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/events") return openStream(request, env);
    if (pathname === "/healthz") return Response.json({ status: "ok" });
    try {
      if (pathname !== "/hook") throw new Refused(404, "not-found");
      return respond(await takeIn(request, env));
    } catch (error) {
      if (error instanceof Refused) return respond(error.answer());
      throw error;
    }
  },
};

async function takeIn(request, env) {
  if (!METHODS.includes(request.method)) throw new Refused(405, "method-not-allowed");
  const body = await request.arrayBuffer();
  const signature = request.headers.get("x-hub-signature-256");
  if (!signature) throw new Refused(401, "no-proof");
  if (!(await isSigned(signature, env.HMAC_SECRETS, body))) throw new Refused(401, "bad-signature");
  const { isBatch, events } = await readEvents(body);
  const outcomes = await commit(env, events);
  return answerTo(isBatch, outcomes);
}

/** One object call per device. */
export async function commit(env, events) {
  const calls = Map.groupBy(events, ({ device }) => device);
  const at = Date.now();
  const answers = [...calls].map(([device, events]) =>
    env.DEVICE.getByName(device).accept(device, at, events),
  );
  return (await Promise.all(answers)).flat();
}

function respond({ status, headers, body }) {
  return new Response(body, { status, headers });
}
