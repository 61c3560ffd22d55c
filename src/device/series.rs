//! Reading the log as a chart: one bounded piece of it per call, row by row.

use super::{Inner, schema};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::series::{BYTES_PER_CALL, DISORDER, Plan, ROWS_PER_CALL, Series, first_not};

/// What a piece comes to, a [`Series`] as JSON.
pub(super) fn piece(device: &Inner, plan: &str) -> Result<String> {
    let plan: Plan = json::read(plan).map_err(|_| Problem::new(Code::Internal, "the plan cannot be read"))?;
    let Some(loaded) = device.known()? else {
        return Err(Problem::new(Code::UnknownDevice, "no event of this device has been accepted"));
    };
    let expired = isolate::now().plus_millis(-device.settings()?.retention);
    let series = read(device, &plan, plan.from.max(expired), loaded.next_seq)?;
    serde_json::to_string(&series).map_err(|_| Problem::new(Code::Internal, "the series cannot be written"))
}

/// Rows lie in the order of their numbers, and nearly in that of their times: so the first is looked up rather
/// than all before it read, and the piece that reaches behind the last is the last piece.
fn read(device: &Inner, plan: &Plan, from: Time, next_seq: u64) -> Result<Series> {
    let start = match plan.after {
        Some(seq) => seq + 1,
        None => first_since(device, from.plus_millis(-DISORDER), next_seq)?,
    };
    let end = start.saturating_add(ROWS_PER_CALL).min(next_seq);
    let mut series = Series::default();
    let mut bytes = 0;
    let (statement, values) = select(plan, from, start, end);
    for columns in sqlite::rows(&device.sql, &statement, values)? {
        let mut columns = columns?;
        let (seq, received, data) = (columns.unsigned(), columns.integer(), columns.text());
        series.push(plan, Time::from_millis(received), &data);
        bytes += data.len();
        if bytes > BYTES_PER_CALL {
            series.next = Some(seq);
            return Ok(series);
        }
    }
    let last = end.saturating_sub(1);
    let goes_on =
        end < next_seq && received(device, last)?.is_some_and(|at| at <= plan.to.plus_millis(DISORDER));
    series.next = goes_on.then_some(last);
    Ok(series)
}

fn select(plan: &Plan, from: Time, start: u64, end: u64) -> (String, Vec<Value<'_>>) {
    let mut statement = schema::NUMBERS.to_owned();
    let times = [from, plan.to].map(|time| Value::Integer(time.millis()));
    let mut values = vec![integer(start), integer(end)];
    values.extend(times);
    if let Some(prefix) = &plan.event {
        statement.push_str(" AND substr(event, 1, ?) = ?");
        values.extend([integer(prefix.chars().count() as u64), prefix.as_str().into()]);
    }
    statement.push_str(" ORDER BY seq");
    (statement, values)
}

/// The first row that came no earlier than this, `next_seq` if there is none.
pub(super) fn first_since(device: &Inner, time: Time, next_seq: u64) -> Result<u64> {
    let oldest = sqlite::first(&device.sql, schema::OLDEST, Vec::new())?;
    let Some(oldest) = oldest.map(|mut columns| columns.unsigned()) else { return Ok(next_seq) };
    first_not(oldest, next_seq, |seq| Ok(received(device, seq)?.is_none_or(|at| at < time)))
}

fn received(device: &Inner, seq: u64) -> Result<Option<Time>> {
    let row = sqlite::first(&device.sql, schema::RECEIVED, vec![integer(seq)])?;
    Ok(row.map(|mut columns| Time::from_millis(columns.integer())))
}
