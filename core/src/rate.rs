//! How often is too often: token buckets, and what is remembered of those that are over.
//!
//! A bucket may go into debt: a call is taken while one is left, then its whole cost is taken off. So no call is too
//! large to pass ever, and one that costs nothing (a repeat) is free.
//!
//! Clocks jump. Forward, a bucket is full, and no fuller; backward, it goes on from the new time with what it had.
//! Nothing waits for a time that was passed already.

use crate::clock::Time;
use crate::problem::{Code, Problem};
use std::collections::BTreeMap;

/// So many in a second for ever, and `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: f64,
}

impl Rate {
    /// `None`, no limit, for a rate of nothing. At least one comes at once.
    ///
    /// ```
    /// use fieldhook_core::rate::Rate;
    /// assert!(Rate::new(10.0, 600.0).is_some());
    /// assert!(Rate::new(0.0, 600.0).is_none());
    /// ```
    pub fn new(per_second: f64, burst: f64) -> Option<Self> {
        (per_second > 0.0).then_some(Rate { per_second, burst: burst.max(1.0) })
    }
}

/// Whether a call may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// The rate is used up; one will be left after so many seconds.
    Over {
        wait: u32,
    },
}

impl Verdict {
    /// Seconds to wait, where it may not pass.
    pub fn wait(self) -> Option<u32> {
        match self {
            Verdict::Pass => None,
            Verdict::Over { wait } => Some(wait),
        }
    }
}

/// The longest wait that is told, seconds: who is deep in debt asks again after it.
pub const WAIT_MAX: u32 = 600;

/// What may be missing from one all the same, since seconds have no exact share of a rate.
const ROUNDING: f64 = 1e-6;

/// One bucket. The default one is full, under any rate.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::rate::{Bucket, Rate, Verdict};
/// let (rate, now) = (Rate::new(10.0, 20.0), Time::from_millis(1_000));
/// let mut bucket = Bucket::default();
/// assert_eq!(bucket.look(rate, now), Verdict::Pass);
/// bucket.take(50);
/// assert_eq!(bucket.look(rate, now), Verdict::Over { wait: 4 });
/// assert_eq!(bucket.look(rate, now.plus_millis(4_000)), Verdict::Pass);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bucket {
    /// What has been taken and not yet come back.
    used: f64,
    /// Until when that was reckoned, milliseconds.
    at: i64,
}

impl Bucket {
    /// What has come back until now is there; whether one is left.
    pub fn look(&mut self, rate: Option<Rate>, now: Time) -> Verdict {
        let Some(rate) = rate else { return Verdict::Pass };
        let elapsed = now.millis().saturating_sub(self.at).max(0);
        self.used = (self.used - elapsed as f64 / 1000.0 * rate.per_second).max(0.0);
        self.at = now.millis();
        let missing = self.used + 1.0 - rate.burst;
        if missing <= ROUNDING {
            return Verdict::Pass;
        }
        let wait = (missing / rate.per_second).ceil().clamp(1.0, f64::from(WAIT_MAX));
        Verdict::Over { wait: wait as u32 }
    }

    /// Takes a call's cost off, known only after it, perhaps.
    pub fn take(&mut self, cost: u32) {
        self.used += f64::from(cost);
    }

    fn is_full(&self) -> bool {
        self.used <= 0.0
    }
}

/// The most that one map of this file holds.
pub const MAP_MAX: usize = 1_000;

/// A bucket for each of many, of which the full ones need no room. Where there is no room all the same, one that is
/// in the map is forgotten, and counts as full when it comes back.
#[derive(Debug)]
pub struct Buckets<K> {
    of: BTreeMap<K, Bucket>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Buckets { of: BTreeMap::new() }
    }
}

impl<K: Ord> Buckets<K> {
    /// Takes one from the bucket of `key`, if anything is left in it.
    pub fn take(&mut self, key: K, rate: Option<Rate>, now: Time) -> Verdict {
        if rate.is_none() {
            return Verdict::Pass;
        }
        if self.of.len() >= MAP_MAX && !self.of.contains_key(&key) {
            self.of.retain(|_, bucket| {
                bucket.look(rate, now);
                !bucket.is_full()
            });
            if self.of.len() >= MAP_MAX {
                self.of.pop_first();
            }
        }
        let bucket = self.of.entry(key).or_default();
        let verdict = bucket.look(rate, now);
        if verdict == Verdict::Pass {
            bucket.take(1);
        }
        verdict
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.of.len()
    }
}

/// Who was told to wait, and until when: nobody needs to judge anew before that.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::rate::Waiting;
/// let now = Time::from_millis(10_000);
/// let mut waiting = Waiting::default();
/// waiting.tell("device", 2, now);
/// assert_eq!(waiting.wait("device", now.plus_millis(500)), Some(2));
/// assert_eq!(waiting.wait("device", now.plus_millis(2_000)), None);
/// ```
#[derive(Debug, Default)]
pub struct Waiting {
    /// From when until when, milliseconds. Before it, the clock was set back, and the wait is void.
    of: BTreeMap<String, (i64, i64)>,
}

impl Waiting {
    /// Who is told this where there is no room is asked anew next time: that costs a call, and lets nobody through.
    pub fn tell(&mut self, who: &str, wait: u32, now: Time) {
        let now = now.millis();
        if self.of.len() >= MAP_MAX && !self.of.contains_key(who) {
            self.of.retain(|_, span| seconds_left(*span, now).is_some());
            if self.of.len() >= MAP_MAX {
                return;
            }
        }
        self.of.insert(who.to_owned(), (now, now.saturating_add(i64::from(wait) * 1000)));
    }

    /// Seconds that are left to wait, if any.
    pub fn wait(&mut self, who: &str, now: Time) -> Option<u32> {
        let left = seconds_left(*self.of.get(who)?, now.millis());
        if left.is_none() {
            self.of.remove(who);
        }
        left
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.of.len()
    }
}

fn seconds_left((since, until): (i64, i64), now: i64) -> Option<u32> {
    let within = (since..until).contains(&now);
    within.then(|| u32::try_from((until - now + 999) / 1000).unwrap_or(WAIT_MAX))
}

/// What a device over its rate is told.
pub fn device_over(wait: u32) -> Problem {
    let why = "this device publishes more than DEVICE_RATE; the event is not kept, sending it again is safe";
    Problem::passing(Code::RateLimited, wait, why)
}

/// What a credential over its rate is told.
pub fn key_over(wait: u32) -> Problem {
    Problem::passing(Code::RateLimited, wait, "this credential calls more often than KEY_RATE allows")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_batch_larger_than_the_burst_passes_and_is_paid_for_afterwards() {
        let rate = Rate::new(10.0, 100.0);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.look(rate, at(0)), Verdict::Pass);
        bucket.take(500);
        assert_eq!(bucket.look(rate, at(0)), Verdict::Over { wait: 41 });
        assert_eq!(bucket.look(rate, at(40_099)), Verdict::Over { wait: 1 });
        assert_eq!(bucket.look(rate, at(40_100)), Verdict::Pass);
    }

    #[test]
    fn what_costs_nothing_is_free() {
        let rate = Rate::new(1.0, 1.0);
        let mut bucket = Bucket::default();
        for _ in 0..1_000 {
            assert_eq!(bucket.look(rate, at(0)), Verdict::Pass);
            bucket.take(0);
        }
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let mut bucket = Bucket::default();
        bucket.take(u32::MAX);
        assert_eq!(bucket.look(None, at(0)), Verdict::Pass);
        let mut buckets = Buckets::default();
        assert_eq!((buckets.take(1, None, at(0)), buckets.len()), (Verdict::Pass, 0));
    }

    #[test]
    fn a_clock_that_goes_back_a_day_blocks_nobody_for_a_day() {
        let rate = Rate::new(10.0, 10.0);
        let mut bucket = Bucket::default();
        bucket.look(rate, at(2 * DAY));
        bucket.take(30);
        assert_eq!(bucket.look(rate, at(DAY)), Verdict::Over { wait: 3 });
        assert_eq!(bucket.look(rate, at(DAY + 2_100)), Verdict::Pass);

        let mut waiting = Waiting::default();
        waiting.tell("d", 30, at(2 * DAY));
        assert_eq!(waiting.wait("d", at(2 * DAY)), Some(30));
        assert_eq!(waiting.wait("d", at(DAY)), None);
    }

    #[test]
    fn a_clock_that_goes_forward_a_day_fills_a_bucket_and_no_more() {
        let rate = Rate::new(10.0, 10.0);
        let mut bucket = Bucket::default();
        bucket.look(rate, at(0));
        bucket.take(1_000);
        assert_eq!(bucket.look(rate, at(DAY)), Verdict::Pass);
        bucket.take(10);
        assert_eq!(bucket.look(rate, at(DAY)), Verdict::Over { wait: 1 });
    }

    #[test]
    fn no_wait_is_told_that_is_longer_than_the_longest() {
        let mut bucket = Bucket::default();
        bucket.take(u32::MAX);
        assert_eq!(bucket.look(Rate::new(0.01, 1.0), at(0)), Verdict::Over { wait: WAIT_MAX });
    }

    #[test]
    fn the_maps_are_bounded_and_who_waits_is_not_pushed_out() {
        let rate = Rate::new(1.0, 2.0);
        let (mut buckets, mut waiting) = (Buckets::default(), Waiting::default());
        waiting.tell("first", 60, at(0));
        for n in 0..10 * MAP_MAX {
            buckets.take(n, rate, at(0));
            waiting.tell(&format!("d{n}"), 60, at(0));
        }
        assert_eq!((buckets.len(), waiting.len()), (MAP_MAX, MAP_MAX));
        assert_eq!(waiting.wait("first", at(0)), Some(60));
        // Those that are done make room.
        buckets.take(0, rate, at(5_000));
        waiting.tell("later", 60, at(60_000));
        assert_eq!((buckets.len(), waiting.len()), (1, 1));
    }

    #[test]
    fn one_does_not_pay_for_another() {
        let rate = Rate::new(1.0, 2.0);
        let mut buckets = Buckets::default();
        let verdicts: Vec<Verdict> = (0..3).map(|_| buckets.take("a", rate, at(0))).collect();
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Over { wait: 1 }]);
        assert_eq!(buckets.take("b", rate, at(0)), Verdict::Pass);
    }

    proptest! {
        /// What is taken in any time is at most the burst, what came back meanwhile, and the last call's whole cost.
        #[test]
        fn the_rate_holds(
            (per_second, burst) in (1u32..100, 1u32..1_000),
            calls in prop::collection::vec((0i64..5_000, 0u32..500), 1..100),
        ) {
            let rate = Rate::new(f64::from(per_second), f64::from(burst));
            let (mut bucket, mut now, mut taken, mut largest) = (Bucket::default(), 0, 0.0, 0.0f64);
            for (pause, cost) in calls {
                now += pause;
                if bucket.look(rate, at(now)) == Verdict::Pass {
                    bucket.take(cost);
                    taken += f64::from(cost);
                    largest = largest.max(f64::from(cost));
                }
            }
            let allowed = f64::from(burst) + f64::from(per_second) * now as f64 / 1000.0 + largest;
            prop_assert!(taken <= allowed + 0.001, "{taken} of {allowed}");
        }

        /// Whatever the clock did before: who waits as long as was told may pass, if that was not cut short.
        #[test]
        fn a_wait_that_is_kept_is_enough(
            (per_second, burst) in (1u32..100, 1u32..1_000),
            calls in prop::collection::vec((-2 * DAY..2 * DAY, 0u32..500), 1..50),
        ) {
            let rate = Rate::new(f64::from(per_second), f64::from(burst));
            let (mut bucket, mut now) = (Bucket::default(), 10 * DAY);
            for (jump, cost) in calls {
                now = (now + jump).max(0);
                match bucket.look(rate, at(now)) {
                    Verdict::Pass => bucket.take(cost),
                    Verdict::Over { wait } => {
                        prop_assert!((1..=WAIT_MAX).contains(&wait));
                        if wait < WAIT_MAX {
                            let after = at(now + i64::from(wait) * 1000);
                            prop_assert_eq!(bucket.clone().look(rate, after), Verdict::Pass);
                        }
                    }
                }
            }
        }
    }
}
