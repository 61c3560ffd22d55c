//! The Registry object: all configuration of the deployment, and its version.
//!
//! It is never asked per event: isolates cache what [`Registry::snapshot`] answers.

mod integrations;
mod sessions;

use crate::sqlite::{self, Columns, Schema, Value, integer};
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result, to_wire};
use fieldhook_core::{source, transform};
use std::panic::RefUnwindSafe;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State};

const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE IF NOT EXISTS definitions (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (kind, name)
);
CREATE TABLE IF NOT EXISTS version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
);
INSERT OR IGNORE INTO version (id, number) VALUES (1, 0);
",
    "
CREATE TABLE IF NOT EXISTS shards (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    most INTEGER NOT NULL
);
",
    "
CREATE TABLE IF NOT EXISTS integrations (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    json TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS hosts (
    position INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
",
    "
CREATE TABLE IF NOT EXISTS ended_sessions (
    id TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) WITHOUT ROWID;
",
];

/// The most definitions of one kind.
const DEFINITIONS_MAX: u64 = 500;

/// The most bytes of all definitions together.
const SIZE_MAX: u64 = 8 * 1024 * 1024;

/// What a definition is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Source,
    Transform,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Source => "sources",
            Kind::Transform => "transforms",
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "sources" => Ok(Kind::Source),
            "transforms" => Ok(Kind::Transform),
            _ => Err(Problem::new(Code::NotFound, "there are no definitions of this kind")),
        }
    }

    fn unknown(self) -> Problem {
        match self {
            Kind::Source => Problem::new(Code::UnknownSource, "no source of this name is defined"),
            Kind::Transform => Problem::new(Code::UnknownTransform, "no transform of this name is defined"),
        }
    }

    /// Reads what a caller sent into what is stored.
    fn read(self, body: &str, before: Option<&str>) -> Result<String> {
        let json = match self {
            Kind::Source => {
                let before = before.and_then(|json| json::read(json).ok());
                let read = source::Definition::read(body.as_bytes(), before.as_ref())?;
                serde_json::to_string(&read)
            }
            Kind::Transform => serde_json::to_string(&transform::Definition::read(body.as_bytes())?),
        };
        json.map_err(|_| Problem::new(Code::Internal, "the definition cannot be stored"))
    }

    /// Shows what is stored.
    fn show(self, name: &str, json: &str) -> Result<String> {
        let damaged = |_| Problem::new(Code::Internal, "the stored definition cannot be read");
        match self {
            Kind::Source => json::read::<source::Definition>(json).map(|d| d.show(name)).map_err(damaged),
            Kind::Transform => {
                json::read::<transform::Definition>(json).map(|d| d.show(name)).map_err(damaged)
            }
        }
    }
}

/// What the JavaScript class of the same name forwards to.
#[wasm_bindgen]
pub struct Registry {
    sql: SqlStorage,
    schema: Schema,
}

/// The only thing in memory is whether the tables are up to date, set after they are.
impl RefUnwindSafe for Registry {}

#[wasm_bindgen]
impl Registry {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, _env: Env) -> Registry {
        Registry { sql: State::from(state).storage().sql(), schema: Schema::new(MIGRATIONS) }
    }

    /// Everything, as [`fieldhook_core::registry::Document`]; empty where `known` is still the version. Takes
    /// note of how many shards the caller has.
    pub fn snapshot(&self, known: f64, shards: u32) -> String {
        to_wire(&self.note_shards(shards).and_then(|most| self.read_all(known, most)))
    }

    /// What the last call wrote is not in the tables, and they may not be there either.
    #[wasm_bindgen(js_name = rolledBack)]
    pub fn rolled_back(&self) {
        self.schema.forget();
    }

    /// Stores a definition; answers it as it is shown, with `1` or `0` before it for made or replaced. `entry.mjs`
    /// runs this and `remove` as one transaction each, undone by a problem.
    pub fn put(&self, kind: &str, name: &str, body: &str) -> String {
        to_wire(&Kind::parse(kind).and_then(|kind| self.store(kind, name, body)))
    }

    pub fn get(&self, kind: &str, name: &str) -> String {
        to_wire(&Kind::parse(kind).and_then(|kind| self.read_one(kind, name)))
    }

    /// Definitions behind `after` in order of name, as JSON `[[name, shown], …]`.
    pub fn list(&self, kind: &str, after: &str, limit: u32) -> String {
        to_wire(&Kind::parse(kind).and_then(|kind| self.read_list(kind, after, limit)))
    }

    pub fn remove(&self, kind: &str, name: &str) -> String {
        to_wire(&Kind::parse(kind).and_then(|kind| self.delete(kind, name)))
    }

    /// Keeps a [`fieldhook_core::integration::Stored`], and the host it was defined under.
    #[wasm_bindgen(js_name = createIntegration)]
    pub fn create_integration(&self, json: &str, host: &str) -> String {
        to_wire(&self.create(json, host))
    }

    /// Answers `1`, or `0` where `seen` is no longer the revision.
    #[wasm_bindgen(js_name = replaceIntegration)]
    pub fn replace_integration(&self, json: &str, seen: f64, host: &str) -> String {
        to_wire(&self.replace(json, seen as u64, host))
    }

    #[wasm_bindgen(js_name = readIntegration)]
    pub fn read_integration(&self, id: &str) -> String {
        to_wire(&self.text_of(id))
    }

    /// All of them, in order of creation, as `[[id, stored], …]`.
    #[wasm_bindgen(js_name = listIntegrations)]
    pub fn list_integrations(&self) -> String {
        to_wire(&self.all_integrations())
    }

    #[wasm_bindgen(js_name = removeIntegration)]
    pub fn remove_integration(&self, id: &str) -> String {
        to_wire(&self.delete_one(id))
    }

    /// Paused, it keeps its place in every log. Once paused, it stays so for the first reason.
    #[wasm_bindgen(js_name = pauseIntegration)]
    pub fn pause_integration(&self, id: &str, reason: &str) -> String {
        to_wire(&self.pause_one(id, reason))
    }

    /// With `skip`, what has been accepted until now is passed over.
    #[wasm_bindgen(js_name = resumeIntegration)]
    pub fn resume_integration(&self, id: &str, skip: bool) -> String {
        to_wire(&self.resume_one(id, skip))
    }

    /// Remembers that a session was ended, until it would have ended by itself (milliseconds).
    #[wasm_bindgen(js_name = endSession)]
    pub fn end_session(&self, id: &str, until: f64, is_admin: bool) -> String {
        to_wire(&self.end(id, until as u64, is_admin))
    }

    /// `1` for a session that was ended, else `0`.
    #[wasm_bindgen(js_name = sessionEnded)]
    pub fn session_ended(&self, id: &str) -> String {
        to_wire(&self.has_ended(id))
    }
}

impl Registry {
    /// The most shards that there ever were: none of them may be passed over by a reader. A single one is not
    /// worth a row.
    fn note_shards(&self, shards: u32) -> Result<u32> {
        let most = match self.schema.exists(&self.sql)? {
            true => sqlite::first(&self.sql, "SELECT most FROM shards WHERE id = 1", Vec::new())?
                .and_then(|mut columns| u32::try_from(columns.unsigned()).ok())
                .unwrap_or(1),
            false => 1,
        };
        if shards <= most {
            return Ok(most);
        }
        self.schema.prepare(&self.sql)?;
        let put = "INSERT OR REPLACE INTO shards (id, most) VALUES (1, ?)";
        sqlite::run(&self.sql, put, vec![integer(u64::from(shards))])?;
        self.count_up()?;
        Ok(shards)
    }

    fn read_all(&self, known: f64, shards: u32) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok(r#"{"version":0,"shards":1,"sources":[],"transforms":[]}"#.to_owned());
        }
        let version = sqlite::first(&self.sql, "SELECT number FROM version WHERE id = 1", Vec::new())?
            .map_or(0, |mut columns| columns.unsigned());
        if known >= 0.0 && known as u64 == version {
            return Ok(String::new());
        }
        let (sources, transforms) = (self.all(Kind::Source)?, self.all(Kind::Transform)?);
        let (integrations, hosts) = (self.all_integrations()?, self.hosts()?);
        Ok(format!(
            r#"{{"version":{version},"shards":{shards},"sources":[{sources}],"transforms":[{transforms}],"integrations":{integrations},"hosts":{hosts}}}"#
        ))
    }

    /// In order of creation: of two transforms for one event the first made applies.
    fn all(&self, kind: Kind) -> Result<String> {
        let query = "SELECT name, json FROM definitions WHERE kind = ? ORDER BY position";
        let mut all = Vec::new();
        for columns in sqlite::rows(&self.sql, query, vec![kind.as_str().into()])? {
            let mut columns = columns?;
            let (name, json) = (columns.text(), columns.text());
            all.push(format!(r#"{{"name":"{name}","definition":{json}}}"#));
        }
        Ok(all.join(","))
    }

    fn stored(&self, kind: Kind, name: &str) -> Result<Option<Columns>> {
        if !self.schema.exists(&self.sql)? {
            return Ok(None);
        }
        let query = "SELECT json FROM definitions WHERE kind = ? AND name = ?";
        sqlite::first(&self.sql, query, vec![kind.as_str().into(), name.into()])
    }

    fn store(&self, kind: Kind, name: &str, body: &str) -> Result<String> {
        let before = self.stored(kind, name)?.map(|mut columns| columns.text());
        let json = kind.read(body, before.as_deref())?;
        self.schema.prepare(&self.sql)?;
        if before.is_none() && self.count(kind)? >= DEFINITIONS_MAX {
            let why = format!("there are {DEFINITIONS_MAX} {} already", kind.as_str());
            return Err(Problem::new(Code::LimitReached, why));
        }
        self.check_room(&json)?;
        let put = "INSERT INTO definitions (kind, name, json) VALUES (?, ?, ?) \
            ON CONFLICT (kind, name) DO UPDATE SET json = excluded.json";
        sqlite::run(&self.sql, put, vec![kind.as_str().into(), name.into(), json.as_str().into()])?;
        self.count_up()?;
        Ok(format!("{}{}", u8::from(before.is_none()), kind.show(name, &json)?))
    }

    fn count(&self, kind: Kind) -> Result<u64> {
        let query = "SELECT count(*) FROM definitions WHERE kind = ?";
        let row = sqlite::first(&self.sql, query, vec![kind.as_str().into()])?;
        Ok(row.map_or(0, |mut columns| columns.unsigned()))
    }

    /// Whether so much more may be stored: a snapshot crosses an object call whole.
    fn check_room(&self, json: &str) -> Result<()> {
        let query = "SELECT (SELECT coalesce(sum(length(json)), 0) FROM definitions) \
            + (SELECT coalesce(sum(length(json)), 0) FROM integrations)";
        let row = sqlite::first(&self.sql, query, Vec::new())?;
        let size = row.map_or(0, |mut columns| columns.unsigned());
        if size.saturating_add(json.len() as u64) > SIZE_MAX {
            let why = format!("all definitions together have at most {SIZE_MAX} bytes");
            return Err(Problem::new(Code::LimitReached, why));
        }
        Ok(())
    }

    fn count_up(&self) -> Result<()> {
        sqlite::run(&self.sql, "UPDATE version SET number = number + 1 WHERE id = 1", Vec::new()).map(drop)
    }

    fn read_one(&self, kind: Kind, name: &str) -> Result<String> {
        let mut columns = self.stored(kind, name)?.ok_or_else(|| kind.unknown())?;
        kind.show(name, &columns.text())
    }

    fn read_list(&self, kind: Kind, after: &str, limit: u32) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[]".to_owned());
        }
        let query = "SELECT name, json FROM definitions WHERE kind = ? AND name > ? ORDER BY name LIMIT ?";
        let values: Vec<Value<'_>> = vec![kind.as_str().into(), after.into(), integer(u64::from(limit))];
        let mut items = Vec::new();
        for columns in sqlite::rows(&self.sql, query, values)? {
            let mut columns = columns?;
            let (name, json) = (columns.text(), columns.text());
            items.push(format!(r#"["{name}",{}]"#, kind.show(&name, &json)?));
        }
        Ok(format!("[{}]", items.join(",")))
    }

    fn delete(&self, kind: Kind, name: &str) -> Result<String> {
        if self.stored(kind, name)?.is_none() {
            return Err(kind.unknown());
        }
        let delete = "DELETE FROM definitions WHERE kind = ? AND name = ?";
        sqlite::run(&self.sql, delete, vec![kind.as_str().into(), name.into()])?;
        self.count_up()?;
        Ok(String::new())
    }
}
