//! What a row holds while a service is asked for the device's reply (DESIGN.md, "Respond"): the event is committed
//! first, so that it counts whatever the service does; the answer takes this place afterwards.

use crate::clock::Time;

/// What a service may take for its answer, milliseconds: half of the 20 s after which Particle gives up.
pub const BUDGET: i64 = 10_000;
/// A call that began this long ago has been lost with the Worker that made it, milliseconds.
const LAPSED_AFTER: i64 = 15_000;
/// Stands for an answer that has not come; no reply is stored with it.
pub const PENDING: &str = "*";

/// Whether the service is still being asked. The device's object remembers since when, in memory alone: after a crash
/// it knows of no call, and the next repeat asks again.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::respond::is_under_way;
/// let since = Time::from_millis(1_000);
/// assert!(is_under_way(Some(since), Time::from_millis(15_999)));
/// assert!(!is_under_way(Some(since), Time::from_millis(16_000)));
/// assert!(!is_under_way(None, since));
/// ```
pub fn is_under_way(since: Option<Time>, now: Time) -> bool {
    // A clock that went back is no reason to wait for ever.
    since.is_some_and(|since| (0..LAPSED_AFTER).contains(&now.millis().saturating_sub(since.millis())))
}
