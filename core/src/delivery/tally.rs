//! What a shard counts of one integration's deliveries, how many attempts it keeps, and when so many were given up that
//! the integration is paused (DESIGN.md, "Delivery").
//!
//! One value for each integration and shard, stored as one JSON text. It decides; the shard stores and deletes.

use super::record::Status;
use crate::clock::Time;
use crate::fleet::stats::day_of;
use crate::integration::stored::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many days are counted, today included.
pub const DAYS: i64 = 30;
/// The newest attempts that are kept of an integration.
pub const ATTEMPTS_MAX: u64 = 1_000;
/// So many successes and so many errors are kept however old they are.
pub const ALWAYS_KEPT: u64 = 10;
/// So many events given up in a row pause an integration.
pub const PARKED_IN_A_ROW: u32 = 20;
/// Attempts beyond those are removed once in so many.
const TRIM_EVERY: u64 = 64;

/// The counts of one day. Attempts, but for `skipped` and `expired`, which are events that none was made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub success: u64,
    /// Attempts that failed, the last one before giving up included.
    pub failure: u64,
    /// Events given up: each of them is a failure as well.
    pub parked: u64,
    /// Events passed over, by `POST …/resume {"from":"now"}`.
    pub skipped: u64,
    /// Events that left the log undelivered.
    pub expired: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.success = self.success.saturating_add(other.success);
        self.failure = self.failure.saturating_add(other.failure);
        self.parked = self.parked.saturating_add(other.parked);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.expired = self.expired.saturating_add(other.expired);
    }
}

/// Counts by day, as days since 1970 in UTC.
pub type Days = BTreeMap<i64, Counts>;

/// What is known of an integration in one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many attempts were noted.
    #[serde(default)]
    noted: u64,
    /// Events given up since the last success.
    #[serde(default)]
    parked_in_a_row: u32,
    /// The service said that it is gone for good.
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    days: Days,
}

impl Tally {
    /// Takes in an attempt; answers whether the attempts are to be trimmed now. A replay that is given up again says
    /// nothing new of the service.
    pub fn note(&mut self, status: Status, replayed: bool, gone: bool, at: Time) -> bool {
        let mut counted = Counts::default();
        match status {
            Status::Success => {
                counted.success = 1;
                (self.parked_in_a_row, self.gone) = (0, false);
            }
            Status::Failure => counted.failure = 1,
            Status::Parked => {
                (counted.failure, counted.parked) = (1, 1);
                self.parked_in_a_row = self.parked_in_a_row.saturating_add(u32::from(!replayed));
            }
            Status::Skipped => counted.skipped = 1,
        }
        self.gone |= gone;
        self.count(&counted, at);
        self.noted = self.noted.saturating_add(1);
        self.noted.is_multiple_of(TRIM_EVERY)
    }

    /// Counts events that no attempt was made for.
    pub fn count(&mut self, counts: &Counts, at: Time) {
        let today = day_of(at);
        self.days.entry(today).or_default().add(counts);
        let newest = self.days.keys().next_back().copied().unwrap_or(today);
        self.days.retain(|day, _| *day > newest - DAYS);
    }

    /// Why the integration is to pause. Said until it was resumed: whoever was told may not have come to do it.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::{record::Status, tally::{PARKED_IN_A_ROW, Tally}};
    /// let (mut tally, now) = (Tally::default(), Time::from_millis(0));
    /// for _ in 0..PARKED_IN_A_ROW {
    ///     assert_eq!(tally.pause(), None);
    ///     tally.note(Status::Parked, false, false, now);
    /// }
    /// assert!(tally.pause().is_some());
    /// tally.resumed();
    /// assert_eq!(tally.pause(), None);
    /// ```
    pub fn pause(&self) -> Option<Reason> {
        match self {
            Tally { gone: true, .. } => Some(Reason::Gone),
            Tally { parked_in_a_row: PARKED_IN_A_ROW.., .. } => Some(Reason::Parked),
            _ => None,
        }
    }

    pub fn resumed(&mut self) {
        (self.parked_in_a_row, self.gone) = (0, false);
    }

    /// The days that are still counted.
    pub fn days(&self, now: Time) -> Days {
        let today = day_of(now);
        self.days.range(today - DAYS + 1..).map(|(day, counts)| (*day, *counts)).collect()
    }
}

/// Adds one shard's days to those of all.
pub fn merge(all: &mut Days, shard: &Days) {
    for (day, counts) in shard {
        all.entry(*day).or_default().add(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn at(day: i64) -> Time {
        Time::from_millis(day * DAY)
    }

    #[test]
    fn thirty_days_are_counted() {
        let mut tally = Tally::default();
        for day in 0..40 {
            tally.note(Status::Success, false, false, at(day));
            tally.note(Status::Parked, false, false, at(day));
            tally.count(&Counts { skipped: 2, expired: 3, ..Counts::default() }, at(day));
        }
        let total = |tally: &Tally, now| {
            let mut total = Counts::default();
            tally.days(now).values().for_each(|counts| total.add(counts));
            total
        };
        let all = Counts { success: 30, failure: 30, parked: 30, skipped: 60, expired: 90 };
        assert_eq!(total(&tally, at(39)), all);
        assert_eq!(total(&tally, at(68)).success, 1, "days go by without anything to count, too");
        tally.note(Status::Success, false, false, at(1));
        assert_eq!(total(&tally, at(39)), all, "a late report is too late");
        let mut days = tally.days(at(39));
        merge(&mut days, &tally.days(at(39)));
        assert_eq!((days.len(), days[&39].success), (30, 2));
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
    }

    #[test]
    fn twenty_given_up_in_a_row_pause_it() {
        let mut tally = Tally::default();
        let mut note = |status, replayed| {
            tally.note(status, replayed, false, at(0));
            tally.pause()
        };
        assert!((0..19).all(|_| note(Status::Parked, false).is_none()));
        assert_eq!(note(Status::Failure, false), None, "one that is tried again is not given up");
        assert_eq!(note(Status::Parked, true), None, "a replay says nothing new");
        assert_eq!(note(Status::Parked, false), Some(Reason::Parked), "the twentieth");
        assert_eq!(note(Status::Success, false), None, "a success ends the row");
        assert!((0..19).all(|_| note(Status::Parked, false).is_none()));
    }

    #[test]
    fn a_service_that_is_gone_pauses_it_at_once() {
        let mut tally = Tally::default();
        tally.note(Status::Failure, false, true, at(0));
        assert_eq!(tally.pause(), Some(Reason::Gone));
    }
}
