//! The tables of a Fleet object. A migration, once released, never changes: append the next.

/// One row per append, its key the position of the row's last event: one billed row for any number of events.
/// `body` is an array of [`fieldhook_core::fleet::append::Sent`] without what is for listeners only.
pub const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE IF NOT EXISTS quarantine (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
",
    "
DROP TABLE IF EXISTS devices;
CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    last_heard INTEGER NOT NULL,
    swept INTEGER NOT NULL,
    entry TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE log (
    pos INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    device TEXT NOT NULL,
    born INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE days (
    day INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    errors INTEGER NOT NULL
);
CREATE TABLE marks (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    json TEXT NOT NULL
);
",
    super::hub::MIGRATION,
    super::attempts::MIGRATION,
];

/// All that a shard needs to know when it wakes, in one statement.
pub const WAKE: &str = "SELECT coalesce((SELECT json FROM marks WHERE id = 1), ''), \
    coalesce((SELECT pos FROM log ORDER BY pos DESC LIMIT 1), 0), \
    coalesce((SELECT at FROM log ORDER BY pos DESC LIMIT 1), 0)";
pub const WRITE_MARKS: &str = "INSERT OR REPLACE INTO marks (id, json) VALUES (1, ?)";

pub const INSERT: &str = "INSERT INTO log (pos, at, device, born, body) VALUES (?, ?, ?, ?, ?)";
pub const BEHIND: &str = "SELECT device, born, body FROM log WHERE pos > ? ORDER BY pos";
/// The newest position that goes, by the log's own time.
pub const LAST_BEFORE: &str =
    "SELECT coalesce((SELECT pos FROM log WHERE at < ? ORDER BY pos DESC LIMIT 1), 0)";
pub const OLDEST: &str = "SELECT pos, at FROM log ORDER BY pos LIMIT 1";
pub const PRUNE: &str = "DELETE FROM log WHERE pos <= ?";
/// All but the newest row: that one says how far the log is, and is emptied instead.
pub const REMOVE_RUNS: &str =
    "DELETE FROM log WHERE device = ? AND born <= ? AND pos < (SELECT max(pos) FROM log)";
pub const EMPTY_RUNS: &str = "UPDATE log SET body = '[]' WHERE device = ? AND born <= ?";

pub const ENTRY: &str = "SELECT entry FROM devices WHERE id = ?";
pub const ENTRIES: &str = "SELECT entry FROM devices WHERE id > ? ORDER BY id";
/// `?` is a JSON array of entries: any number of them in one statement.
pub const WRITE_ENTRIES: &str = "INSERT INTO devices (id, last_heard, swept, entry) \
    SELECT json_extract(value, '$.id'), coalesce(json_extract(value, '$.last_heard'), 0), 0, value \
    FROM json_each(?) WHERE true \
    ON CONFLICT (id) DO UPDATE SET last_heard = excluded.last_heard, swept = 0, entry = excluded.entry";
pub const REMOVE_ENTRY: &str = "DELETE FROM devices WHERE id = ?";
pub const SILENT: &str = "SELECT id FROM devices WHERE swept = 0 AND last_heard < ? LIMIT ?";
pub const SWEPT: &str = "UPDATE devices SET swept = 1 WHERE id = ? AND last_heard < ?";

pub const ADD_TO_DAY: &str = "INSERT INTO days (day, events, duplicates, refused, errors) VALUES (?, ?, ?, ?, ?) \
    ON CONFLICT (day) DO UPDATE SET events = events + excluded.events, \
    duplicates = duplicates + excluded.duplicates, refused = refused + excluded.refused, \
    errors = errors + excluded.errors";
pub const DAYS: &str = "SELECT day, events, duplicates, refused, errors FROM days WHERE day >= ?";
pub const EXPIRE_DAYS: &str = "DELETE FROM days WHERE day < ?";

pub const IS_ANYTHING: &str = "SELECT EXISTS (SELECT 1 FROM log) + EXISTS (SELECT 1 FROM devices WHERE swept = 0) \
    + EXISTS (SELECT 1 FROM quarantine) + EXISTS (SELECT 1 FROM days) + EXISTS (SELECT 1 FROM attempts) \
    + EXISTS (SELECT 1 FROM tallies) + EXISTS (SELECT 1 FROM jobs)";
