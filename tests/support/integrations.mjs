// A Worker that delivers, with waits that a test can sit out, and what tests ask about its integrations.

import assert from "node:assert/strict";
import { anEvent, clientOf, until } from "./client.mjs";
import { formOf, startService } from "./service.mjs";
import { startWorker } from "./worker.mjs";

/** Three attempts within a second, and targets on this machine. */
export const QUICK = {
  RETRY_SCHEDULE: "0.2,0.4",
  DELIVERY_TIMEOUT: "1",
  CIRCUIT_PROBE: "1",
  ALLOW_PRIVATE_TARGETS: "true",
};
/** How many attempts that makes. */
export const ATTEMPTS = 3;
/** Long enough for every delivery of a test on a slow machine. */
export const WITHIN = 60_000;

/** A Worker, its client, and a service for it to deliver to; `stop` ends both. */
export async function startDelivering({ vars, ...options } = {}) {
  const service = await startService();
  const worker = await startWorker({ network: true, vars: { ...QUICK, ...vars }, ...options });
  const client = clientOf(worker);
  return {
    worker,
    client,
    service,
    integrations: integrationsOf(client),
    stop: () => Promise.all([worker.stop(), service.stop()]),
  };
}

let count = 0;
/** A name that no other integration or device of this run has: prefixes of events must not overlap. */
export const unique = (what = "event") => `${what}-${(count += 1)}-`;

/** What `/v1/integrations` does, answers checked. */
export function integrationsOf(client) {
  const path = (id, rest = "") => `/v1/integrations/${id}${rest}`;
  const ok = async (method, where, body) => {
    const answer = await client.admin(method, where, body);
    assert.ok([200, 201, 202].includes(answer.status), `${method} ${where}: ${answer.text}`);
    return answer.body;
  };
  const page = async (id, query) => ok("GET", path(id, `/attempts?limit=1000&${query}`));
  const integrations = {
    /** Creates one and answers its id. */
    create: async (definition, under = "/v1/integrations") => (await ok("POST", under, definition)).id,
    get: (id) => ok("GET", path(id)),
    remove: (id) => ok("DELETE", path(id)),
    pause: (id) => ok("POST", path(id, "/pause"), {}),
    resume: (id, body = {}) => ok("POST", path(id, "/resume"), body),
    rotate: (id, body = {}) => ok("POST", path(id, "/rotate"), body),
    replay: (id, body) => client.admin("POST", path(id, "/replay"), body),
    /** The attempts that are kept, as they are listed; `query` filters. */
    async attempts(id, query = "") {
      const attempts = [];
      for (let after = ""; after !== null;) {
        const { attempts: some, next } = await page(
          id,
          `${query}${after && `&after=${encodeURIComponent(after)}`}`,
        );
        attempts.push(...some);
        after = next;
      }
      return attempts;
    },
    /** Waits until so many attempts that `which` names are listed: they are reported after they were made. */
    async haveAttempts(id, howMany, which = () => true, query = "") {
      let seen = [];
      const toString = () => `${howMany} attempts of ${id} (${JSON.stringify(seen)} came)`;
      const look = async () => {
        seen = (await integrations.attempts(id, query)).filter(which);
        return seen.length >= howMany;
      };
      await until(look, { within: WITHIN, every: 100, what: { toString } });
      return seen;
    },
    /** Waits until an integration is `active` or `paused`, and answers it. */
    async becomes(id, status) {
      let seen;
      const toString = () => `${status} (it is ${JSON.stringify(seen)})`;
      const look = async () => (seen = await integrations.get(id)).status === status;
      await until(look, { within: WITHIN, every: 100, what: { toString } });
      return seen;
    },
  };
  return integrations;
}

/** In the order in which they were made, whatever the list's is. */
export const byTime = (attempts) =>
  attempts.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at) || a.attempt - b.attempt);

/** Publishes one event and answers it. */
export async function publish(client, fields, options) {
  const event = anEvent(fields);
  await client.accepted(event, options);
  return event;
}

/** Publishes one after another, so that their order is known. */
export async function publishInTurn(client, datas, fields) {
  for (const data of datas) await publish(client, { ...fields, data: String(data) });
}

/** The fields of each request, where the body is a form. */
export const formsOf = (requests) => requests.map(formOf);

/** The data of each request, where the body is Particle's form. */
export const datasOf = (requests) => formsOf(requests).map(({ data }) => data);

/** The webhook-id of each request. */
export const idsOf = (requests) => requests.map(({ headers }) => headers["webhook-id"]);

/** Those that went through, each once: what a service that heeds `webhook-id` keeps. */
export function onceEach(requests) {
  const seen = new Map();
  for (const request of requests) {
    const id = request.headers["webhook-id"];
    if (!seen.has(id)) seen.set(id, request);
  }
  return [...seen.values()];
}
