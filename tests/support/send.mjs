// Sends events to a Worker under test and reads back what became of them, through its public surface only.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import { ADMIN, HUB_SECRET, READ, TOKEN, WHSEC } from "./worker.mjs";

/** What Particle's cloud calls itself. */
export const PARTICLE_AGENT = "ParticleBot/1.1 (https://docs.particle.io/webhooks)";

/** A Worker whose Device objects cannot commit what holds `FAILS`: see failing.mjs. */
export const FAILING = fileURLToPath(new URL("failing.mjs", import.meta.url));
export const FAILS = "this-cannot-be-committed";

const FORM = "application/x-www-form-urlencoded";

/** An id no other test uses, in the form of Particle's own. */
export const newDevice = () => `e00fce68${randomBytes(8).toString("hex")}`;

/** An event id no other test uses. */
export const newId = () => `id-${randomBytes(8).toString("hex")}`;

/** A source name no other test uses; what comes in without a device is found under `source:<name>`. */
export const newSource = () => `source-${randomBytes(6).toString("hex")}`;

export const bearer = (token) => ({ authorization: `Bearer ${token}` });
export const basic = (user, password) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

/**
 * Sends one request to `/hook`. Nothing is added that is not asked for, but the token.
 *
 * @param {object} request
 * @param {unknown} [request.json] a JSON body: a value, or its exact text
 * @param {Record<string, string>} [request.form] a urlencoded body
 * @param {string | Buffer} [request.body] any other body, without a Content-Type of its own
 * @param {Record<string, string> | string} [request.query]
 * @param {string} [request.source] sends to `/hook/{source}`
 * @param {string | null} [request.token] `null` sends no token
 */
export function send(
  worker,
  { method = "POST", source, query = {}, headers = {}, token = TOKEN, ...content } = {},
) {
  const { type, body } = encode(content);
  const search = new URLSearchParams(query).toString();
  const path = (source === undefined ? "/hook" : `/hook/${source}`) + (search && `?${search}`);
  const typed = type ? { "content-type": type } : {};
  const proof = token === null ? {} : bearer(token);
  return worker.fetch(path, { method, headers: { ...typed, ...proof, ...headers }, body });
}

function encode({ json, form, body }) {
  if (json !== undefined) {
    return {
      type: "application/json",
      body: Buffer.from(typeof json === "string" ? json : JSON.stringify(json)),
    };
  }
  if (form !== undefined) return { type: FORM, body: Buffer.from(new URLSearchParams(form).toString()) };
  // As bytes: for a string, fetch would add a Content-Type.
  return { body: body === undefined ? undefined : Buffer.from(body) };
}

/** Sends what must be accepted without a reply; answers the response. */
export async function accepted(worker, request) {
  const response = await send(worker, request);
  const body = await response.text();
  assert.equal(response.status, 204, `${response.status} ${body}`);
  return response;
}

/** Sends what must be refused; answers the problem, its shape checked. */
export async function refused(worker, status, request) {
  return problemOf(await send(worker, request), status);
}

/** Problem JSON (RFC 9457) as DESIGN.md, "Shapes", has it. */
export async function problemOf(response, status) {
  const text = await response.text();
  assert.equal(response.status, status, `${response.status} ${text}`);
  assert.match(response.headers.get("content-type"), /^application\/problem\+json/);
  const problem = JSON.parse(text);
  for (const member of ["type", "title", "code", "detail"]) {
    assert.equal(typeof problem[member], "string", `${member} in ${text}`);
    assert.notEqual(problem[member], "", `${member} in ${text}`);
  }
  assert.equal(problem.status, status, text);
  assert.match(problem.code, /^[a-z0-9]+(-[a-z0-9]+)*$/);
  return problem;
}

export const isDuplicate = (response) => response.headers.get("fieldhook-duplicate") === "true";

/** A call to `/v1`, with the admin token unless another is given. `json` is a body to send. */
export function api(worker, method, path, { json, token = ADMIN, headers = {} } = {}) {
  const typed = json === undefined ? {} : { "content-type": "application/json" };
  const proof = token === null ? {} : bearer(token);
  const body = json === undefined ? undefined : JSON.stringify(json);
  return worker.fetch(path, { method, headers: { ...typed, ...proof, ...headers }, body });
}

/** The history's exact text, for what JSON.parse would lose: digits. */
export async function historyText(worker, device) {
  const path = `/v1/devices/${encodeURIComponent(device)}/history?limit=1000`;
  const response = await api(worker, "GET", path, { token: READ });
  const text = await response.text();
  if (response.status === 404) return '{"events":[]}';
  assert.equal(response.status, 200, text);
  return text;
}

/** All events in a device's log; none for a device that is not known. */
export async function eventsOf(worker, device) {
  return JSON.parse(await historyText(worker, device)).events;
}

/** The one event in a device's log. */
export async function eventOf(worker, device) {
  const events = await eventsOf(worker, device);
  assert.equal(events.length, 1, `one event of ${device}: ${JSON.stringify(events)}`);
  return events[0];
}

/** What is in quarantine for one source, newest first. */
export async function quarantineOf(worker, source) {
  const response = await api(worker, "GET", "/v1/quarantine?limit=1000");
  assert.equal(response.status, 200);
  const { quarantine } = await response.json();
  return quarantine.filter((entry) => entry.source === source);
}

/** Standard Webhooks headers, signed by the library its senders use. `age` is in seconds. */
export function standardHeaders(body, { id = newId(), age = 0, secret = WHSEC } = {}) {
  const at = new Date(Date.now() - age * 1000);
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, at, String(body)),
  };
}

/** `x-hub-signature-256` over the body. */
export function hubHeaders(body, secret = HUB_SECRET) {
  return { "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}` };
}
