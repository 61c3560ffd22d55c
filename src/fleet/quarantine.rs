//! Quarantine: what was authenticated and refused, kept in the shard of its source (DESIGN.md, "Answers").

use super::{Shard, schema, to_json};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::history::PAGE_BYTES;
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::quarantine::{self, ENTRIES_MAX, LIMITED_MAX, Position, RETENTION};
use serde_json::value::RawValue;

impl Shard {
    pub(super) fn quarantine(&self, text: &str) -> Result<()> {
        let entries: Vec<quarantine::Entry> =
            json::read(text).map_err(|_| Problem::new(Code::Internal, "the entries cannot be read"))?;
        // Numbers are never given twice, also after the newest entry was replayed and removed.
        let last = self.count_up(entries.len() as u64)?;
        let first = (last + 1).saturating_sub(entries.len() as u64);
        for (number, entry) in (first..).zip(&entries) {
            self.write(
                schema::QUARANTINE,
                vec![integer(number), Value::Integer(entry.at.millis()), to_json(entry)?.into()],
            )?;
        }
        // Counted, not told by the numbers: what a flood has pushed out of its share is no reason to push out others.
        if entries.iter().any(quarantine::Entry::is_limited) {
            self.write(schema::QUARANTINE_LIMITED_SURPLUS, vec![integer(LIMITED_MAX as u64)])?;
        }
        self.write(schema::QUARANTINE_SURPLUS, vec![integer(ENTRIES_MAX as u64)])?;
        let mut loaded = self.open()?;
        self.arm(&mut loaded, isolate::now())?;
        self.keep(loaded);
        Ok(())
    }

    /// The number of the newest entry, after so many more.
    fn count_up(&self, more: u64) -> Result<u64> {
        let next = "INSERT INTO counters (name, value) VALUES ('quarantine', ?) \
            ON CONFLICT (name) DO UPDATE SET value = value + excluded.value";
        self.write(next, vec![integer(more)])?;
        let query = "SELECT value FROM counters WHERE name = 'quarantine'";
        let row = sqlite::first(&self.sql, query, Vec::new())?;
        row.map(|mut columns| columns.unsigned())
            .ok_or_else(|| Problem::new(Code::Unavailable, "the counter is not there"))
    }

    /// `before` is a position `at-number`, or empty for the newest.
    pub(super) fn list_quarantine(&self, before: &str, limit: u32) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[[],false]".to_owned());
        }
        let (at, number) = match Position::parse(before) {
            Some(position) => (position.at.millis(), position.number),
            None => (i64::from(u32::MAX) * 1000, 0),
        };
        let expired = isolate::now().plus_millis(-RETENTION).millis();
        let query = "SELECT number, at, entry FROM quarantine \
            WHERE at >= ? AND (at < ? OR (at = ? AND number < ?)) ORDER BY at DESC, number DESC LIMIT ?";
        let values = vec![
            Value::Integer(expired),
            Value::Integer(at),
            Value::Integer(at),
            integer(number),
            integer(u64::from(limit)),
        ];
        let mut entries: Vec<(u64, i64, Box<RawValue>)> = Vec::new();
        let (mut size, mut ended_early) = (0, false);
        for columns in sqlite::rows(&self.sql, query, values)? {
            let mut columns = columns?;
            let (number, at, entry) = (columns.unsigned(), columns.integer(), columns.text());
            size += entry.len();
            if let Ok(entry) = RawValue::from_string(entry) {
                entries.push((number, at, entry));
            }
            // The answer crosses an object call whole.
            if size > PAGE_BYTES {
                ended_early = true;
                break;
            }
        }
        to_json(&(entries, ended_early))
    }

    pub(super) fn quarantined(&self, number: u64) -> Result<String> {
        let unknown = || Problem::new(Code::UnknownEntry, "it may have been replayed, or has aged out");
        if !self.schema.exists(&self.sql)? {
            return Err(unknown());
        }
        let query = "SELECT entry FROM quarantine WHERE number = ?";
        let row = sqlite::first(&self.sql, query, vec![integer(number)])?;
        row.map(|mut columns| columns.text()).ok_or_else(unknown)
    }

    /// Removes one entry; that it is gone already is no error.
    pub(super) fn remove_quarantined(&self, number: u64) -> Result<()> {
        self.write("DELETE FROM quarantine WHERE number = ?", vec![integer(number)]).map(drop)
    }

    /// Removes what has been kept long enough.
    pub(super) fn expire_quarantine(&self) -> Result<()> {
        let limit = Value::Integer(isolate::now().plus_millis(-RETENTION).millis());
        self.write("DELETE FROM quarantine WHERE at < ?", vec![limit]).map(drop)
    }
}
