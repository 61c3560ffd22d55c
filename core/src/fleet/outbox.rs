//! What a device does next about its shard: the log is the outbox, and this is the cursor in it.

use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// How long an append may take before another is tried, milliseconds. The platform gives up far earlier.
pub const IN_FLIGHT_MAX: i64 = 60_000;

/// Where a device's log goes. Stored, and written only when the device joins or leaves a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The shard that gets what is behind `base`.
    pub shard: String,
    /// Up to here another shard has confirmed the log.
    #[serde(default)]
    pub base: u64,
    /// That shard's last append.
    #[serde(default = "epoch")]
    pub not_before: Time,
    /// The shard before, as long as it still lists the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

fn epoch() -> Time {
    Time::from_millis(0)
}

impl Membership {
    /// A device's first shard.
    pub fn first(shard: String) -> Self {
        Membership { shard, base: 0, not_before: epoch(), left: None }
    }

    /// Moves to another shard. Only for a device whose shard has confirmed everything up to `last`.
    pub fn moved(&self, shard: String, last: u64, at: Time) -> Self {
        // Later, not at the same time: readers order two shards' events by time alone.
        Membership {
            shard,
            base: last,
            not_before: at.max(self.not_before).plus_millis(1),
            left: Some(self.shard.clone()),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Append the events behind this one; if there are none, ask how far the shard has come.
    Append { after: u64 },
    /// Belong to this shard from now on.
    Move { shard: String },
    /// Tell this shard that the device has left.
    Leave { shard: String },
    /// The shard has everything.
    Done,
}

/// Decides the next step. `confirmed` is what the shard has said since the object woke; `guess` stands in for
/// it before: most often only the newest events are missing, and the shard corrects what is wrong.
///
/// ```
/// use fieldhook_core::fleet::outbox::{next, Membership, Step};
/// let home = Membership::first("shard-0".to_owned());
/// assert_eq!(next(&home, "shard-0", None, Some(4), 5), Step::Append { after: 4 });
/// assert_eq!(next(&home, "shard-0", Some(5), None, 5), Step::Done);
/// assert_eq!(next(&home, "shard-1", Some(4), None, 5), Step::Append { after: 4 }); // first finish here
/// assert_eq!(next(&home, "shard-1", Some(5), None, 5), Step::Move { shard: "shard-1".to_owned() });
/// ```
pub fn next(member: &Membership, home: &str, confirmed: Option<u64>, guess: Option<u64>, last: u64) -> Step {
    match confirmed {
        None => Step::Append { after: guess.unwrap_or(last) },
        Some(confirmed) if confirmed < last => Step::Append { after: confirmed },
        Some(_) => match &member.left {
            Some(left) => Step::Leave { shard: left.clone() },
            None if member.shard != home => Step::Move { shard: home.to_owned() },
            None => Step::Done,
        },
    }
}
