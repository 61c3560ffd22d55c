//! The tables of a Device object. A migration, once released, never changes: append the next.

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
];

pub const INSERT: &str = "INSERT INTO log (seq, key, received, event, data, details, reply) \
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING";
pub const REPLY_OF: &str = "SELECT reply, seq FROM log WHERE key = ?";
/// The reply that a row waits for, or the mark of who waits for it now.
pub const ANSWERED: &str = "UPDATE log SET reply = ? WHERE key = ? AND substr(reply, 1, 1) = '*'";
/// The event's flag, for an answer that was too large to be given.
pub const TOO_LARGE: &str =
    "UPDATE log SET details = json_set(details, '$.reply_too_large', json('true')) WHERE key = ?";
pub const NEWEST: &str = "SELECT seq, received, event, data, details FROM log ORDER BY seq DESC LIMIT 1";
pub const BEHIND: &str =
    "SELECT seq, received, event, data, details FROM log WHERE seq > ? ORDER BY seq LIMIT ?";
pub const ROW: &str = "SELECT seq, received, event, data, details FROM log WHERE seq = ?";
/// `?` is a JSON array of prefixes of an event's name.
pub const NEXT_FOR: &str = "SELECT seq, received, event, data, details FROM log WHERE seq > ? \
    AND EXISTS (SELECT 1 FROM json_each(?) AS prefix WHERE \
        substr(log.event, 1, length(prefix.value)) = prefix.value) ORDER BY seq";
/// The same within a span of time, and no further than a number of events.
pub const BETWEEN: &str = "SELECT seq, received, event, data, details FROM log WHERE seq > ? \
    AND EXISTS (SELECT 1 FROM json_each(?) AS prefix WHERE \
        substr(log.event, 1, length(prefix.value)) = prefix.value) \
    AND received BETWEEN ? AND ? ORDER BY seq";
/// Looked for from the new end.
pub const LAST_UNTIL: &str = "SELECT seq FROM log WHERE received <= ? ORDER BY seq DESC LIMIT 1";
pub const LANES: &str = "SELECT integration, job, json FROM lanes";
pub const WRITE_LANE: &str = "INSERT OR REPLACE INTO lanes (integration, job, json) VALUES (?, ?, ?)";
pub const DROP_LANE: &str = "DELETE FROM lanes WHERE integration = ? AND job = ?";
pub const OLDEST: &str = "SELECT seq, received FROM log ORDER BY seq LIMIT 1";
/// All that an object needs to know when it wakes, in one statement.
pub const WAKE: &str = "SELECT coalesce((SELECT json FROM state WHERE id = 1), ''), \
    coalesce((SELECT seq FROM log ORDER BY seq DESC LIMIT 1), 0), \
    coalesce((SELECT received FROM log ORDER BY seq DESC LIMIT 1), 0), \
    coalesce((SELECT twin FROM dialogue WHERE id = 1), ''), \
    coalesce((SELECT queue FROM dialogue WHERE id = 1), '')";
pub const WRITE_DIALOGUE: &str = "INSERT OR REPLACE INTO dialogue (id, twin, queue) VALUES (1, ?, ?)";
pub const WRITE_STATE: &str = "INSERT OR REPLACE INTO state (id, json) VALUES (1, ?)";
/// The oldest row that stays. Looked for from the old end: what is passed over is what goes.
pub const FIRST_SINCE: &str = "SELECT seq FROM log WHERE received >= ? ORDER BY seq LIMIT 1";
pub const RECEIVED: &str = "SELECT received FROM log WHERE seq = ?";
/// A piece of the log as a chart reads it; a filter by name and the order follow.
pub const NUMBERS: &str =
    "SELECT seq, received, data FROM log WHERE seq >= ? AND seq < ? AND received >= ? AND received <= ?";
pub const PRUNE: &str = "DELETE FROM log WHERE seq <= ?";
