// Floods that a stranger, or one device gone wild, can make. Each goes on until it is ended.

import { setTimeout as sleep } from "node:timers/promises";
import { anEvent } from "./client.mjs";
import { slowClients } from "./slow.mjs";
import { TOKEN } from "./worker.mjs";

const CONNECTIONS = 1_000;
const STARTED = "POST /hook HTTP/1.1\r\nhost: fieldhook\r\ncontent-type: application/json\r\n";
const PROVEN = `authorization: Bearer ${TOKEN}\r\n`;
const LARGE = "x".repeat(200_000);
/** Long enough for the first drops of every connection. */
const UNDER_WAY = 1_500;

/** Connections that begin and never finish: `slow(…)(worker)` answers them. */
const slow = (begin, drip) => async (worker) => {
  const clients = await slowClients(worker.url, CONNECTIONS, { begin, drip });
  await sleep(UNDER_WAY);
  return clients;
};

/** Senders that wait for each answer, all the time. */
const busy = (senders, request) => async (worker) => {
  const statuses = new Map();
  let ended = false;
  const sending = Array.from({ length: senders }, async () => {
    while (!ended) {
      const answer = await worker.fetch("/hook", request());
      await answer.arrayBuffer();
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    }
  });
  await sleep(UNDER_WAY);
  return {
    statuses,
    async end() {
      ended = true;
      await Promise.all(sending);
    },
  };
};

const publishing = (event, token) => ({
  method: "POST",
  headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  body: JSON.stringify(event),
});

export const slowHeaders = slow(`${STARTED}x-slow: `, "x");
export const slowBodies = slow(`${STARTED}${PROVEN}content-length: 10000\r\n\r\n{`, "x");
export const slowLargeBodies = slow(`${STARTED}${PROVEN}content-length: 262000\r\n\r\n${LARGE}`, "x");
const chunked = `transfer-encoding: chunked\r\n\r\n${LARGE.length.toString(16)}\r\n${LARGE}\r\n`;
export const slowChunkedBodies = slow(`${STARTED}authorization: Bearer guessed\r\n${chunked}`, "1\r\nx\r\n");
export const badTokens = busy(16, () => publishing(anEvent(), "guessed"));
export const oneDevice = busy(16, () => publishing(anEvent({ coreid: "gone-wild" }), TOKEN));
