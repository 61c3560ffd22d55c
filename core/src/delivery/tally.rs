//! What a shard counts of one integration's deliveries, which attempts it keeps, and when so many were given up that
//! the integration is paused (DESIGN.md, "Delivery").
//!
//! One value for each integration and shard, stored as one JSON text. It decides; the shard stores and deletes.

use super::record::Status;
use crate::clock::Time;
use crate::fleet::stats::day_of;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many days are counted, today included.
pub const DAYS: i64 = 30;
/// The newest attempts that are kept of an integration.
pub const ATTEMPTS_MAX: u64 = 1_000;
/// So many successes and so many errors are kept however old they are.
pub const ALWAYS_KEPT: usize = 10;
/// So many events given up in a row pause an integration.
pub const PARKED_IN_A_ROW: u32 = 20;

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
    /// How many attempts were noted, and so the newest one's number.
    #[serde(default)]
    noted: u64,
    /// Numbers of the newest successes, oldest first; of the newest errors likewise.
    #[serde(default)]
    successes: VecDeque<u64>,
    #[serde(default)]
    errors: VecDeque<u64>,
    /// Events given up since the last success.
    #[serde(default)]
    parked_in_a_row: u32,
    #[serde(default)]
    days: Days,
}

/// What to do about an attempt that was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Under which number to keep it; numbers count from 1 without gaps.
    pub number: u64,
    /// The numbers of those that are kept no longer.
    pub drop: Vec<u64>,
    /// So many were given up in a row that the integration is to be paused.
    pub pause: bool,
}

impl Tally {
    /// Notes an attempt that ended at `at`. Once for each attempt's id: who calls this has looked whether it is new.
    ///
    /// Replays count, but none of them pauses an integration: what they try has been given up before.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::{record::Status, tally::Tally};
    /// let mut tally = Tally::default();
    /// let noted = tally.note(Status::Success, false, Time::from_millis(0));
    /// assert_eq!((noted.number, noted.drop, noted.pause), (1, vec![], false));
    /// assert_eq!(tally.total(Time::from_millis(0)).success, 1);
    /// ```
    pub fn note(&mut self, status: Status, replayed: bool, at: Time) -> Noted {
        let mut counted = Counts::default();
        match status {
            Status::Success => counted.success = 1,
            Status::Failure => counted.failure = 1,
            Status::Parked => (counted.failure, counted.parked) = (1, 1),
            Status::Skipped => counted.skipped = 1,
        }
        self.count(&counted, at);
        self.noted = self.noted.saturating_add(1);
        let number = self.noted;
        let drop = self.keep(number, status);
        Noted { number, drop, pause: self.is_to_pause(status, replayed) }
    }

    /// Counts what no attempt was made for.
    pub fn count(&mut self, counts: &Counts, at: Time) {
        let today = day_of(at);
        self.days.entry(today).or_default().add(counts);
        // By the newest day that was counted: a late report does not bring old days back, nor drop new ones.
        let newest = self.days.keys().next_back().copied().unwrap_or(today);
        self.days.retain(|day, _| *day > newest - DAYS);
    }

    /// The counts of the last [`DAYS`] days, by day.
    pub fn days(&self, now: Time) -> Days {
        let today = day_of(now);
        self.days.range(today - DAYS + 1..).map(|(day, counts)| (*day, *counts)).collect()
    }

    /// The counts of the last [`DAYS`] days, together.
    pub fn total(&self, now: Time) -> Counts {
        let mut total = Counts::default();
        self.days(now).values().for_each(|counts| total.add(counts));
        total
    }

    /// The integration runs again: what was given up before is forgiven.
    pub fn resumed(&mut self) {
        self.parked_in_a_row = 0;
    }

    /// The attempts that are kept for ever so long, for a shard that prunes by age: all older others may go.
    pub fn always_kept(&self) -> impl Iterator<Item = u64> + '_ {
        self.successes.iter().chain(&self.errors).copied()
    }

    fn keep(&mut self, number: u64, status: Status) -> Vec<u64> {
        let oldest = number.saturating_sub(ATTEMPTS_MAX);
        let list = match status {
            Status::Success => Some(&mut self.successes),
            Status::Failure | Status::Parked => Some(&mut self.errors),
            Status::Skipped => None,
        };
        let mut drop = Vec::new();
        if let Some(list) = list {
            list.push_back(number);
            // One that leaves the list stays as long as it is among the newest.
            if list.len() > ALWAYS_KEPT {
                drop.extend(list.pop_front().filter(|left| *left < oldest));
            }
        }
        if oldest > 0 && !self.always_kept().any(|kept| kept == oldest) {
            drop.push(oldest);
        }
        drop
    }

    fn is_to_pause(&mut self, status: Status, replayed: bool) -> bool {
        match status {
            Status::Success => self.parked_in_a_row = 0,
            Status::Parked if !replayed => self.parked_in_a_row += 1,
            _ => {}
        }
        let pause = self.parked_in_a_row >= PARKED_IN_A_ROW;
        if pause {
            // Said once: those that were under way meanwhile begin another row.
            self.parked_in_a_row = 0;
        }
        pause
    }
}

/// Adds one shard's days to those of others.
pub fn merge(all: &mut Days, shard: &Days) {
    for (day, counts) in shard {
        all.entry(*day).or_default().add(counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DAY: i64 = 86_400_000;

    fn at(day: i64) -> Time {
        Time::from_millis(day * DAY)
    }

    #[test]
    fn thirty_days_are_counted() {
        let mut tally = Tally::default();
        for day in 0..40 {
            tally.note(Status::Success, false, at(day));
            tally.note(Status::Parked, false, at(day));
            tally.count(&Counts { skipped: 2, expired: 3, ..Counts::default() }, at(day));
        }
        let total = tally.total(at(39));
        assert_eq!(total, Counts { success: 30, failure: 30, parked: 30, skipped: 60, expired: 90 });
        assert_eq!(tally.total(at(68)).success, 1, "days go by without anything to count, too");
        tally.note(Status::Success, false, at(1));
        assert_eq!(tally.total(at(39)), total, "a late report is too late");
        let mut all = tally.days(at(39));
        merge(&mut all, &tally.days(at(39)));
        assert_eq!((all.len(), all[&39].success), (30, 2));
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
    }

    #[test]
    fn twenty_given_up_in_a_row_pause_it_once() {
        let mut tally = Tally::default();
        let mut note = |status, replayed| tally.note(status, replayed, at(0)).pause;
        assert!(!(0..19).any(|_| note(Status::Parked, false)));
        assert!(
            !note(Status::Failure, false) && !note(Status::Parked, true) && !note(Status::Skipped, false)
        );
        assert!(note(Status::Parked, false), "the twentieth");
        assert!(!note(Status::Parked, false), "said once");
        assert!(!(0..18).any(|_| note(Status::Parked, false)));
        assert!(!note(Status::Success, false), "a success ends the row");
        assert!(!(0..19).any(|_| note(Status::Parked, false)));
        tally.resumed();
        assert!(!tally.note(Status::Parked, false, at(0)).pause);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_newest_are_kept_and_the_last_ten_of_each_kind(
            runs in proptest::collection::vec((0..4u8, 1..900usize), 1..8),
        ) {
            let statuses = [Status::Success, Status::Failure, Status::Parked, Status::Skipped];
            let all: Vec<Status> =
                runs.iter().flat_map(|(kind, n)| std::iter::repeat_n(statuses[usize::from(*kind)], *n)).collect();
            let (mut tally, mut kept) = (Tally::default(), BTreeSet::new());
            for status in &all {
                let noted = tally.note(*status, false, at(0));
                prop_assert!(kept.insert(noted.number));
                for number in noted.drop {
                    prop_assert!(kept.remove(&number), "{number} was kept");
                }
            }
            let numbered: Vec<(u64, Status)> = (1..).zip(all).collect();
            let last = |is: fn(&Status) -> bool| {
                numbered.iter().rev().filter(move |(_, status)| is(status)).take(ALWAYS_KEPT).map(|(n, _)| *n)
            };
            let newest = numbered.iter().rev().take(ATTEMPTS_MAX as usize).map(|(n, _)| *n);
            let expected: BTreeSet<u64> = newest
                .chain(last(|status| *status == Status::Success))
                .chain(last(|status| matches!(status, Status::Failure | Status::Parked)))
                .collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
