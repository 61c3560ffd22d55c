//! Events of the last hour, minute by minute, for `/v1/stats`. They are counted with the days and written with the
//! shard's marks: no row of their own is billed.

use crate::clock::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many minutes are told, the one under way included.
pub const TOLD: i64 = 60;

const MINUTE: i64 = 60_000;

/// Counts by minute, as minutes since 1970; those that had none are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minutes(BTreeMap<i64, u64>);

impl Minutes {
    /// Counts one event. What is an hour older than the newest is forgotten: there is never more than that.
    pub fn count(&mut self, at: Time) {
        self.put(at.millis() / MINUTE, 1);
        self.forget();
    }

    pub fn add(&mut self, other: &Minutes) {
        other.0.iter().for_each(|(minute, events)| self.put(*minute, *events));
        self.forget();
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The hour that ends with the minute under way, oldest first, and when it begins.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::fleet::minutes::Minutes;
    /// let mut minutes = Minutes::default();
    /// minutes.count(Time::from_millis(7_200_000));
    /// let (from, events) = minutes.told(Time::from_millis(7_265_000));
    /// assert_eq!((from.to_string().as_str(), events.len()), ("1970-01-01T01:02:00.000Z", 60));
    /// assert_eq!(events.iter().rev().take(3).collect::<Vec<_>>(), [&0, &1, &0]);
    /// ```
    pub fn told(&self, now: Time) -> (Time, Vec<u64>) {
        let last = now.millis() / MINUTE;
        let first = (last - TOLD + 1).max(0);
        let events = (first..=last).map(|minute| self.0.get(&minute).copied().unwrap_or(0)).collect();
        (Time::from_millis(first * MINUTE), events)
    }

    fn put(&mut self, minute: i64, events: u64) {
        let count = self.0.entry(minute).or_default();
        *count = count.saturating_add(events);
    }

    fn forget(&mut self) {
        while self.0.len() > 1 {
            let (Some((oldest, _)), Some((newest, _))) = (self.0.first_key_value(), self.0.last_key_value())
            else {
                return;
            };
            if newest - oldest < TOLD {
                return;
            }
            self.0.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_was_a_day_ahead_leaves_no_more_than_an_hour() {
        let mut minutes = Minutes::default();
        minutes.count(Time::from_millis(90_000_000));
        minutes.count(Time::from_millis(3_600_000));
        assert_eq!(minutes.0.len(), 1);
    }

    proptest! {
        #[test]
        fn what_was_counted_within_the_hour_is_told_wherever_it_was_written(
            ages in prop::collection::vec(0i64..3_540_000, 0..50), split in 0usize..50,
        ) {
            let now = Time::from_millis(1_800_000_000_000);
            let (mut written, mut newer) = (Minutes::default(), Minutes::default());
            for (index, age) in ages.iter().enumerate() {
                let part = if index < split { &mut written } else { &mut newer };
                part.count(now.plus_millis(-age));
            }
            let text = serde_json::to_string(&written).unwrap();
            let mut whole: Minutes = serde_json::from_str(&text).unwrap();
            whole.add(&newer);
            prop_assert_eq!(whole.told(now).1.iter().sum::<u64>(), ages.len() as u64);
        }

        #[test]
        fn no_time_makes_it_grow(times in prop::collection::vec(any::<i64>(), 0..300)) {
            let mut minutes = Minutes::default();
            for at in times {
                minutes.count(Time::from_millis(at));
                prop_assert!(minutes.0.len() <= TOLD as usize);
            }
        }
    }
}
