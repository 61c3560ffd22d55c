//! What Particle spares a server that fails: per host name, over all webhooks and ports.
//!
//! "Particle uses an adaptive algorithm to skip webhook attempts when more 4xx or 5xx HTTP status codes than
//! 2xx HTTP status codes are returned ... After a cooldown period of a few seconds without errors, requests
//! will be allowed to be made once again. Events that were skipped will retried after 30 seconds and 1 minute
//! before being dropped." (Particle docs, webhook reference, "Limits")
//!
//! The algorithm's numbers are not published. Those below are this simulator's reading of "many times in
//! rapid succession" and "a few seconds".

use crate::clock::Millis;
use std::collections::{HashMap, VecDeque};

/// What the device's owner reads in `hook-error`.
pub const SLEEPING: &str = "Sleeping, too many errors, please wait and try again";
/// After how long a skipped event is tried again, from when it was first skipped.
pub const RETRIES: [Millis; 2] = [30_000, 60_000];
/// How far back answers count.
const WINDOW: Millis = 60_000;
/// Fewer errors than this are not "many".
const MANY: usize = 5;
/// A few seconds without errors.
const COOLDOWN: Millis = 5_000;
/// How many answers are remembered for one host.
const REMEMBERED: usize = 10_000;

/// Whether a request may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Send,
    Skip,
}

/// What becomes of an event that was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// Try again at this time.
    RetryAt(Millis),
    Dropped,
}

/// What becomes of an event first skipped at `first`, after this many retries were skipped as well.
///
/// ```
/// use simulator::throttle::{Skipped, after_skip};
/// assert_eq!(after_skip(1_000, 0), Skipped::RetryAt(31_000));
/// assert_eq!(after_skip(1_000, 1), Skipped::RetryAt(61_000));
/// assert_eq!(after_skip(1_000, 2), Skipped::Dropped);
/// ```
pub fn after_skip(first: Millis, retries: usize) -> Skipped {
    match RETRIES.get(retries) {
        Some(wait) => Skipped::RetryAt(first.saturating_add(*wait)),
        None => Skipped::Dropped,
    }
}

/// The recent answers of every host.
#[derive(Debug, Default)]
pub struct Throttle {
    hosts: HashMap<String, Host>,
}

#[derive(Debug, Default)]
struct Host {
    /// When, and whether it was an error; oldest first.
    answers: VecDeque<(Millis, bool)>,
    errors: usize,
    last_error: Option<Millis>,
}

impl Throttle {
    pub fn decide(&mut self, host: &str, now: Millis) -> Decision {
        let Some(host) = self.hosts.get_mut(host) else { return Decision::Send };
        host.forget(now);
        let successes = host.answers.len() - host.errors;
        let cooling = host.last_error.is_some_and(|last| now.saturating_sub(last) < COOLDOWN);
        if host.errors >= MANY && host.errors > successes && cooling {
            Decision::Skip
        } else {
            Decision::Send
        }
    }

    /// Notes an answer; no answer in time, and no connection, are errors too.
    pub fn note(&mut self, host: &str, is_error: bool, now: Millis) {
        let host = self.hosts.entry(host.to_owned()).or_default();
        host.answers.push_back((now, is_error));
        if is_error {
            host.errors += 1;
            host.last_error = Some(now);
        }
        host.forget(now);
    }
}

impl Host {
    fn forget(&mut self, now: Millis) {
        while let Some((at, is_error)) = self.answers.front().copied() {
            if now.saturating_sub(at) < WINDOW && self.answers.len() <= REMEMBERED {
                break;
            }
            self.answers.pop_front();
            self.errors -= usize::from(is_error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Send, Skip};

    fn with(errors: usize, successes: usize) -> Throttle {
        let mut throttle = Throttle::default();
        (0..successes).for_each(|_| throttle.note("h", false, 1_000));
        (0..errors).for_each(|_| throttle.note("h", true, 1_000));
        throttle
    }

    #[test]
    fn a_host_sleeps_when_errors_outnumber_successes() {
        assert_eq!(with(10, 9).decide("h", 1_001), Skip);
        assert_eq!(with(10, 10).decide("h", 1_001), Send);
        assert_eq!(with(4, 0).decide("h", 1_001), Send, "a few errors are not many");
        assert_eq!(with(5, 0).decide("h", 1_001), Skip);
    }

    #[test]
    fn another_host_is_not_held_up() {
        assert_eq!(with(100, 0).decide("other", 1_001), Send);
    }

    #[test]
    fn some_seconds_without_errors_open_it_and_the_next_error_shuts_it() {
        let mut throttle = with(10, 0);
        assert_eq!((throttle.decide("h", 5_999), throttle.decide("h", 6_000)), (Skip, Send));
        throttle.note("h", true, 6_000);
        assert_eq!(throttle.decide("h", 6_001), Skip);
    }

    #[test]
    fn what_is_old_does_not_count() {
        let mut throttle = with(100, 0);
        throttle.note("h", true, 61_000);
        assert_eq!(throttle.decide("h", 61_001), Send);
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = with(20_000, 20_000);
        throttle.note("h", false, 1_000);
        assert!(throttle.hosts["h"].answers.len() <= REMEMBERED);
        assert_eq!(throttle.decide("h", 1_001), Skip);
    }
}
