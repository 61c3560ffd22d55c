//! What a row holds while a service is asked for the device's reply (DESIGN.md, "Respond"): the event is committed
//! first, so that it counts whatever the service does; the answer takes this place afterwards.

use crate::clock::Time;

/// What a service may take for its answer, milliseconds: half of the 20 s after which Particle gives up.
pub const BUDGET: i64 = 10_000;
/// A call that began this long ago has been lost with the Worker that made it, milliseconds.
const LAPSED_AFTER: i64 = 15_000;
/// How a text begins that stands for an answer; no reply is stored with it.
const MARK: char = '*';

/// What a row holds from the commit on, or from the repeat that took the call over.
pub fn pending(since: Time) -> String {
    format!("{MARK}{}", since.millis())
}

/// Whether an outcome says that the caller is to ask the service.
pub fn is_pending(kept: &str) -> bool {
    kept.starts_with(MARK)
}

/// What a repeat finds in the place of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// The service is being asked; there is nothing to say yet.
    UnderWay,
    /// Nobody is asking any more: whoever finds it does.
    Lapsed,
}

/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::respond::{Pending, pending, read};
/// let since = Time::from_millis(1_000);
/// let kept = pending(since);
/// assert_eq!(read(&kept, Time::from_millis(15_999)), Some(Pending::UnderWay));
/// assert_eq!(read(&kept, Time::from_millis(16_000)), Some(Pending::Lapsed));
/// assert_eq!(read("p21.5", since), None);
/// ```
pub fn read(kept: &str, now: Time) -> Option<Pending> {
    let since = kept.strip_prefix(MARK)?.parse::<i64>().unwrap_or_default();
    // A clock that went back is no reason to wait for ever.
    match (0..LAPSED_AFTER).contains(&now.millis().saturating_sub(since)) {
        true => Some(Pending::UnderWay),
        false => Some(Pending::Lapsed),
    }
}
