// What many would run on a server of their own: Express and better-sqlite3, one process, one database, every commit
// on disk before the answer (`synchronous=FULL`). Its log is the merged log, so that nothing is left to append.

import Database from "better-sqlite3";
import express from "express";
import { answerTo, isSigned, readEvents, Refused } from "./plain-front.mjs";

const { port, file, secret } = JSON.parse(process.argv[2]);
const db = new Database(file);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec(`
  CREATE TABLE log (pos INTEGER PRIMARY KEY, device TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT NOT NULL UNIQUE,
    received INTEGER NOT NULL, event TEXT NOT NULL, data TEXT NOT NULL, details TEXT NOT NULL, reply TEXT NOT NULL);
  CREATE TABLE devices (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, last_heard INTEGER NOT NULL) WITHOUT ROWID;
`);
const heard = db.prepare(`INSERT INTO devices (id, seq, last_heard) VALUES (?, 1, ?)
  ON CONFLICT (id) DO UPDATE SET seq = seq + 1, last_heard = excluded.last_heard RETURNING seq`);
const insert = db.prepare(`INSERT INTO log (device, seq, key, received, event, data, details, reply)
  VALUES (?, ?, ?, ?, ?, ?, ?, '')`);
const known = db.prepare("SELECT reply FROM log WHERE key = ?");

const commit = db.transaction((events) => events.map(take));

function take({ device, key, event, data, details }) {
  const row = known.get(key);
  if (row) return { reply: row.reply, duplicate: true };
  const received = Date.now();
  const { seq } = heard.get(device, received);
  insert.run(device, seq, key, received, event, data, details);
  return { seq, reply: "", duplicate: false };
}

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use(express.raw({ type: () => true, limit: 262_144 }));

app.post("/hook", async (request, response) => {
  if (!(await isSigned(request.get("x-hub-signature-256"), secret, request.body))) {
    throw new Refused(401, "bad-signature");
  }
  const { isBatch, events } = await readEvents(request.body);
  const { status, headers, body } = answerTo(isBatch, commit(events));
  response
    .status(status)
    .set(headers)
    .send(body ?? undefined);
});

// Express tells an error handler by its four parameters.
app.use((error, _request, response, _next) => {
  if (!(error instanceof Refused)) return response.status(500).end();
  const { status, headers, body } = error.answer();
  response.status(status).set(headers).send(body);
});

app.listen(port, "127.0.0.1");
