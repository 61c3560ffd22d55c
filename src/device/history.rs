//! Reading the log: a query's rows, written as a page.

use super::Inner;
use crate::isolate;
use crate::sqlite::{self, Columns, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::history::{Query, Writer};
use fieldhook_core::json;
use fieldhook_core::log::Row;
use fieldhook_core::problem::{Code, Problem, Result};

/// Takes the columns that `schema::NEWEST` and a page's query name.
pub(super) fn row(mut columns: Columns) -> Row {
    Row {
        seq: columns.unsigned(),
        received_at: Time::from_millis(columns.integer()),
        event: columns.text(),
        data: columns.text(),
        details: columns.text(),
    }
}

/// A page as JSON (`fieldhook_core::history::Page`).
pub(super) fn page(device: &Inner, query: &str) -> Result<String> {
    let query: Query =
        json::read(query).map_err(|_| Problem::new(Code::Internal, "the query cannot be read"))?;
    if device.known()?.is_none() {
        return Err(Problem::new(Code::UnknownDevice, "no event of this device has been accepted"));
    }
    let retention = device.settings()?.retention;
    let (statement, values) = select(&query, isolate::now().plus_millis(-retention));
    let mut writer = Writer::new(&query);
    for columns in sqlite::rows(&device.sql, &statement, values)? {
        if !writer.push(row(columns?))? {
            break;
        }
    }
    serde_json::to_string(&writer.finish())
        .map_err(|_| Problem::new(Code::Internal, "the page cannot be written"))
}

/// The statement and its values. What retention has not yet removed is not shown either.
fn select<'q>(query: &'q Query, expired: Time) -> (String, Vec<Value<'q>>) {
    let mut statement =
        "SELECT seq, received, event, data, details FROM events WHERE received >= ?".to_owned();
    let from = query.from.map_or(expired, |from| from.max(expired));
    let mut values = vec![Value::Integer(from.millis())];
    let mut and = |condition: &str, value: Value<'q>| {
        statement.push_str(" AND ");
        statement.push_str(condition);
        values.push(value);
    };
    if let Some(seq) = query.after {
        and(if query.descending { "seq < ?" } else { "seq > ?" }, integer(seq));
    }
    if let Some(to) = query.to {
        and("received <= ?", Value::Integer(to.millis()));
    }
    if let Some(prefix) = &query.event {
        and("substr(event, 1, ?) = ?", integer(prefix.chars().count() as u64));
        values.push(prefix.as_str().into());
    }
    statement.push_str(if query.descending { " ORDER BY seq DESC LIMIT ?" } else { " ORDER BY seq LIMIT ?" });
    values.push(integer(query.limit as u64 + 1));
    (statement, values)
}
