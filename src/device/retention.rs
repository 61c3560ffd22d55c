//! What a log does not keep: by age when the alarm comes, by size when an event does. It goes a part at a time.

use super::{Inner, Loaded, schema};
use crate::isolate;
use crate::parts::{firsts, of_part};
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::parts::{PARTS, Surplus};
use fieldhook_core::problem::{Code, Problem, Result};

/// Empties the parts in which everything is older than the retention.
pub(super) fn by_age(device: &Inner, loaded: &mut Loaded, now: Time, retention: i64) -> Result<()> {
    let limit = now.plus_millis(-retention);
    while let Some(part) = loaded.parts.outlived(limit, loaded.last_heard) {
        let young = of_part(schema::IS_YOUNG, part);
        let young = sqlite::first(&device.sql, &young, vec![Value::Integer(limit.millis())])?;
        if young.is_some() || !empty(device, loaded, part)? {
            break;
        }
    }
    Ok(())
}

/// Empties the oldest parts of a log that has outgrown its bound, and sees that they stay about as large as each other.
pub(super) fn by_size(device: &Inner, loaded: &mut Loaded, max_bytes: u64) -> Result<()> {
    let last = loaded.next_seq.saturating_sub(1);
    for _ in 0..PARTS {
        let size = device.sql.database_size() as u64;
        let goes_on = match loaded.parts.surplus(size, max_bytes, last) {
            Surplus::Nothing => false,
            Surplus::Part(part) => empty(device, loaded, part)?,
            Surplus::Rows(last) => {
                remove(device, loaded, last)?;
                false
            }
        };
        if !goes_on {
            loaded.parts.turn_by_size(size, max_bytes, last);
            break;
        }
    }
    Ok(())
}

/// Empties a part, the oldest; answers whether it did.
fn empty(device: &Inner, loaded: &mut Loaded, part: usize) -> Result<bool> {
    let newest = sqlite::first(&device.sql, &of_part(schema::NEWEST_OF, part), Vec::new())?;
    if let Some(mut newest) = newest {
        let (last, received) = (newest.unsigned(), Time::from_millis(newest.integer()));
        if !passes(device, loaded, last, received)? {
            return Ok(false);
        }
        if sqlite::run(&device.sql, schema::emptied(part), Vec::new()).is_err() {
            // A table that somebody still reads cannot be dropped.
            sqlite::run(&device.sql, &of_part(schema::EMPTY_SLOWLY, part), Vec::new())?;
        }
    }
    loaded.parts.emptied(part);
    Ok(true)
}

/// Removes rows up to a sequence number.
fn remove(device: &Inner, loaded: &mut Loaded, last: u64) -> Result<()> {
    let received = sqlite::first(&device.sql, schema::RECEIVED, vec![integer(last)])?;
    let Some(mut received) = received else { return Ok(()) };
    if !passes(device, loaded, last, Time::from_millis(received.integer()))? {
        return Ok(());
    }
    for part in 0..PARTS {
        sqlite::run(&device.sql, &of_part(schema::PRUNE, part), vec![integer(last)])?;
    }
    let missing = || Problem::new(Code::Internal, "the log's parts cannot be read");
    let mut columns = sqlite::first(&device.sql, schema::FIRSTS, Vec::new())?.ok_or_else(missing)?;
    loaded.parts.reread(firsts(&mut columns));
    Ok(())
}

/// Takes in that everything up to a sequence number goes, and counts what was not delivered; [`Inner::keep`] writes it.
/// Answers whether it may go now.
fn passes(device: &Inner, loaded: &mut Loaded, last: u64, received: Time) -> Result<bool> {
    if isolate::known_snapshot(isolate::now()).is_none() {
        // The alarm finds out first who has not been given these events yet.
        device.look_again()?;
        return Ok(false);
    }
    device.expire_lanes(&loaded.device.device, loaded.device.pruned_to, last)?;
    let state = loaded.device.change();
    (state.pruned_to, state.pruned_last_heard) = (last, Some(received));
    // What goes is new when it comes again.
    loaded.recent.forget();
    Ok(true)
}
