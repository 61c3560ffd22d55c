//! SQLite in an object: typed rows, and a schema that is looked at once per wake and changed only when it is
//! behind.

use fieldhook_core::problem::{Code, Problem, Result};
use worker::{SqlStorage, SqlStorageValue, console_error};

/// A value bound to a `?`.
pub type Value = SqlStorageValue;

/// An integer bound to a `?`. What is given here stays below 2^53: it crosses as a double.
pub fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A row, its columns taken from the left.
pub struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    pub fn text(&mut self) -> String {
        match self.0.next() {
            Some(Value::String(text)) => text,
            _ => String::new(),
        }
    }

    pub fn integer(&mut self) -> i64 {
        match self.0.next() {
            Some(Value::Integer(number)) => number,
            Some(Value::Float(number)) => number as i64,
            _ => 0,
        }
    }

    pub fn unsigned(&mut self) -> u64 {
        u64::try_from(self.integer()).unwrap_or(0)
    }
}

/// Runs a statement; answers how many rows it wrote, index entries included.
pub fn run(sql: &SqlStorage, statement: &str, values: Vec<Value>) -> Result<usize> {
    sql.exec(statement, values).map(|cursor| cursor.rows_written()).map_err(|error| failed(&error))
}

/// The rows of a query, one by one.
pub fn rows(
    sql: &SqlStorage,
    query: &str,
    values: Vec<Value>,
) -> Result<impl Iterator<Item = Result<Columns>>> {
    let cursor = sql.exec(query, values).map_err(|error| failed(&error))?;
    Ok(cursor.raw().map(|row| row.map(|row| Columns(row.into_iter())).map_err(|error| failed(&error))))
}

/// The first row. Never `one()`: it throws where there is none, and that loses the instance.
pub fn first(sql: &SqlStorage, query: &str, values: Vec<Value>) -> Result<Option<Columns>> {
    rows(sql, query, values)?.next().transpose()
}

/// The log gets SQLite's words, the caller does not.
fn failed(error: &worker::Error) -> Problem {
    console_error!("sqlite: {error}");
    Problem::new(Code::Unavailable, "the store did not answer")
}

const VERSION_TABLE: &str = "schema_version";

/// The version of the schema; 0 where there is none, and then nothing has been written either.
pub fn version(sql: &SqlStorage) -> Result<usize> {
    let known = "SELECT 1 FROM sqlite_master WHERE name = ?";
    if first(sql, known, vec![VERSION_TABLE.into()])?.is_none() {
        return Ok(0);
    }
    let row = first(sql, "SELECT version FROM schema_version WHERE id = 1", Vec::new())?;
    Ok(row.map_or(0, |mut columns| usize::try_from(columns.integer()).unwrap_or(0)))
}

/// Brings the schema from `version` to the newest. All of it commits with what the same turn writes next.
pub fn migrate(sql: &SqlStorage, version: usize, migrations: &[&str]) -> Result<()> {
    if version >= migrations.len() {
        return Ok(());
    }
    if version == 0 {
        let create = "CREATE TABLE schema_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)";
        run(sql, create, Vec::new())?;
    }
    for migration in migrations.iter().skip(version) {
        run(sql, migration, Vec::new())?;
    }
    let store = "INSERT OR REPLACE INTO schema_version (id, version) VALUES (1, ?)";
    run(sql, store, vec![integer(migrations.len() as u64)]).map(drop)
}
