// Requests whose only proof is a signature, and the secrets that tests sign with.

import { newDevice, newId } from "./send.mjs";
import { HUB_SECRET, WHSEC } from "./worker.mjs";

export const OTHER_WHSEC = "whsec_b3RoZXItc2lnbmluZy1zZWNyZXQtOTg3NjU0MzIx";
export const OTHER_HUB_SECRET = "an other hub secret: ü-9876543210";
/** Two of each kind, as `HMAC_SECRETS`. */
export const SECRETS = [WHSEC, HUB_SECRET, OTHER_WHSEC, OTHER_HUB_SECRET].join(",");

export const secondsAgo = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

/** The exact text of an event as a sender signs it. */
export const eventText = (fields = {}) =>
  JSON.stringify({ event: "temp", data: "1", coreid: newDevice(), event_id: newId(), ...fields });

/** A request whose only proof is this signature. */
export const signedBy = (headers, body, more = {}) => ({
  json: body,
  token: null,
  ...more,
  headers: { ...headers, ...more.headers },
});
