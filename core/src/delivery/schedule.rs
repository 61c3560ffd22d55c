//! When an event is tried again (DESIGN.md, "Delivery": `RETRY_SCHEDULE`).

use super::retry_after::RETRY_AFTER_MAX;
use crate::clock::Time;
use sha2::{Digest, Sha256};

/// Default of `RETRY_SCHEDULE`, seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, as Standard Webhooks
/// proposes; about three days in all.
pub const RETRY_SCHEDULE: &str = "5,300,1800,7200,18000,36000,50400,72000,86400";
/// The most pauses a schedule has.
pub const PAUSES_MAX: usize = 50;
/// The longest pause, seconds: 30 days.
pub const PAUSE_MAX: f64 = 2_592_000.0;

/// The pauses between attempts. There is one attempt more than there are pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds.
    pauses: Vec<i64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            pauses: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(|s| s * 1_000).into(),
        }
    }
}

impl Schedule {
    /// Reads seconds, comma-separated; parts of a second are allowed, so that tests need not wait.
    ///
    /// # Errors
    /// What a schedule is, in words that follow on the setting's name.
    ///
    /// ```
    /// use fieldhook_core::delivery::schedule::{Schedule, RETRY_SCHEDULE};
    /// assert_eq!(Schedule::parse(RETRY_SCHEDULE).unwrap(), Schedule::default());
    /// assert_eq!(Schedule::parse("0.5, 30").unwrap().attempts(), 3);
    /// assert!(Schedule::parse("5,soon").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let pause = |item: &str| {
            let seconds: f64 = item.trim().parse().ok()?;
            (0.0..=PAUSE_MAX).contains(&seconds).then_some((seconds * 1_000.0) as i64)
        };
        let pauses: Option<Vec<i64>> = text.split(',').map(pause).collect();
        match pauses {
            Some(pauses) if pauses.len() <= PAUSES_MAX => Ok(Schedule { pauses }),
            _ => Err("must be 1 to 50 numbers of seconds, each from 0 to 2592000, separated by commas"),
        }
    }

    /// How often an event is tried at most.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.pauses.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// When attempt `tries + 1` may be made, after `tries` failed, the last at `failed_at`; `None` when there were
    /// attempts enough. `after` is what the service asked to wait, milliseconds: it is never asked earlier.
    ///
    /// Up to a tenth of a pause is added or taken, and to what a service asked for only added, so that what failed
    /// together does not come back together. How much comes from the message and the attempt: it is the same
    /// whenever it is asked.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::schedule::Schedule;
    /// let schedule = Schedule::parse("5,300").unwrap();
    /// let now = Time::from_millis(0);
    /// let due = schedule.next(1, now, None, "msg_1").unwrap().millis();
    /// assert!((4_500..=5_500).contains(&due));
    /// assert!(schedule.next(1, now, Some(60_000), "msg_1").unwrap().millis() >= 60_000);
    /// assert_eq!(schedule.next(3, now, None, "msg_1"), None);
    /// ```
    pub fn next(&self, tries: u32, failed_at: Time, after: Option<i64>, message_id: &str) -> Option<Time> {
        let index = usize::try_from(tries.checked_sub(1)?).ok()?;
        let pause = *self.pauses.get(index)?;
        let share = share(message_id, tries);
        let jittered = pause.saturating_add(part(pause, 2 * share - ONE) / 10);
        let asked = after.unwrap_or(0).clamp(0, RETRY_AFTER_MAX);
        let spread = asked.saturating_add(part(asked, share) / 10);
        // Never at the same instant: time moves on with each attempt.
        Some(failed_at.plus_millis(jittered.max(spread).max(1)))
    }
}

/// What [`share`] calls one.
const ONE: i64 = 1 << 16;

fn part(whole: i64, share: i64) -> i64 {
    whole.saturating_mul(share) / ONE
}

/// From 0 to 1, in parts of [`ONE`].
fn share(message_id: &str, tries: u32) -> i64 {
    let mut hash = Sha256::new();
    hash.update(tries.to_be_bytes());
    hash.update(message_id);
    let digest = hash.finalize();
    let mut bytes = digest.iter().copied().map(i64::from);
    bytes.next().unwrap_or_default() << 8 | bytes.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_schedule_is_refused() {
        let long = vec!["1"; 51].join(",");
        for text in ["", "5,", "a", "-1", "1;2", "inf", "NaN", "1e99", &long] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_failed_together_comes_back_spread_out() {
        let schedule = Schedule::default();
        let due: std::collections::BTreeSet<i64> = (0..200)
            .filter_map(|n| schedule.next(2, Time::from_millis(0), None, &format!("msg_{n}")))
            .map(Time::millis)
            .collect();
        assert!(due.len() > 190);
        assert!(due.last().unwrap() - due.first().unwrap() > 40_000);
    }

    proptest! {
        #[test]
        fn a_pause_is_what_it_says_within_a_tenth(
            pauses in proptest::collection::vec(0..=2_592_000u32, 1..10),
            tries in 1..12u32, at in 0..4_000_000_000_000i64, id in "msg_[a-z0-9]{1,8}",
            after in proptest::option::of(-5..100_000_000i64),
        ) {
            let text = pauses.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let schedule = Schedule::parse(&text).unwrap();
            let at = Time::from_millis(at);
            let next = schedule.next(tries, at, after, &id);
            prop_assert_eq!(next, schedule.next(tries, at, after, &id));
            prop_assert_eq!(next.is_some(), tries < schedule.attempts());
            let Some(next) = next else { return Ok(()) };
            let (wait, pause) = (next.millis() - at.millis(), i64::from(pauses[tries as usize - 1]) * 1_000);
            let asked = after.unwrap_or(0).clamp(0, RETRY_AFTER_MAX);
            prop_assert!(wait >= 1 && wait >= pause - pause / 10 && wait >= asked);
            prop_assert!(wait <= (pause + pause / 10).max(asked + asked / 10).max(1));
        }
    }
}
