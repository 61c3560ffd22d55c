// Calls to the public API, with the cookie of the session. An error is an ApiProblem, whatever went wrong.

import { parse } from "./json.mjs";
import { signal } from "./preact.mjs";

/** undefined until it is known, null when signed out, else `{ scope: "read" | "admin", expires_at }`. */
export const session = signal(undefined);
/** Why the session ended, where it was not asked to. */
export const signedOut = signal(null);
/** Whether the API answered when it was asked last. */
export const reachable = signal(true);

/** Problem JSON as it was answered, or what stands for it where no answer came. */
export class ApiProblem extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? problem.code);
    const { status = 0, code = "unknown", title = "", detail = "", field } = problem;
    Object.assign(this, { status, code, title, detail, field, retryAfter: problem.retryAfter });
  }
}

const OFFLINE = {
  code: "unreachable",
  title: "fieldhook does not answer",
  detail: "no answer came: the network, or the Worker itself, is down. What was accepted is kept.",
};

/** So long is waited for the beginning of an answer, ms: a delivery that is tried on demand may take twenty seconds. */
const PATIENCE = 45_000;

export const isAdmin = () => session.value?.scope === "admin";
/** For `disabled` and `title` of what changes something: a reason where it may not be done. */
export const adminOnly = () =>
  isAdmin() ? undefined : "Needs an admin token: you are signed in to read only.";

/**
 * One request. `json` is a value to send, `body` a text as it is.
 *
 * @returns {Promise<{ data: unknown, text: string, headers: Headers, status: number }>}
 */
export async function request(method, path, { json, body, headers = {}, signal: abort } = {}) {
  const response = await answer(path, {
    method,
    body: json === undefined ? body : JSON.stringify(json),
    headers: {
      accept: "application/json",
      ...(method === "GET" ? {} : { "x-fieldhook-request": "1" }),
      ...(json === undefined && body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    signal: abort,
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return {
    data: isJson && text ? parse(text) : text,
    text,
    headers: response.headers,
    status: response.status,
  };
}

/** `fetch`, where everything but 2xx is thrown as an ApiProblem. Aborting throws AbortError, as ever. */
export async function answer(path, { signal: given, ...init } = {}) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE);
  const either = given ? AbortSignal.any([given, late.signal]) : late.signal;
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...init, signal: either });
  } catch (error) {
    if (error.name === "AbortError" && !late.signal.aborted) throw error;
    reachable.value = false;
    throw new ApiProblem(OFFLINE);
  } finally {
    clearTimeout(timer);
  }
  reachable.value = true;
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401 && !path.startsWith("/v1/session")) {
    if (session.value)
      signedOut.value = "Your session has ended. Paste a token to go on; you stay on this page.";
    session.value = null;
  }
  throw problem;
}

async function problemOf(response) {
  let problem;
  try {
    problem = parse(await response.text());
  } catch {
    problem = { code: "no-problem-json", detail: `the answer was ${response.status}, without a reason` };
  }
  return new ApiProblem({
    ...problem,
    status: response.status,
    retryAfter: Number(response.headers.get("retry-after")) || undefined,
  });
}

/** Reads: only the data. */
export const get = async (path, options) => (await request("GET", path, options)).data;
export const send = async (method, path, json, options) =>
  (await request(method, path, { json, ...options })).data;

/** `path?…`, without what is undefined, null or empty. */
export function withQuery(path, query) {
  const kept = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const text = new URLSearchParams(kept).toString();
  return text ? `${path}?${text}` : path;
}

/** A page of a bare array and the path of the next one, from `Link`; null on the last. */
export async function page(path, options) {
  const { data, headers } = await request("GET", path, options);
  const next = /<([^>]*)>; *rel="?next"?/.exec(headers.get("link") ?? "")?.[1];
  if (!next) return { items: data, next: null };
  const { pathname, search } = new URL(next, location.href);
  return { items: data, next: pathname + search };
}

/** Whether there is a session. */
export async function readSession() {
  try {
    session.value = await get("/v1/session");
  } catch (error) {
    session.value = null;
    if (error.code === "unreachable") throw error;
  }
}

/** Exchanges a token for the cookie. The token is not kept. */
export async function signIn(token) {
  session.value = await send("POST", "/v1/session", { token });
  signedOut.value = null;
}

/** Ends the session. Where that fails the cookie still opens everything, and the page does not say otherwise. */
export async function signOut() {
  try {
    await send("DELETE", "/v1/session");
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  session.value = null;
}
