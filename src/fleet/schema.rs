//! The tables of a Fleet object. A migration, once released, never changes: append the next.
//!
//! The log lies in four tables, as that of a device does, and is read through the view `runs`: see `device/schema.rs`.

use crate::parts::of_part;
use crate::rows::{RunRow, Statement};
use fieldhook_core::parts::PARTS;
use fieldhook_core::problem::Result;
use worker::SqlStorage;

/// A table for a part of the log.
macro_rules! part {
    ($table:literal) => {
        concat!(
            "
CREATE TABLE IF NOT EXISTS ",
            $table,
            " (
    pos INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    device TEXT NOT NULL,
    born INTEGER NOT NULL,
    body TEXT NOT NULL
);
"
        )
    };
}

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
    concat!(
        part!("log1"),
        part!("log2"),
        part!("log3"),
        "
CREATE VIEW IF NOT EXISTS runs AS
    SELECT pos, at, device, born, body FROM log
    UNION ALL SELECT pos, at, device, born, body FROM log1
    UNION ALL SELECT pos, at, device, born, body FROM log2
    UNION ALL SELECT pos, at, device, born, body FROM log3;
",
    ),
    "
CREATE TABLE IF NOT EXISTS day_counts (
    day INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    limited INTEGER NOT NULL,
    errors INTEGER NOT NULL
);
INSERT OR IGNORE INTO day_counts SELECT day, events, duplicates, refused, 0, errors FROM days;
DELETE FROM days;
CREATE INDEX IF NOT EXISTS quarantine_limited ON quarantine (number) WHERE json_extract(entry, '$.code') = 'rate-limited';
",
];

/// A new table in the place of an old one: that costs two rows, however many go.
macro_rules! emptied {
    ($table:literal) => {
        concat!("DROP TABLE ", $table, ";", part!($table))
    };
}

pub fn emptied(part: usize) -> &'static str {
    match part {
        1 => emptied!("log1"),
        2 => emptied!("log2"),
        3 => emptied!("log3"),
        _ => emptied!("log"),
    }
}

/// The oldest row of each part.
macro_rules! firsts {
    () => {
        "(SELECT pos FROM log ORDER BY pos LIMIT 1), (SELECT at FROM log ORDER BY pos LIMIT 1), \
        (SELECT pos FROM log1 ORDER BY pos LIMIT 1), (SELECT at FROM log1 ORDER BY pos LIMIT 1), \
        (SELECT pos FROM log2 ORDER BY pos LIMIT 1), (SELECT at FROM log2 ORDER BY pos LIMIT 1), \
        (SELECT pos FROM log3 ORDER BY pos LIMIT 1), (SELECT at FROM log3 ORDER BY pos LIMIT 1)"
    };
}
pub const FIRSTS: &str = concat!("SELECT ", firsts!());
pub const QUARANTINE: &str = "INSERT INTO quarantine (number, at, entry) VALUES (?, ?, ?)";
/// All but the newest of them: `?` is how many stay.
pub const QUARANTINE_SURPLUS: &str = "DELETE FROM quarantine WHERE number <= \
    (SELECT number FROM quarantine ORDER BY number DESC LIMIT 1 OFFSET ?)";
/// The same among those that are there for their device's rate.
pub const QUARANTINE_LIMITED_SURPLUS: &str = "DELETE FROM quarantine \
    WHERE json_extract(entry, '$.code') = 'rate-limited' AND number <= (SELECT number FROM quarantine \
    WHERE json_extract(entry, '$.code') = 'rate-limited' ORDER BY number DESC LIMIT 1 OFFSET ?)";

/// All that a shard needs to know when it wakes, in one statement.
pub const WAKE: &str = concat!(
    "SELECT coalesce(marks.json, ''), newest.pos, newest.at, ",
    firsts!(),
    " FROM (SELECT 1 AS id) AS one LEFT JOIN marks ON marks.id = one.id \
    LEFT JOIN (SELECT pos, at FROM runs ORDER BY pos DESC LIMIT 1) AS newest ON true"
);
pub const WRITE_MARKS: &str = "INSERT OR REPLACE INTO marks (id, json) VALUES (1, ?)";

thread_local! {
    static INSERTS: [Statement; PARTS] = std::array::from_fn(|part| Statement::new(&of_part(INSERT, part)));
}

/// Writes a run into a part.
pub fn write_run(sql: &SqlStorage, row: &RunRow<'_>, part: usize) -> Result<()> {
    INSERTS.with(|parts| match parts.get(part) {
        Some(statement) => row.write(sql, statement),
        None => row.write(sql, &Statement::new(&of_part(INSERT, part))),
    })
}

/// The part's table stands for `{}` here and below.
const INSERT: &str = "INSERT INTO {} (pos, at, device, born, body) VALUES (?, ?, ?, ?, ?)";
pub const BEHIND: &str = "SELECT pos, device, born, body FROM runs WHERE pos > ? ORDER BY pos";
/// The row that holds a position, or the next where that is gone.
pub const HOLDING: &str = "SELECT pos, at FROM runs WHERE pos >= ? ORDER BY pos LIMIT 1";
pub const NEWEST_OF: &str = "SELECT pos FROM {} ORDER BY pos DESC LIMIT 1";
pub const PRUNE: &str = "DELETE FROM {} WHERE pos <= ?";
pub const EMPTY_SLOWLY: &str = "DELETE FROM {}";
/// All but the newest row: that one says how far the log is, and is emptied instead.
pub const REMOVE_RUNS: &str = "DELETE FROM {} WHERE device = ? AND born <= ? AND pos < ?";
pub const EMPTY_RUNS: &str = "UPDATE {} SET body = '[]' WHERE device = ? AND born <= ?";

pub const ENTRY: &str = "SELECT entry FROM devices WHERE id = ?";
pub const ENTRIES: &str = "SELECT entry FROM devices WHERE id > ? ORDER BY id";
/// `?` is a JSON array of entries: any number of them in one statement.
pub const WRITE_ENTRIES: &str = "INSERT INTO devices (id, last_heard, swept, entry) \
    SELECT json_extract(value, '$.id'), coalesce(json_extract(value, '$.last_heard'), 0), 0, value \
    FROM json_each(?) WHERE true \
    ON CONFLICT (id) DO UPDATE SET last_heard = excluded.last_heard, swept = 0, entry = excluded.entry";
/// How many there are, and how many of them were heard in a span; without those in a JSON array of ids.
pub const COUNT_DEVICES: &str = "SELECT count(*), coalesce(sum(last_heard BETWEEN ?1 AND ?2), 0) FROM devices \
    WHERE id NOT IN (SELECT value FROM json_each(?3))";
pub const REMOVE_ENTRY: &str = "DELETE FROM devices WHERE id = ?";
pub const SILENT: &str = "SELECT id FROM devices WHERE swept = 0 AND last_heard < ? LIMIT ?";
pub const SWEPT: &str = "UPDATE devices SET swept = 1 WHERE id = ? AND last_heard < ?";

pub const ADD_TO_DAY: &str = "INSERT INTO day_counts (day, events, duplicates, refused, limited, errors) \
    VALUES (?, ?, ?, ?, ?, ?) \
    ON CONFLICT (day) DO UPDATE SET events = events + excluded.events, \
    duplicates = duplicates + excluded.duplicates, refused = refused + excluded.refused, \
    limited = limited + excluded.limited, errors = errors + excluded.errors";
pub const DAYS: &str =
    "SELECT day, events, duplicates, refused, limited, errors FROM day_counts WHERE day >= ?";
pub const EXPIRE_DAYS: &str = "DELETE FROM day_counts WHERE day < ?";

pub const IS_ANYTHING: &str = "SELECT EXISTS (SELECT 1 FROM runs) + EXISTS (SELECT 1 FROM devices WHERE swept = 0) \
    + EXISTS (SELECT 1 FROM quarantine) + EXISTS (SELECT 1 FROM day_counts) + EXISTS (SELECT 1 FROM attempts) \
    + EXISTS (SELECT 1 FROM tallies) + EXISTS (SELECT 1 FROM jobs)";
