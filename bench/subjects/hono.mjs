// The same with Hono in front: its router, its context and its error handling, then the same objects by RPC.

import { Hono } from "hono";
import { answerTo, isSigned, readEvents, Refused } from "./plain-front.mjs";
import { commit } from "./plain.mjs";

export { Device, Fleet, Registry } from "./plain-objects.mjs";

const app = new Hono();

app.on(["GET", "POST", "PUT", "DELETE"], "/hook", async (context) => {
  const body = await context.req.arrayBuffer();
  if (!(await isSigned(context.req.header("x-hub-signature-256"), context.env.HMAC_SECRETS, body))) {
    throw new Refused(401, "bad-signature");
  }
  const { isBatch, events } = await readEvents(body);
  const { status, headers, body: reply } = answerTo(isBatch, await commit(context.env, events));
  return context.body(reply, status, headers);
});

app.onError((error, context) => {
  if (!(error instanceof Refused)) throw error;
  const { status, headers, body } = error.answer();
  return context.body(body, status, headers);
});

export default app;
