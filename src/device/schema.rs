//! The tables of a Device object. A migration, once released, never changes: append the next.
//!
//! The log lies in four tables, its parts (`fieldhook_core::parts`): `log` is the first of them, for it was there before
//! the others. It is read through the view `events`. A query of the view that orders by `seq` must also select it, or
//! SQLite sorts all there is instead of merging four indexes.

use crate::rows::{EventRow, Statement};
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
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    received INTEGER NOT NULL,
    event TEXT NOT NULL,
    data TEXT NOT NULL,
    details TEXT NOT NULL,
    reply TEXT NOT NULL
);
"
        )
    };
}

/// A log row costs two billed rows: itself (an integer key costs nothing more) and the index on its dedup
/// key. That index *is* the table of seen keys, so a key lives exactly as long as its row (DESIGN.md, "Dedup
/// key"), and dedup, sequence and row are one statement.
pub const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    received INTEGER NOT NULL,
    event TEXT NOT NULL,
    data TEXT NOT NULL,
    details TEXT NOT NULL,
    reply TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    json TEXT NOT NULL
);
",
    "
CREATE TABLE IF NOT EXISTS dialogue (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    twin TEXT NOT NULL,
    queue TEXT NOT NULL
);
",
    "
CREATE TABLE IF NOT EXISTS lanes (
    integration TEXT NOT NULL,
    job TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (integration, job)
) WITHOUT ROWID;
",
    concat!(
        part!("log1"),
        part!("log2"),
        part!("log3"),
        "
CREATE VIEW IF NOT EXISTS events AS
    SELECT seq, key, received, event, data, details, reply FROM log
    UNION ALL SELECT seq, key, received, event, data, details, reply FROM log1
    UNION ALL SELECT seq, key, received, event, data, details, reply FROM log2
    UNION ALL SELECT seq, key, received, event, data, details, reply FROM log3;
",
    ),
];

/// Into a part, unless a key is known in one of the others or in itself: one statement still.
macro_rules! insert {
    ($into:literal, $first:literal, $second:literal, $third:literal) => {
        concat!(
            "INSERT INTO ",
            $into,
            " (seq, key, received, event, data, details, reply) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
            WHERE NOT EXISTS (SELECT 1 FROM ",
            $first,
            " WHERE key = ?2) AND NOT EXISTS (SELECT 1 FROM ",
            $second,
            " WHERE key = ?2) AND NOT EXISTS (SELECT 1 FROM ",
            $third,
            " WHERE key = ?2) ON CONFLICT (key) DO NOTHING"
        )
    };
}

thread_local! {
    static INSERT: [Statement; PARTS] = std::array::from_fn(|part| Statement::new(insert(part)));
}

/// Writes a row into a part; 0 where its key is known.
pub fn write_event(sql: &SqlStorage, row: &EventRow<'_>, part: usize) -> Result<usize> {
    INSERT.with(|parts| match parts.get(part) {
        Some(statement) => row.write(sql, statement),
        None => row.write(sql, &Statement::new(insert(part))),
    })
}

fn insert(part: usize) -> &'static str {
    match part {
        1 => insert!("log1", "log", "log2", "log3"),
        2 => insert!("log2", "log", "log1", "log3"),
        3 => insert!("log3", "log", "log1", "log2"),
        _ => insert!("log", "log1", "log2", "log3"),
    }
}

/// A new table in the place of an old one: that costs three rows, however many go.
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

pub const REPLY_OF: &str = "SELECT reply, seq FROM events WHERE key = ?";
/// The reply that a row waits for, or the mark of who waits for it now. The table stands for `{}` here and below.
pub const ANSWERED: &str = "UPDATE {} SET reply = ? WHERE key = ? AND substr(reply, 1, 1) = '*'";
/// The event's flag, for an answer that was too large to be given.
pub const TOO_LARGE: &str =
    "UPDATE {} SET details = json_set(details, '$.reply_too_large', json('true')) WHERE key = ?";
pub const PRUNE: &str = "DELETE FROM {} WHERE seq <= ?";
pub const EMPTY_SLOWLY: &str = "DELETE FROM {}";
/// Whether a part has a row that is not older than this.
pub const IS_YOUNG: &str = "SELECT seq FROM {} WHERE received >= ? ORDER BY seq DESC LIMIT 1";
pub const NEWEST_OF: &str = "SELECT seq, received FROM {} ORDER BY seq DESC LIMIT 1";
pub const NEWEST: &str = "SELECT seq, received, event, data, details FROM events ORDER BY seq DESC LIMIT 1";
pub const BEHIND: &str =
    "SELECT seq, received, event, data, details FROM events WHERE seq > ? ORDER BY seq LIMIT ?";
pub const ROW: &str = "SELECT seq, received, event, data, details FROM events WHERE seq = ?";
/// `?` is a JSON array of prefixes of an event's name.
pub const NEXT_FOR: &str = "SELECT seq, received, event, data, details FROM events WHERE seq > ? \
    AND EXISTS (SELECT 1 FROM json_each(?) AS prefix WHERE \
        substr(events.event, 1, length(prefix.value)) = prefix.value) ORDER BY seq";
/// The same within a span of time, and no further than a number of events.
pub const BETWEEN: &str = "SELECT seq, received, event, data, details FROM events WHERE seq > ? \
    AND EXISTS (SELECT 1 FROM json_each(?) AS prefix WHERE \
        substr(events.event, 1, length(prefix.value)) = prefix.value) \
    AND received BETWEEN ? AND ? ORDER BY seq";
/// Looked for from the new end; what is later than a time was accepted before the clock was set back.
pub const LAST_UNTIL: &str =
    "SELECT seq FROM events WHERE seq < ? AND (received <= ? OR received > ?) ORDER BY seq DESC LIMIT 1";
pub const LANES: &str = "SELECT integration, job, json FROM lanes";
pub const WRITE_LANE: &str = "INSERT OR REPLACE INTO lanes (integration, job, json) VALUES (?, ?, ?)";
pub const DROP_LANE: &str = "DELETE FROM lanes WHERE integration = ? AND job = ?";
pub const OLDEST: &str = "SELECT seq, received FROM events ORDER BY seq LIMIT 1";
/// The oldest row of each part.
macro_rules! firsts {
    () => {
        "(SELECT seq FROM log ORDER BY seq LIMIT 1), (SELECT received FROM log ORDER BY seq LIMIT 1), \
        (SELECT seq FROM log1 ORDER BY seq LIMIT 1), (SELECT received FROM log1 ORDER BY seq LIMIT 1), \
        (SELECT seq FROM log2 ORDER BY seq LIMIT 1), (SELECT received FROM log2 ORDER BY seq LIMIT 1), \
        (SELECT seq FROM log3 ORDER BY seq LIMIT 1), (SELECT received FROM log3 ORDER BY seq LIMIT 1)"
    };
}
pub const FIRSTS: &str = concat!("SELECT ", firsts!());
/// All that an object needs to know when it wakes, in one statement.
pub const WAKE: &str = concat!(
    "SELECT coalesce((SELECT json FROM state WHERE id = 1), ''), newest.seq, newest.received, \
    coalesce(dialogue.twin, ''), coalesce(dialogue.queue, ''), ",
    firsts!(),
    " FROM (SELECT 1 AS id) AS one LEFT JOIN dialogue ON dialogue.id = one.id \
    LEFT JOIN (SELECT seq, received FROM events ORDER BY seq DESC LIMIT 1) AS newest ON true"
);
pub const WRITE_DIALOGUE: &str = "INSERT OR REPLACE INTO dialogue (id, twin, queue) VALUES (1, ?, ?)";
pub const WRITE_STATE: &str = "INSERT OR REPLACE INTO state (id, json) VALUES (1, ?)";
pub const RECEIVED: &str = "SELECT received FROM events WHERE seq = ?";
/// A piece of the log as a chart reads it; a filter by name and the order follow.
pub const NUMBERS: &str =
    "SELECT seq, received, data FROM events WHERE seq >= ? AND seq < ? AND received >= ? AND received <= ?";
