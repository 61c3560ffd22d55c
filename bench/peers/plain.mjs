// The same work as the Worker's hot path, written plainly in JavaScript: HMAC proof with WebCrypto, the same
// dedup key, one RPC to the device's object, one INSERT into the same table. What a capable user would write.

import { DurableObject } from "cloudflare:workers";

const encoder = new TextEncoder();
let secret;

export default {
  async fetch(request, env) {
    const body = new Uint8Array(await request.arrayBuffer());
    if (!(await isProven(request, env, body))) return problem(401, "bad-signature");
    let fields;
    try {
      fields = JSON.parse(new TextDecoder().decode(body));
    } catch {
      return problem(400, "bad-json");
    }
    if (typeof fields.event !== "string" || fields.event.length > 64) return problem(400, "missing-field");
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(fields.coreid)) return problem(400, "bad-field");
    const key = await dedupKey(fields.coreid, fields.event_id);
    const { event, data, coreid, event_id, published_at, product_id, fw_version, ...extra } = fields;
    const text = typeof data === "string" ? data : JSON.stringify(data);
    const details = JSON.stringify({
      id: event_id,
      coreid,
      published_at: Date.parse(published_at),
      source: "default",
      product_id,
      fw_version,
      extra,
    });
    const outcome = await env.DEVICE.getByName(coreid).accept(key, Date.now(), event, text, details);
    const headers = outcome.duplicate ? { "fieldhook-duplicate": "true" } : {};
    return new Response(null, { status: 204, headers });
  },
};

async function isProven(request, env, body) {
  const header = request.headers.get("x-hub-signature-256") ?? "";
  if (!header.startsWith("sha256=") || header.length !== 71) return false;
  secret ??= await crypto.subtle.importKey(
    "raw",
    encoder.encode(env.HMAC_SECRETS),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  const given = Uint8Array.from(header.slice(7).match(/../g), (pair) => parseInt(pair, 16));
  return crypto.subtle.verify("HMAC", secret, given, body);
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

function problem(status, code) {
  const body = { type: `urn:fieldhook:problem:${code}`, title: code, status, code, detail: code };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json" } });
}

export class Device extends DurableObject {
  #next;

  accept(...event) {
    return this.ctx.storage.transactionSync(() => this.#commit(...event));
  }

  #commit(key, received, event, data, details) {
    const sql = this.ctx.storage.sql;
    if (this.#next === undefined) {
      sql.exec(`CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
        received INTEGER NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL, details TEXT NOT NULL, reply TEXT NOT NULL)`);
      this.#next = sql.exec("SELECT coalesce(max(seq), 0) + 1 AS next FROM log").one().next;
    }
    const insert = `INSERT INTO log (seq, key, received, event, data, details, reply)
      VALUES (?, ?, ?, ?, ?, ?, '') ON CONFLICT (key) DO NOTHING`;
    const seq = this.#next;
    if (sql.exec(insert, seq, key, received, event, data, details).rowsWritten > 0) {
      this.#next++;
      return { seq, duplicate: false };
    }
    const { reply } = sql.exec("SELECT reply FROM log WHERE key = ?", key).one();
    return { reply, duplicate: true };
  }
}

/** wrangler.toml names three classes. The other two have no part in the path that is measured. */
export class Fleet extends DurableObject {}
export class Registry extends DurableObject {}
