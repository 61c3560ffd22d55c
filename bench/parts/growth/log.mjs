// A device with a long log, written into its SQLite file: a million events one by one would take hours.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "../../load/connection.mjs";
import { deviceName, eventOf, signed } from "../../load/events.mjs";
import { SECRET } from "../../subjects/index.mjs";

const TABLES = ["log", "log1", "log2", "log3"];

/** Gives the subject's only device, whose first event makes the tables, a log of so many rows. */
export async function fillLog(subject, rows) {
  // Loaded only here: Node warns that it is experimental.
  const { DatabaseSync } = await import("node:sqlite");
  const connection = new Connection(subject.port);
  await connection.send(signed(SECRET, JSON.stringify(eventOf(0, { device: deviceName(0) }))));
  connection.close();
  await subject.stop();
  write(new DatabaseSync(fileOf(join(subject.storage, "Device"))), rows);
  subject.start();
  await subject.isListening();
}

function fileOf(folder) {
  const isObject = (name) => name.endsWith(".sqlite") && !name.startsWith("metadata");
  return join(folder, readdirSync(folder).find(isObject));
}

function write(db, rows) {
  try {
    db.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000");
    db.exec("BEGIN");
    // Keys are hashes, so that they come in no order; data and details are those of the first event. Each of the log's
    // four tables has its share: an event's key is looked for in all of them.
    for (const [part, table] of TABLES.entries()) {
      const share = (end) => Math.floor((rows * end) / TABLES.length);
      db.prepare(
        `WITH RECURSIVE more (seq) AS (SELECT ? UNION ALL SELECT seq + 1 FROM more WHERE seq < ?)
         INSERT INTO ${table} (seq, key, received, event, data, details, reply)
         SELECT more.seq, hex(randomblob(22)), received, event, data, details, reply
         FROM more JOIN log AS first ON first.seq = 1`,
      ).run(Math.max(2, share(part) + 1), share(part + 1));
    }
    // As if another shard had confirmed them: they are not sent again.
    db.prepare("UPDATE state SET json = json_set(json, '$.member.base', cast(? AS INTEGER))").run(rows);
    db.exec("COMMIT");
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}
