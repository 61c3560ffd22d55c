// The Worker's way of an event in plain JavaScript, up to the object: what a capable user would write with WebCrypto.
// Shared by the plain Worker, the Hono one and the Express server, so that all three decide alike.

const encoder = new TextEncoder();
const decoder = new TextDecoder();
let imported;

/** Whether a body carries our HMAC, as GitHub and others sign: `sha256=<hex>`. */
export async function isSigned(header, secret, body) {
  if (!header?.startsWith("sha256=") || header.length !== 71) return false;
  imported ??= await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  const given = Uint8Array.from(header.slice(7).match(/../g), (pair) => parseInt(pair, 16));
  return crypto.subtle.verify("HMAC", imported, given, body);
}

/** The events of a body: one, or an array of them. Throws a `Refused`. */
export async function readEvents(body) {
  let read;
  try {
    read = JSON.parse(decoder.decode(body));
  } catch {
    throw new Refused(400, "bad-json");
  }
  const all = Array.isArray(read) ? read : [read];
  return { isBatch: Array.isArray(read), events: await Promise.all(all.map(eventOf)) };
}

/** One event with every field checked, as its row will hold it. */
async function eventOf(fields) {
  const { event, data, coreid, event_id, published_at, product_id, fw_version, ...extra } = fields;
  if (typeof event !== "string" || event === "" || event.length > 64) throw new Refused(400, "missing-field");
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(coreid)) throw new Refused(400, "bad-field");
  if (typeof event_id !== "string") throw new Refused(401, "stale-signature");
  const details = {
    id: event_id,
    coreid,
    published_at: Date.parse(published_at),
    source: "default",
    product_id,
    fw_version,
    extra: Object.keys(extra).length ? extra : undefined,
  };
  return {
    key: await dedupKey(coreid, event_id),
    device: coreid,
    event,
    data: typeof data === "string" ? data : JSON.stringify(data),
    details: JSON.stringify(details),
  };
}

async function dedupKey(coreid, id) {
  const parts = [encoder.encode(coreid), encoder.encode(id)];
  const input = new Uint8Array(parts[0].length + parts[1].length + 16);
  const view = new DataView(input.buffer);
  let at = 0;
  for (const part of parts) {
    view.setBigUint64(at, BigInt(part.length));
    input.set(part, at + 8);
    at += 8 + part.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", input));
  return btoa(String.fromCharCode(...digest))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** A request that is not taken. */
export class Refused extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
    this.code = code;
  }

  /** Problem JSON (RFC 9457), with the headers that go with its status. */
  answer() {
    const { status, code } = this;
    const body = { type: `urn:fieldhook:problem:${code}`, title: code, status, code, detail: code };
    const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
    if (status === 401) headers["www-authenticate"] = 'Bearer realm="fieldhook"';
    if (status === 405) headers.allow = "GET, POST, PUT, DELETE";
    return { status, headers, body: JSON.stringify(body) };
  }
}

/** What a caller is told of what was taken: a reply for one event, a count for a batch. */
export function answerTo(isBatch, outcomes) {
  if (isBatch) {
    const duplicates = outcomes.filter(({ duplicate }) => duplicate).length;
    const body = JSON.stringify({ accepted: outcomes.length - duplicates, duplicates, refused: [] });
    return { status: 200, headers: { "content-type": "application/json" }, body };
  }
  const [{ duplicate, reply }] = outcomes;
  const headers = duplicate ? { "fieldhook-duplicate": "true" } : {};
  return { status: reply ? 200 : 204, headers, body: reply || null };
}
