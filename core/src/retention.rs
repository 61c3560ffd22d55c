//! How much of a log goes, and when to look again (DESIGN.md, "Limits": by age and by size, in every object).

use crate::clock::Time;

/// A log's size is looked at once in so many events.
pub const CHECK_EVERY: u64 = 64;
/// The safety alarm: how long after a commit a device makes sure that its shard has the event, milliseconds.
pub const CONFIRM_AGAIN: i64 = 20_000;
/// The same of an object that has just woken: before it sleeps again, ten seconds later, and forgets that the shard has
/// confirmed everything. An alarm that finds nothing to do costs less than one that has to ask.
const CONFIRM_AWAKE: i64 = 8_000;
/// Of an age limit, the part that a row may outstay it: an alarm for each row would cost more than the row.
const SLACK: i64 = 30;

/// Whether a log that grew from one sequence number to another is due for a look.
///
/// ```
/// use fieldhook_core::retention::is_due;
/// assert!(!is_due(1, 63));
/// assert!(is_due(55, 65)); // also where a batch steps over the number
/// ```
pub fn is_due(before: u64, after: u64) -> bool {
    before / CHECK_EVERY < after / CHECK_EVERY
}

/// How many of the oldest rows to drop so that a log of this size comes to nine tenths of its bound.
///
/// ```
/// use fieldhook_core::retention::rows_to_drop;
/// assert_eq!(rows_to_drop(99, 100, 1000), None);
/// assert_eq!(rows_to_drop(100, 100, 1000), Some(100));
/// assert_eq!(rows_to_drop(200, 100, 1000), Some(550));
/// ```
pub fn rows_to_drop(size: u64, max: u64, rows: u64) -> Option<u64> {
    if size < max || rows < 2 {
        return None;
    }
    let surplus = size.saturating_sub(max / 10 * 9);
    let share = u128::from(surplus) * u128::from(rows) / u128::from(size.max(1));
    // The newest row always stays: it is the one that is being acknowledged.
    Some(u64::try_from(share).unwrap_or(rows).clamp(1, rows - 1))
}

/// When the safety alarm of an event comes, milliseconds: `was_awake` is whether the object had been before it.
pub fn confirm_after(was_awake: bool) -> i64 {
    if was_awake { CONFIRM_AGAIN } else { CONFIRM_AWAKE }
}

/// How long until an object looks again for what has aged out, milliseconds: at most a day, so that nothing
/// outstays a long retention by much.
pub fn look_again(retention: i64) -> i64 {
    (retention / SLACK).clamp(1_000, 86_400_000)
}

/// Whether an alarm is armed and can still be trusted to come. The platform tries a failing one six times
/// within minutes; one that is long past has been given up.
pub fn is_armed(alarm_at: Option<Time>, now: Time) -> bool {
    alarm_at.is_some_and(|at| at.plus_millis(GIVEN_UP_AFTER) > now)
}

/// The same, of an alarm that comes by a time. One that is due and has not come yet does: to set it again would send it
/// away.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::retention::is_armed_by;
/// let at = |seconds: i64| Some(Time::from_millis(seconds * 1_000));
/// let (now, by) = (Time::from_millis(1_000_000), Time::from_millis(1_020_000));
/// assert!(is_armed_by(at(1_020), by, now) && is_armed_by(at(999), by, now));
/// assert!(!is_armed_by(at(1_021), by, now)); // somebody else's, much later
/// assert!(!is_armed_by(at(400), by, now) && !is_armed_by(None, by, now));
/// ```
pub fn is_armed_by(alarm_at: Option<Time>, by: Time, now: Time) -> bool {
    is_armed(alarm_at, now) && alarm_at.is_some_and(|at| at <= by)
}

/// Milliseconds.
const GIVEN_UP_AFTER: i64 = 600_000;
