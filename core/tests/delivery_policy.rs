//! One device's lane, run by the real decisions against a service that answers anything: what is promised of a
//! delivery holds whatever that is.

use fieldhook_core::clock::Time;
use fieldhook_core::delivery::circuit::{Circuit, Gate};
use fieldhook_core::delivery::outcome::{Failure, Heard, Verdict, judge};
use fieldhook_core::delivery::retry_after::RETRY_AFTER_MAX;
use fieldhook_core::delivery::schedule::Schedule;
use proptest::prelude::*;
use std::collections::VecDeque;

/// An answer, and how long it took, milliseconds.
type Step = (Heard, i64);

fn heard() -> impl Strategy<Value = Heard> {
    let status = prop_oneof![
        3 => Just(200u16),
        6 => proptest::sample::select(vec![500u16, 503, 429, 408, 425, 502, 522]),
        1 => 100..999u16,
    ];
    let asked = prop_oneof![
        3 => Just(None),
        2 => (0..200_000u32).prop_map(|seconds| Some(seconds.to_string())),
        1 => Just(Some("Fri, 01 Jan 2027 00:00:00 GMT".to_owned())),
        1 => ".{0,12}".prop_map(Some),
    ];
    let failure = proptest::sample::select(vec![
        Failure::Timeout,
        Failure::ReadTimeout,
        Failure::Reset,
        Failure::Unreachable,
        Failure::Other,
        Failure::Unsendable("bad-url".to_owned()),
    ]);
    prop_oneof![
        6 => (status, asked).prop_map(|(status, retry_after)| Heard::Answer { status, retry_after }),
        3 => failure.prop_map(Heard::Failed),
    ]
}

/// How an event ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Delivered { tries: u32 },
    Parked { tries: u32, at_once: bool },
}

#[derive(Debug)]
struct Attempt {
    event: usize,
    tries: u32,
    at: Time,
    heard: Heard,
    ended: Time,
}

/// What a lane does, and nothing it decides: it asks, waits and goes on.
struct Lane {
    now: Time,
    circuit: Circuit,
    probe_every: i64,
    attempts: Vec<Attempt>,
    ends: Vec<End>,
}

impl Lane {
    fn run(&mut self, events: usize, schedule: &Schedule, script: &mut VecDeque<Step>, others: &[bool]) {
        let mut others = others.iter().cycle();
        for event in 0..events {
            let message = format!("msg_{event}");
            let mut tries = 0;
            let end = loop {
                while tries > 0
                    && let Gate::Wait { until } = self.circuit.ask(self.now, self.probe_every)
                {
                    assert!(until > self.now, "waiting takes time");
                    self.now = until;
                    // Other devices find the host alive or dead meanwhile.
                    if let Some(dead) = others.next() {
                        self.circuit.hear(*dead, self.now, self.probe_every);
                    }
                }
                let (heard, took) =
                    script.pop_front().unwrap_or((Heard::Answer { status: 200, retry_after: None }, 1));
                let at = self.now;
                self.now = self.now.plus_millis(took);
                tries += 1;
                let verdict = judge(&heard, self.now);
                if let Some(dead) = verdict.of_host(&heard) {
                    self.circuit.hear(dead, self.now, self.probe_every);
                }
                self.attempts.push(Attempt { event, tries, at, heard, ended: self.now });
                match verdict {
                    Verdict::Delivered => break End::Delivered { tries },
                    Verdict::Park => break End::Parked { tries, at_once: true },
                    Verdict::Gone => {
                        self.ends.push(End::Parked { tries, at_once: true });
                        return;
                    }
                    Verdict::Retry { after, .. } => match schedule.next(tries, self.now, after, &message) {
                        Some(due) => self.now = due,
                        None => break End::Parked { tries, at_once: false },
                    },
                }
            };
            self.ends.push(end);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_event_ends_once_whatever_the_service_does(
        steps in proptest::collection::vec((heard(), 0..20_001i64), 0..60),
        pauses in proptest::collection::vec(0..100_000u32, 1..10),
        events in 1..12usize,
        probe_every in 1..60_000i64,
        others in proptest::collection::vec(proptest::bool::weighted(0.9), 1..40),
    ) {
        let text = pauses.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let schedule = Schedule::parse(&text).unwrap();
        let start = Time::parse("2026-11-22T00:00:00Z").unwrap();
        let mut lane =
            Lane { now: start, circuit: Circuit::default(), probe_every, attempts: Vec::new(), ends: Vec::new() };
        lane.run(events, &schedule, &mut VecDeque::from(steps), &others);

        // Each event up to the last that was begun has ended, with the attempts that are due to it.
        let most = 1 + pauses.len() as u32;
        prop_assert_eq!(schedule.attempts(), most);
        for (event, end) in lane.ends.iter().enumerate() {
            let made: Vec<u32> = lane.attempts.iter().filter(|a| a.event == event).map(|a| a.tries).collect();
            match *end {
                End::Delivered { tries } | End::Parked { tries, at_once: true } => {
                    prop_assert!(tries <= most);
                    prop_assert_eq!(made, (1..=tries).collect::<Vec<_>>());
                }
                End::Parked { tries, at_once: false } => {
                    prop_assert_eq!(tries, most);
                    prop_assert_eq!(made, (1..=most).collect::<Vec<_>>());
                }
            }
        }
        let gone = lane.attempts.last().is_some_and(|a| matches!(a.heard, Heard::Answer { status: 410, .. }));
        prop_assert_eq!(lane.ends.len(), lane.attempts.last().map_or(0, |a| a.event) + 1);
        prop_assert!(gone || lane.ends.len() == events);

        for pair in lane.attempts.windows(2) {
            let [before, next] = pair else { continue };
            prop_assert!(before.event <= next.event, "in the order of the log");
            prop_assert!(before.ended <= next.at, "one at a time, and time goes on");
            let retried = before.event == next.event;
            prop_assert!(!retried || before.ended < next.at);
            let Heard::Answer { status: 429 | 503, retry_after: Some(asked) } = &before.heard else { continue };
            if let (true, Ok(seconds)) = (retried, asked.parse::<u32>()) {
                let asked = (i64::from(seconds) * 1_000).min(RETRY_AFTER_MAX);
                prop_assert!(next.at >= before.ended.plus_millis(asked), "not before it was asked for");
            }
        }
    }
}

#[test]
fn a_service_that_never_answers_is_tried_for_three_days_and_no_longer() {
    let schedule = Schedule::default();
    let start = Time::from_millis(0);
    let mut lane = Lane {
        now: start,
        circuit: Circuit::default(),
        probe_every: 30_000,
        attempts: Vec::new(),
        ends: Vec::new(),
    };
    let mut script: VecDeque<Step> = (0..10).map(|_| (Heard::Failed(Failure::Timeout), 20_000)).collect();
    lane.run(1, &schedule, &mut script, &[true]);
    assert_eq!(lane.ends, [End::Parked { tries: 10, at_once: false }]);
    let hours = lane.now.millis() / 3_600_000;
    assert!((68..=84).contains(&hours), "{hours}");
}
