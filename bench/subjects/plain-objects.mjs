// The objects of the JavaScript Workers: the same tables, statements and calls as ours, written plainly. A device's
// log with its state, its outbox and its safety alarm; a shard with the merged log and a hub of live readers.

import { DurableObject } from "cloudflare:workers";

const SAFETY_MS = 20_000;
const SHARD = "shard-0";
/** The shard's index of devices is written when it is so many events behind. */
const BEHIND_MAX = 1000;

export class Device extends DurableObject {
  /** What is known once the tables have been looked at: `{ next, state }`. */
  #known;
  #alarmAt = 0;
  #confirmed;
  #sending = false;
  #fresh = [];

  /** Commits the events in one transaction; an outcome for each. */
  accept(device, at, events) {
    const outcomes = this.ctx.storage.transactionSync(() => {
      const known = (this.#known ??= this.#load());
      const outcomes = events.map((event) => this.#commit(known, at, event));
      if (outcomes.some(({ duplicate }) => !duplicate)) this.#settle(known, device, at, events);
      return outcomes;
    });
    if (this.#fresh.length) this.#sendOff();
    return outcomes;
  }

  #load() {
    const sql = this.ctx.storage.sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
      received INTEGER NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL, details TEXT NOT NULL, reply TEXT NOT NULL)`);
    sql.exec("CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)");
    const { next } = sql.exec("SELECT coalesce(max(seq), 0) + 1 AS next FROM log").one();
    const [row] = sql.exec("SELECT json FROM state WHERE id = 1").toArray();
    return { next, state: row && JSON.parse(row.json) };
  }

  #commit(known, received, { key, event, data, details }) {
    const sql = this.ctx.storage.sql;
    const insert = `INSERT INTO log (seq, key, received, event, data, details, reply)
      VALUES (?, ?, ?, ?, ?, ?, '') ON CONFLICT (key) DO NOTHING`;
    const seq = known.next;
    if (sql.exec(insert, seq, key, received, event, data, details).rowsWritten > 0) {
      known.next++;
      this.#fresh.push({ seq, received_at: received, event, data, details });
      return { seq, reply: "", duplicate: false };
    }
    const { reply } = sql.exec("SELECT reply, seq FROM log WHERE key = ?", key).one();
    return { reply, duplicate: true };
  }

  /** The state row is written when it changes, and an alarm set if none is. */
  #settle(known, device, at, events) {
    const { product_id, fw_version } = JSON.parse(events.at(-1).details);
    const { state } = known;
    if (!state || state.product_id !== product_id || state.fw_version !== fw_version) {
      known.state = { device, first_heard: state?.first_heard ?? at, product_id, fw_version };
      const write = "INSERT OR REPLACE INTO state (id, json) VALUES (1, ?)";
      this.ctx.storage.sql.exec(write, JSON.stringify(known.state));
    }
    if (this.#alarmAt > Date.now()) return;
    this.#alarmAt = at + SAFETY_MS;
    this.ctx.storage.setAlarm(this.#alarmAt);
  }

  /** Behind the answer: one append at a time, with whatever there is by then. */
  #sendOff() {
    if (this.#sending) return;
    this.#sending = true;
    this.ctx.waitUntil(
      this.#send()
        .catch((error) => console.error(`the shard was not told: ${error.message}`))
        .finally(() => (this.#sending = false)),
    );
  }

  async #send() {
    const { next, state } = this.#known;
    let last = next - 1;
    while (this.#confirmed === undefined || this.#confirmed < last) {
      const sent = this.#behind(this.#confirmed ?? this.#fresh[0]?.seq - 1);
      this.#confirmed = await this.env.FLEET.getByName(SHARD).append(state.device, sent);
      last = this.#known.next - 1;
    }
  }

  #behind(after) {
    const fresh = this.#fresh.filter(({ seq }) => seq > after);
    this.#fresh = [];
    if (fresh[0]?.seq === after + 1) return fresh;
    const query =
      "SELECT seq, received AS received_at, event, data, details FROM log WHERE seq > ? LIMIT 100";
    return this.ctx.storage.sql.exec(query, after).toArray();
  }

  async alarm() {
    this.#alarmAt = 0;
    this.#known ??= this.#load();
    if (!this.#sending) await this.#send();
  }
}

export class Fleet extends DurableObject {
  #head;
  #pending = new Map();

  /** Takes the next run of a device's log and nothing else; answers how far it has come. */
  append(device, sent) {
    const taken = this.ctx.storage.transactionSync(() => this.#take(device, sent));
    if (taken.fresh.length) this.#publish(taken);
    return taken.last;
  }

  #take(device, sent) {
    this.#head ??= this.#load();
    const last = this.#lastOf(device);
    const fresh = sent.filter(({ seq }) => seq > last);
    if (!fresh.length || fresh[0].seq !== last + 1) return { last, fresh: [] };
    this.#head += fresh.length;
    const at = Date.now();
    const insert = "INSERT INTO log (pos, at, device, body) VALUES (?, ?, ?, ?)";
    this.ctx.storage.sql.exec(insert, this.#head, at, device, JSON.stringify(fresh));
    const entry = { last: fresh.at(-1).seq, last_heard: at, last_event: fresh.at(-1).event };
    this.#pending.set(device, entry);
    if (last === 0) this.#writeIndex(new Map([[device, entry]]));
    if (this.#pending.size >= BEHIND_MAX) {
      this.#writeIndex(this.#pending);
      this.#pending.clear();
    }
    return { last: entry.last, fresh, at, first: this.#head - fresh.length + 1 };
  }

  #load() {
    const sql = this.ctx.storage.sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS log (pos INTEGER PRIMARY KEY, at INTEGER NOT NULL, device TEXT NOT NULL,
      body TEXT NOT NULL)`);
    sql.exec("CREATE TABLE IF NOT EXISTS devices (id TEXT PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID");
    return sql.exec("SELECT coalesce(max(pos), 0) AS head FROM log").one().head;
  }

  #lastOf(device) {
    const pending = this.#pending.get(device);
    if (pending) return pending.last;
    const [row] = this.ctx.storage.sql.exec("SELECT entry FROM devices WHERE id = ?", device).toArray();
    return row ? JSON.parse(row.entry).last : 0;
  }

  #writeIndex(entries) {
    const write = `INSERT OR REPLACE INTO devices (id, entry)
      SELECT json_extract(value, '$.id'), value FROM json_each(?)`;
    const rows = [...entries].map(([id, entry]) => ({ id, ...entry }));
    this.ctx.storage.sql.exec(write, JSON.stringify(rows));
  }

  /** One message for all who read, made if there is one. */
  #publish({ fresh, at, first }) {
    let message;
    for (const socket of this.ctx.getWebSockets()) {
      message ??= JSON.stringify({
        to: this.#head,
        events: fresh.map((sent, at) => shown(sent, first + at)),
        at,
      });
      socket.send(message);
    }
  }

  /** A reader's socket; it hibernates, and hears what comes from now on. */
  fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketClose(socket) {
    socket.close();
  }
}

/** An event as Particle's streams have it. */
function shown({ seq, received_at, event, data, details }, pos) {
  const { id, coreid, published_at, source, product_id, fw_version } = JSON.parse(details);
  const json = {
    data,
    ttl: 60,
    published_at: new Date(published_at).toISOString(),
    coreid,
    seq,
    id,
    source,
    received_at: new Date(received_at).toISOString(),
    product_id,
    fw_version,
  };
  return { pos, event, json: JSON.stringify(json) };
}

/** wrangler.toml names it; it has no part in what is measured. */
export class Registry extends DurableObject {}
