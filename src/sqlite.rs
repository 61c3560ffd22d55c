//! SQLite in an object: typed rows, and a schema that is looked at once per wake and changed only when it is
//! behind.

use fieldhook_core::problem::{Code, Problem, Result};
use std::borrow::Cow;
use std::cell::Cell;
use wasm_bindgen::prelude::*;
use worker::js_sys::{self, Array};
use worker::worker_sys::types::{SqlStorage as RawStorage, SqlStorageCursor as RawCursor};
use worker::{SqlStorage, SqlStorageValue, console_error};

/// A value bound to a `?`. A text is not copied on its way.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// It crosses as a double: beyond 2^53 it is rounded, which is behind every position and time there is.
    Integer(i64),
    Text(Cow<'a, str>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<Value<'_>> for JsValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Integer(number) => JsValue::from_f64(number as f64),
            Value::Text(text) => JsValue::from_str(&text),
        }
    }
}

/// An integer bound to a `?`.
pub fn integer(value: u64) -> Value<'static> {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A row, its columns taken from the left.
pub struct Columns(std::vec::IntoIter<SqlStorageValue>);

impl Columns {
    pub fn text(&mut self) -> String {
        match self.0.next() {
            Some(SqlStorageValue::String(text)) => text,
            _ => String::new(),
        }
    }

    pub fn integer(&mut self) -> i64 {
        match self.0.next() {
            Some(SqlStorageValue::Integer(number)) => number,
            Some(SqlStorageValue::Float(number)) => number as i64,
            _ => 0,
        }
    }

    pub fn unsigned(&mut self) -> u64 {
        u64::try_from(self.integer()).unwrap_or(0)
    }
}

/// Runs a statement; answers how many rows it wrote, index entries included.
pub fn run(sql: &SqlStorage, statement: &str, values: Vec<Value<'_>>) -> Result<usize> {
    exec(sql, statement, values).map(|cursor| cursor.rows_written() as usize)
}

fn exec(sql: &SqlStorage, statement: &str, values: Vec<Value<'_>>) -> Result<RawCursor> {
    let storage: &RawStorage = sql.as_ref().unchecked_ref();
    let values: Array = values.into_iter().map(JsValue::from).collect();
    storage.exec(statement, values).map_err(|error| failed(&error.into()))
}

/// The rows of a query, one by one.
pub fn rows(sql: &SqlStorage, query: &str, values: Vec<Value<'_>>) -> Result<Rows> {
    let cursor = exec(sql, query, values)?;
    let rows = cursor.raw();
    Ok(Rows { cursor, rows, ended: false })
}

/// Rows that are read as they are asked for. A query that is left before its last row is ended: while one is open,
/// SQLite drops no table (`SQLITE_LOCKED`), and that it would end with JavaScript's next garbage collection is too late.
pub struct Rows {
    cursor: RawCursor,
    rows: js_sys::Iterator,
    ended: bool,
}

#[wasm_bindgen]
extern "C" {
    type EndableCursor;
    /// Throws where there are more rows, and ends the query.
    #[wasm_bindgen(method, catch)]
    fn one(this: &EndableCursor) -> std::result::Result<JsValue, JsValue>;
}

impl Rows {
    fn read(&mut self) -> std::result::Result<Option<Columns>, worker::Error> {
        let next = self.rows.next()?;
        if next.done() {
            self.ended = true;
            return Ok(None);
        }
        let row = Array::from(&next.value());
        let values: Vec<SqlStorageValue> =
            row.iter().map(SqlStorageValue::try_from).collect::<std::result::Result<_, _>>()?;
        Ok(Some(Columns(values.into_iter())))
    }
}

impl Iterator for Rows {
    type Item = Result<Columns>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(|error| failed(&error)).transpose()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.cursor.unchecked_ref::<EndableCursor>().one();
        }
    }
}

/// The first row of a query that has no second one (`LIMIT 1`): it ends with it.
///
/// Never the cursor's own `one()`: it throws where there is none, and as `worker` binds it that loses the instance.
pub fn first(sql: &SqlStorage, query: &str, values: Vec<Value<'_>>) -> Result<Option<Columns>> {
    let mut rows = rows(sql, query, values)?;
    let first = rows.next().transpose();
    // As far as is known, so that nothing is asked of it once more: the platform reads one row ahead.
    rows.ended = true;
    first
}

/// The log gets SQLite's words, the caller does not.
pub fn failed(error: &worker::Error) -> Problem {
    console_error!("sqlite: {error}");
    Problem::new(Code::Unavailable, "the store did not answer")
}

/// The tables of an object: made by its first write, and brought up to date by whatever comes first after a
/// newer version was deployed.
pub struct Schema {
    /// A released migration never changes: append the next. Each can be run again after it failed half-way.
    migrations: &'static [&'static str],
    is_current: Cell<bool>,
}

impl Schema {
    pub const fn new(migrations: &'static [&'static str]) -> Self {
        Schema { migrations, is_current: Cell::new(false) }
    }

    /// Makes sure that the tables are there and up to date. What it writes commits with what the same turn
    /// writes next.
    pub fn prepare(&self, sql: &SqlStorage) -> Result<()> {
        if !self.is_current.get() {
            self.migrate(sql, version(sql)?)?;
        }
        Ok(())
    }

    /// Whether anything was ever written. Makes nothing, but brings what is there up to date.
    pub fn exists(&self, sql: &SqlStorage) -> Result<bool> {
        if self.is_current.get() {
            return Ok(true);
        }
        match version(sql)? {
            0 => Ok(false),
            version => self.migrate(sql, version).map(|()| true),
        }
    }

    /// After everything was deleted.
    pub fn forget(&self) {
        self.is_current.set(false);
    }

    fn migrate(&self, sql: &SqlStorage, version: usize) -> Result<()> {
        if version < self.migrations.len() {
            let create = "CREATE TABLE IF NOT EXISTS schema_version (
                id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL)";
            run(sql, create, Vec::new())?;
            for migration in self.migrations.iter().skip(version) {
                run(sql, migration, Vec::new())?;
            }
            let store = "INSERT OR REPLACE INTO schema_version (id, version) VALUES (1, ?)";
            run(sql, store, vec![integer(self.migrations.len() as u64)])?;
        }
        self.is_current.set(true);
        Ok(())
    }
}

/// The version of the schema; 0 where nothing was ever written.
///
/// One statement: it is asked at each wake. That its table is missing is an answer, no failure.
fn version(sql: &SqlStorage) -> Result<usize> {
    match sql.exec("SELECT version FROM schema_version", None) {
        Err(error) if error.to_string().contains("no such table") => Ok(0),
        Err(error) => Err(failed(&error)),
        Ok(cursor) => match cursor.raw().next() {
            Some(row) => {
                let mut columns = Columns(row.map_err(|error| failed(&error))?.into_iter());
                Ok(usize::try_from(columns.integer()).unwrap_or(0))
            }
            None => Ok(0),
        },
    }
}
