//! What a log does not keep: by age when the alarm comes, by size when an event does.

use super::delivery::LOOK_AGAIN;
use super::{Inner, Loaded, schema};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::problem::Result;
use fieldhook_core::retention::rows_to_drop;

/// Removes what is older than the retention.
pub(super) fn by_age(device: &Inner, loaded: &mut Loaded, now: Time, retention: i64) -> Result<()> {
    let limit = Value::Integer(now.plus_millis(-retention).millis());
    let stays = sqlite::first(&device.sql, schema::FIRST_SINCE, vec![limit])?;
    let first_to_stay = stays.map_or(loaded.next_seq, |mut columns| columns.unsigned());
    prune(device, loaded, first_to_stay.saturating_sub(1))
}

/// Removes the oldest rows of a log that has outgrown its bound.
pub(super) fn by_size(device: &Inner, loaded: &mut Loaded, max_bytes: u64) -> Result<()> {
    let size = device.sql.database_size() as u64;
    if size < max_bytes {
        return Ok(());
    }
    let Some(mut oldest) = sqlite::first(&device.sql, schema::OLDEST, Vec::new())? else { return Ok(()) };
    let oldest = oldest.unsigned();
    // Sequence numbers have no gaps: counting is subtracting.
    match rows_to_drop(size, max_bytes, loaded.next_seq.saturating_sub(oldest)) {
        Some(rows) => prune(device, loaded, oldest + rows - 1),
        None => Ok(()),
    }
}

/// Removes everything up to a sequence number, and remembers that there was something; [`Inner::keep`] writes it.
fn prune(device: &Inner, loaded: &mut Loaded, last: u64) -> Result<()> {
    let received = sqlite::first(&device.sql, schema::RECEIVED, vec![integer(last)])?;
    let Some(mut received) = received else { return Ok(()) };
    if isolate::known_snapshot().is_none() {
        // The alarm finds out first who has not been given these events yet.
        return device.arm_by(isolate::now().plus_millis(LOOK_AGAIN));
    }
    device.expire_lanes(&loaded.device.device, loaded.device.pruned_to, last)?;
    loaded.device.pruned_to = last;
    loaded.device.pruned_last_heard = Some(Time::from_millis(received.integer()));
    sqlite::run(&device.sql, schema::PRUNE, vec![integer(last)]).map(drop)
}
