//! The Fleet object: a shard that knows which devices exist, and keeps what was refused.
//!
//! It is never on the way of a reply.

use crate::sqlite::{self, Schema, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::history::PAGE_BYTES;
use fieldhook_core::problem::{Code, Problem, Result, to_wire};
use fieldhook_core::quarantine::{self, ENTRIES_MAX, Position, RETENTION};
use serde_json::value::RawValue;
use std::panic::RefUnwindSafe;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State, js_sys};

const MIGRATIONS: &[&str] = &["
CREATE TABLE IF NOT EXISTS devices (
    id TEXT PRIMARY KEY,
    first_heard INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"];

/// The shard that a name belongs to. Names, not numbers, stand in storage, so that another count of shards
/// can be told from this one.
pub fn shard_of(name: &str, shards: u32) -> String {
    // FNV-1a (the parameters of its authors' page): spread, not secrecy, is what is wanted here.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    shard_name(u32::try_from(hash % u64::from(shards.max(1))).unwrap_or(0))
}

pub fn shard_name(index: u32) -> String {
    format!("shard-{index}")
}

/// What the JavaScript class of the same name forwards to.
#[wasm_bindgen]
pub struct Fleet {
    state: State,
    sql: SqlStorage,
    schema: Schema,
}

/// The only thing in memory is whether the tables are up to date, set after they are.
impl RefUnwindSafe for Fleet {}

#[wasm_bindgen]
impl Fleet {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, _env: Env) -> Fleet {
        let state = State::from(state);
        let sql = state.storage().sql();
        Fleet { state, sql, schema: Schema::new(MIGRATIONS) }
    }

    /// Takes note of a device; telling it twice is harmless.
    pub fn register(&self, device: &str, first_heard: f64) -> String {
        let insert = "INSERT OR IGNORE INTO devices (id, first_heard) VALUES (?, ?)";
        to_wire(
            &self
                .write(insert, vec![device.into(), Value::Integer(first_heard as i64)])
                .map(|_| String::new()),
        )
    }

    /// Forgets a device; answers `1` if it was known.
    pub fn forget(&self, device: &str) -> String {
        let gone = self.write("DELETE FROM devices WHERE id = ?", vec![device.into()]);
        to_wire(&gone.map(|rows| u8::from(rows > 0).to_string()))
    }

    /// Devices behind `after` in order of id, as a JSON array of `[id, first_heard]`.
    pub fn devices(&self, after: &str, limit: u32) -> String {
        to_wire(&self.list_devices(after, limit))
    }

    /// Keeps refused events, given as a JSON array.
    #[wasm_bindgen(js_name = quarantineAdd)]
    pub fn quarantine_add(&self, entries: &str) -> String {
        to_wire(&self.add(entries).map(|()| String::new()))
    }

    /// Entries before a position, newest first: `[[[number, at, entry], …], ended early]`.
    #[wasm_bindgen(js_name = quarantineList)]
    pub fn quarantine_list(&self, before: &str, limit: u32) -> String {
        to_wire(&self.list_quarantine(before, limit))
    }

    /// One entry.
    #[wasm_bindgen(js_name = quarantineRead)]
    pub fn quarantine_read(&self, number: f64) -> String {
        to_wire(&self.entry(number as u64))
    }

    #[wasm_bindgen(js_name = quarantineRemove)]
    pub fn quarantine_remove(&self, number: f64) -> String {
        let delete = "DELETE FROM quarantine WHERE number = ?";
        to_wire(&self.write(delete, vec![integer(number as u64)]).map(|_| String::new()))
    }

    /// Removes what has been kept long enough.
    pub fn alarm(&self) -> std::result::Result<(), JsError> {
        self.expire().map_err(|problem| JsError::new(&problem.detail))
    }
}

impl Fleet {
    /// The tables are made by the first write.
    fn write(&self, statement: &str, values: Vec<Value>) -> Result<usize> {
        self.schema.prepare(&self.sql)?;
        sqlite::run(&self.sql, statement, values)
    }

    fn list_devices(&self, after: &str, limit: u32) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[]".to_owned());
        }
        let query = "SELECT id, first_heard FROM devices WHERE id > ? ORDER BY id LIMIT ?";
        let values = vec![after.into(), integer(u64::from(limit))];
        let mut devices: Vec<(String, i64)> = Vec::new();
        for columns in sqlite::rows(&self.sql, query, values)? {
            let mut columns = columns?;
            devices.push((columns.text(), columns.integer()));
        }
        to_json(&devices)
    }

    fn add(&self, text: &str) -> Result<()> {
        let entries: Vec<quarantine::Entry> = serde_json::from_str(text)
            .map_err(|_| Problem::new(Code::Internal, "the entries cannot be read"))?;
        // Numbers are never given twice, also after the newest entry was replayed and removed.
        let last = self.count_up(entries.len() as u64)?;
        let first = (last + 1).saturating_sub(entries.len() as u64);
        let was_empty = self.count()? == 0;
        for (number, entry) in (first..).zip(&entries) {
            let insert = "INSERT INTO quarantine (number, at, entry) VALUES (?, ?, ?)";
            self.write(
                insert,
                vec![integer(number), Value::Integer(entry.at.millis()), to_json(entry)?.into()],
            )?;
        }
        let surplus = last.saturating_sub(ENTRIES_MAX as u64);
        self.write("DELETE FROM quarantine WHERE number <= ?", vec![integer(surplus)])?;
        match entries.first() {
            Some(entry) if was_empty => self.set_alarm(entry.at.plus_millis(RETENTION)),
            _ => Ok(()),
        }
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

    fn count(&self) -> Result<u64> {
        let row = sqlite::first(&self.sql, "SELECT count(*) FROM quarantine", Vec::new())?;
        Ok(row.map_or(0, |mut columns| columns.unsigned()))
    }

    /// `before` is a position `at-number`, or empty for the newest.
    fn list_quarantine(&self, before: &str, limit: u32) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[[],false]".to_owned());
        }
        let (at, number) = match Position::parse(before) {
            Some(position) => (position.at.millis(), position.number),
            None => (i64::from(u32::MAX) * 1000, 0),
        };
        let expired = crate::isolate::now().plus_millis(-RETENTION).millis();
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

    fn entry(&self, number: u64) -> Result<String> {
        let unknown = || Problem::new(Code::UnknownEntry, "it may have been replayed, or has aged out");
        if !self.schema.exists(&self.sql)? {
            return Err(unknown());
        }
        let query = "SELECT entry FROM quarantine WHERE number = ?";
        let row = sqlite::first(&self.sql, query, vec![integer(number)])?;
        row.map(|mut columns| columns.text()).ok_or_else(unknown)
    }

    fn expire(&self) -> Result<()> {
        let now = crate::isolate::now();
        let limit = Value::Integer(now.plus_millis(-RETENTION).millis());
        self.write("DELETE FROM quarantine WHERE at < ?", vec![limit])?;
        let oldest = sqlite::first(&self.sql, "SELECT min(at) FROM quarantine WHERE at > 0", Vec::new())?;
        match oldest.map(|mut columns| columns.integer()) {
            Some(at) if at > 0 => {
                let due = Time::from_millis(at).plus_millis(RETENTION);
                self.set_alarm(due.max(now.plus_millis(RETENTION / 30)))
            }
            _ => Ok(()),
        }
    }

    fn set_alarm(&self, at: Time) -> Result<()> {
        let date = js_sys::Date::new(&(at.millis() as f64).into());
        let set = self.state.storage().as_raw().set_alarm(date, js_sys::Object::new());
        set.map(drop).map_err(|_| Problem::new(Code::Unavailable, "the alarm was not taken"))
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Problem::new(Code::Internal, "the answer cannot be written"))
}
