//! What a log does not keep: by age when the alarm comes, by size when an event does.

use super::{Inner, Loaded, schema};
use crate::sqlite::{self, Columns, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::problem::Result;

use fieldhook_core::retention::rows_to_drop;

/// Removes what is older than the retention; answers the time of the oldest row that stays.
pub(super) fn by_age(device: &Inner, loaded: &mut Loaded, now: Time, retention: i64) -> Result<Option<Time>> {
    let limit = Value::Integer(now.plus_millis(-retention).millis());
    if let Some(last) = sqlite::first(&device.sql, schema::LAST_BEFORE, vec![limit])? {
        prune(device, loaded, last)?;
    }
    let oldest = sqlite::first(&device.sql, schema::OLDEST, Vec::new())?;
    Ok(oldest.map(|mut columns| {
        columns.unsigned();
        Time::from_millis(columns.integer())
    }))
}

/// Removes the oldest rows of a log that has outgrown its bound.
pub(super) fn by_size(device: &Inner, loaded: &mut Loaded, max_bytes: u64) -> Result<()> {
    let size = device.sql.database_size() as u64;
    let Some(count) = sqlite::first(&device.sql, schema::COUNT, Vec::new())? else { return Ok(()) };
    let mut count = count;
    if let Some(drop) = rows_to_drop(size, max_bytes, count.unsigned()) {
        let values = vec![integer(drop.saturating_sub(1))];
        if let Some(last) = sqlite::first(&device.sql, schema::NTH_OLDEST, values)? {
            prune(device, loaded, last)?;
        }
    }
    Ok(())
}

/// Removes everything up to a row (seq, received), and remembers that there was something.
fn prune(device: &Inner, loaded: &mut Loaded, mut last: Columns) -> Result<()> {
    let (seq, received) = (last.unsigned(), Time::from_millis(last.integer()));
    sqlite::run(&device.sql, schema::PRUNE, vec![integer(seq)])?;
    loaded.device.pruned_to = seq;
    loaded.device.pruned_last_heard = Some(received);
    device.write_state(&loaded.device)
}
