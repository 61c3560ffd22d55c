//! A lane: one integration's place in one device's log (DESIGN.md, "Delivery"). Everything before it is delivered,
//! parked or passed over; nothing behind it is attempted before it.
//!
//! A replay is a lane of its own, with a list of events instead of a place, so that it holds up nobody.

use super::ahead::{Ahead, Marks};
use super::outcome::Verdict;
use super::record::{Attempt, Status};
use super::report::{Passed, Report};
use super::schedule::Schedule;
use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// The most events that wait in one replay's lane; what hands them out asks again for more.
pub const QUEUE_MAX: usize = 1_000;

/// So many events that are not for an integration are passed over before its place is written down.
pub const LOOKED_MAX: u64 = 1_000;

/// The event that has been attempted and is to be attempted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trying {
    pub seq: u64,
    /// Attempts so far, all of which failed.
    pub tries: u32,
    pub due: Time,
    /// When it was decided to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

impl Trying {
    /// A clock that was set back in the meantime would have it wait for the day on which it is right again.
    fn waits(&self, now: Time) -> bool {
        self.due > now && !self.since.is_some_and(|since| since.is_ahead_of(now))
    }
}

/// An outcome that the shard has not confirmed yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unreported {
    pub attempt: Attempt,
    /// The circuit the target belongs to.
    pub host: String,
    /// Whether the host failed; `None` where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_failed: Option<bool>,
    /// The service said that it is gone for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// One cursor over a device's log, as it lies in a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lane {
    /// Up to here everything is done.
    pub done: u64,
    /// Of a replay: what is still to be delivered again, ascending. The live lane has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Vec<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trying: Option<Trying>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreported: Option<Unreported>,
    /// What was passed over, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Passed>,
    /// Events up to this time were passed over when the lane was begun, or the integration resumed.
    pub from: Time,
    /// What is known of changes that were ahead of the clock.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub marks: Marks,
    /// It stands in the table. One that does not is found anew by the times of the log.
    #[serde(skip)]
    pub is_kept: bool,
    /// Up to here nothing else is for this integration; only remembered, so that it is not looked at twice.
    #[serde(skip)]
    pub looked: u64,
    /// The shard has more than the row says: until that is written, a wake would tell it again, and one day the shard
    /// will not know it any more.
    #[serde(skip)]
    pub is_told: bool,
}

/// What a lane does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Tell the shard of the last outcome first: the next attempt has to wait for that, so that each outcome is stored
    /// once, in order, and within a bound.
    Report,
    /// Nothing before this time.
    Wait { until: Time },
    /// Attempt this event, which has failed `tries` times.
    Try { seq: u64, tries: u32 },
    /// Look for the next event behind this one.
    Seek { after: u64 },
    /// A replay that has delivered everything.
    Finished,
}

/// What an attempt came to, for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concluded {
    pub status: Status,
    pub next_at: Option<Time>,
}

impl Lane {
    /// The live lane of an integration that is new to this device: behind everything that came up to `from`.
    pub fn behind(done: u64, from: Time) -> Self {
        Lane {
            done,
            queue: None,
            trying: None,
            unreported: None,
            passed: Vec::new(),
            from,
            marks: Marks::default(),
            is_kept: false,
            looked: 0,
            is_told: false,
        }
    }

    /// A replay.
    pub fn replay() -> Self {
        Lane { queue: Some(Vec::new()), ..Lane::behind(0, Time::from_millis(0)) }
    }

    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::lane::{Lane, Step, Trying};
    /// let now = Time::from_millis(1_000);
    /// let mut lane = Lane::behind(7, now);
    /// assert_eq!(lane.step(now), Step::Seek { after: 7 });
    /// lane.trying = Some(Trying { seq: 9, tries: 1, due: Time::from_millis(5_000), since: None });
    /// assert_eq!(lane.step(now), Step::Wait { until: Time::from_millis(5_000) });
    /// assert_eq!(lane.step(Time::from_millis(5_000)), Step::Try { seq: 9, tries: 1 });
    /// ```
    pub fn step(&self, now: Time) -> Step {
        if self.unreported.is_some() || !self.passed.is_empty() {
            return Step::Report;
        }
        match (&self.trying, &self.queue) {
            (Some(trying), _) if trying.waits(now) => Step::Wait { until: trying.due },
            (Some(trying), _) => Step::Try { seq: trying.seq, tries: trying.tries },
            (None, Some(queue)) => match queue.first() {
                Some(seq) => Step::Try { seq: *seq, tries: 0 },
                None => Step::Finished,
            },
            (None, None) => Step::Seek { after: self.done.max(self.looked) },
        }
    }

    /// Takes what became of an attempt. An event whose service is gone keeps its place: the integration is paused, and
    /// goes on there should it be resumed.
    pub fn conclude(
        &mut self,
        seq: u64,
        verdict: &Verdict,
        now: Time,
        schedule: &Schedule,
        message_id: &str,
    ) -> Concluded {
        let concluded = |status| Concluded { status, next_at: None };
        let tries = self.trying.filter(|trying| trying.seq == seq).map_or(0, |trying| trying.tries) + 1;
        match verdict {
            Verdict::Delivered => {
                self.advance(seq);
                concluded(Status::Success)
            }
            Verdict::Park => {
                self.advance(seq);
                concluded(Status::Parked)
            }
            Verdict::Gone => {
                self.trying = None;
                concluded(Status::Failure)
            }
            Verdict::Retry { after, .. } => match schedule.next(tries, now, *after, message_id) {
                Some(due) => {
                    self.trying = Some(Trying { seq, tries, due, since: Some(now) });
                    Concluded { status: Status::Failure, next_at: Some(due) }
                }
                None => {
                    self.advance(seq);
                    concluded(Status::Parked)
                }
            },
        }
    }

    /// The shard has it.
    pub fn reported(&mut self, report: &Report) {
        self.is_told = true;
        match report {
            Report::Attempt(told) => {
                self.unreported
                    .take_if(|it| it.attempt.id == told.attempt.id && it.attempt.at == told.attempt.at);
            }
            Report::Passed(told) => self.passed.retain(|passed| passed != told),
        }
    }

    /// Nothing is for this integration up to here.
    pub fn passed_over(&mut self, to: u64) {
        self.looked = self.looked.max(to);
    }

    /// Passes over so many new events that are not for this integration, if it stands right before them and has nothing
    /// else to do; answers whether it did.
    pub fn skim(&mut self, first: u64, count: u64) -> bool {
        let is_idle = self.trying.is_none() && self.unreported.is_none() && self.passed.is_empty();
        let is_there = self.done.max(self.looked) + 1 >= first;
        // Its place is written down now and then.
        let is_near = self.looked.saturating_sub(self.done) <= LOOKED_MAX;
        let skims = is_idle && is_there && is_near && self.queue.is_none();
        if skims {
            self.looked = self.looked.max(first + count - 1);
        }
        skims
    }

    /// Whether the place is to be written down, so that a wake has not to look for it from far behind.
    pub fn settle(&mut self) -> bool {
        let is_far = self.looked.saturating_sub(self.done) > LOOKED_MAX;
        if is_far && self.queue.is_none() {
            self.done = self.looked;
        }
        is_far
    }

    /// Who accepts events from this one on knows of changes that are ahead of the clock; answers whether there is
    /// anything to write down.
    pub fn heed(&mut self, ahead: &Ahead, first: u64) -> bool {
        let mut is_news = !self.is_kept;
        for change in &ahead.changes {
            is_news |= self.marks.add(*change, first);
        }
        is_news
    }

    /// The event is done with, one way or the other.
    pub fn advance(&mut self, seq: u64) {
        self.trying = None;
        match &mut self.queue {
            Some(queue) => queue.retain(|waiting| *waiting > seq),
            None => self.done = self.done.max(seq),
        }
    }

    /// Events up to here are not delivered any more: retention took them, or the integration was resumed from a later
    /// time. A replay is not told before it comes there. `count` of them were for this integration.
    pub fn pass(&mut self, passed: Passed) {
        if self.queue.is_none() && passed.to > self.done {
            self.done = passed.to;
            self.trying = self.trying.filter(|trying| trying.seq > passed.to);
            if passed.count > 0 {
                self.passed.push(passed);
            }
        }
    }

    /// Takes in events that are to be delivered again; answers how many of them it had not.
    pub fn enqueue(&mut self, seqs: &[u64]) -> usize {
        let queue = self.queue.get_or_insert_default();
        let before = queue.len();
        for seq in seqs {
            if let Err(at) = queue.binary_search(seq) {
                queue.insert(at, *seq);
            }
        }
        queue.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::report::Why;

    fn now() -> Time {
        Time::from_millis(1_000_000)
    }

    fn schedule() -> Schedule {
        Schedule::parse("5,300").unwrap()
    }

    #[test]
    fn an_event_is_tried_once_more_than_the_schedule_is_long_and_then_parked() {
        let mut lane = Lane::behind(3, now());
        let retry = Verdict::Retry { after: None, host_level: false };
        let mut now = now();
        for tries in 1..=2 {
            let concluded = lane.conclude(4, &retry, now, &schedule(), "m");
            assert_eq!(concluded.status, Status::Failure);
            let due = concluded.next_at.unwrap();
            assert_eq!(lane.step(now), Step::Wait { until: due });
            assert_eq!(lane.step(due), Step::Try { seq: 4, tries });
            now = due;
        }
        assert_eq!(lane.conclude(4, &retry, now, &schedule(), "m").status, Status::Parked);
        assert_eq!(lane.step(now), Step::Seek { after: 4 });
    }

    #[test]
    fn what_is_gone_keeps_its_place_and_begins_anew() {
        let mut lane = Lane::behind(3, now());
        lane.trying = Some(Trying { seq: 4, tries: 2, due: now(), since: None });
        assert_eq!(lane.conclude(4, &Verdict::Gone, now(), &schedule(), "m").status, Status::Failure);
        assert_eq!((lane.done, lane.trying), (3, None));
    }

    #[test]
    fn a_replay_has_a_list_and_an_end() {
        let mut lane = Lane::replay();
        assert_eq!(lane.enqueue(&[5, 9]), 2);
        assert_eq!(lane.enqueue(&[7, 9]), 1);
        for seq in [5, 7, 9] {
            assert_eq!(lane.step(now()), Step::Try { seq, tries: 0 });
            lane.conclude(seq, &Verdict::Delivered, now(), &schedule(), "m");
        }
        assert_eq!(lane.step(now()), Step::Finished);
    }

    #[test]
    fn what_aged_out_is_behind_the_lane() {
        let mut lane = Lane::behind(3, now());
        lane.trying = Some(Trying { seq: 4, tries: 2, due: now(), since: None });
        let why = Why::Expired;
        let passed = Passed { integration: "i".into(), device: "d".into(), at: now(), to: 10, count: 7, why };
        lane.pass(passed.clone());
        lane.pass(passed);
        assert_eq!((lane.done, lane.trying, lane.passed.len()), (10, None, 1));
        assert_eq!(lane.step(now()), Step::Report);
    }

    #[test]
    fn a_retry_does_not_wait_for_a_clock_that_was_set_back() {
        let mut lane = Lane::behind(3, now());
        let retry = Verdict::Retry { after: None, host_level: false };
        let due = lane.conclude(4, &retry, now(), &schedule(), "m").next_at.unwrap();
        assert_eq!(lane.step(now().plus_millis(-60_000)), Step::Wait { until: due });
        assert_eq!(lane.step(now().plus_millis(-60_001)), Step::Try { seq: 4, tries: 1 });
    }
}
