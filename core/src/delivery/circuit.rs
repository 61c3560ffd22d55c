//! One host's circuit: whether a host that does not answer is asked again already (DESIGN.md, "Delivery").
//!
//! Asked before a retry and never before a first attempt, so that a new event always finds out by itself that the
//! host is back. What is told to wait has used no attempt.

use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// The circuit opens after so many failures of the host in a row.
pub const OPENS_AFTER: u32 = 10;
/// Milliseconds between two that are let go once the host is back, and between two that come to ask: 10 a second.
pub const SPACING: i64 = 100;
/// The furthest ahead that anyone is sent, milliseconds. With more waiting than this has room for, the row begins
/// anew and two may come at a time; still only one of them goes.
pub const WAIT_MAX: i64 = 3_600_000;
/// How long after the last in the row was due retries are still let go by one, milliseconds: an alarm can be late.
const GRACE: i64 = 60_000;

/// What a shard knows of one host: scheme, name and port.
///
/// While it is open, whoever asks is put in a row behind the next probe, [`SPACING`] apart. The same row lets them
/// go when the host is back, so that it is not knocked over by those who waited for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// Failures of the host in a row.
    failures: u32,
    /// When the first of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failure: Option<Time>,
    /// Since when it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opened: Option<Time>,
    /// Not before this does anyone go: the next probe while it is open, the next in the row afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_go: Option<Time>,
    /// The last place in the row that was given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row_end: Option<Time>,
}

/// What a retry is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    Go,
    /// Ask again then, and not earlier.
    Wait {
        until: Time,
    },
}

impl Circuit {
    /// Whether a retry may be made now. `probe_every` in milliseconds (`CIRCUIT_PROBE`).
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::circuit::{Circuit, Gate};
    /// let mut circuit = Circuit::default();
    /// let at = |seconds: i64| Time::from_millis(seconds * 1_000);
    /// for second in 0..=30 {
    ///     assert_eq!(circuit.ask(at(second), 30_000), Gate::Go);
    ///     circuit.hear(true, at(second), 30_000);
    /// }
    /// assert_eq!(circuit.ask(at(31), 30_000), Gate::Wait { until: at(60) });
    /// assert_eq!(circuit.ask(at(60), 30_000), Gate::Go); // the probe
    /// circuit.hear(false, at(61), 30_000);
    /// assert!(!circuit.is_open());
    /// ```
    pub fn ask(&mut self, now: Time, probe_every: i64) -> Gate {
        let pace = if self.is_open() { probe_every.max(1) } else { SPACING };
        if !self.is_open() && !self.is_recovering(now) {
            (self.next_go, self.row_end) = (None, None);
            return Gate::Go;
        }
        let next_go = self.next_go.unwrap_or(now);
        if now >= next_go {
            self.next_go = Some(now.plus_millis(pace));
            return Gate::Go;
        }
        Gate::Wait { until: self.place(now, next_go) }
    }

    /// Tells how a request went, a first attempt's as well; `probe_every` as for [`Circuit::ask`]. Any answer but a
    /// 503 is one of a host that is there, so it counts as no failure of the host.
    pub fn hear(&mut self, host_level_failure: bool, now: Time, probe_every: i64) {
        if !host_level_failure {
            let was_open = self.opened.take().is_some();
            (self.failures, self.first_failure) = (0, None);
            if was_open {
                // Whoever waits, in the row or for a time of their own, is let go by one.
                self.next_go = Some(now.plus_millis(SPACING));
                self.row_end = Some(self.row_end.map_or(now, |end| end.max(now)));
            }
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let since = *self.first_failure.get_or_insert(now);
        let lasted = now.millis().saturating_sub(since.millis());
        if !self.is_open() && self.failures >= OPENS_AFTER && lasted >= probe_every {
            self.opened = Some(now);
            self.next_go = Some(now.plus_millis(probe_every.max(1)));
        }
    }

    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Since when the host is taken for dead.
    pub fn opened_at(&self) -> Option<Time> {
        self.opened
    }

    /// Whether there is nothing to remember, so that a shard can forget the host.
    pub fn is_idle(&self, now: Time) -> bool {
        self.failures == 0 && !self.is_open() && !self.is_recovering(now)
    }

    fn is_recovering(&self, now: Time) -> bool {
        self.row_end.is_some_and(|end| end.plus_millis(GRACE) > now)
    }

    /// The next place in the row.
    fn place(&mut self, now: Time, next_go: Time) -> Time {
        let behind = self.row_end.map_or(next_go, |end| end.plus_millis(SPACING).max(next_go));
        let place = if behind > now.plus_millis(WAIT_MAX) { next_go } else { behind };
        self.row_end = Some(place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    const PROBE: i64 = 30_000;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        (0..=10).for_each(|n| circuit.hear(true, at(n * PROBE / 10), PROBE));
        assert!(circuit.is_open());
        circuit
    }

    #[test]
    fn it_opens_for_failures_in_a_row_that_last() {
        let mut circuit = Circuit::default();
        (0..200).for_each(|_| circuit.hear(true, at(0), PROBE));
        assert!(!circuit.is_open(), "many at once are one moment");
        circuit.hear(true, at(PROBE - 1), PROBE);
        assert!(!circuit.is_open());
        circuit.hear(true, at(PROBE), PROBE);
        assert!(circuit.is_open());

        let mut circuit = Circuit::default();
        (0..9).for_each(|n| circuit.hear(true, at(n * PROBE), PROBE));
        assert!(!circuit.is_open(), "nine are too few");
        circuit.hear(false, at(9 * PROBE), PROBE);
        (0..9).for_each(|n| circuit.hear(true, at((10 + n) * PROBE), PROBE));
        assert!(!circuit.is_open(), "an answer ends the row");
    }

    #[test]
    fn a_late_failure_puts_no_probe_off() {
        let mut circuit = opened();
        circuit.hear(true, at(PROBE + 20_000), PROBE);
        assert_eq!(circuit.ask(at(2 * PROBE), PROBE), Gate::Go);
    }

    #[test]
    fn a_host_without_trouble_is_forgotten() {
        let mut circuit = opened();
        assert!(matches!(circuit.ask(at(PROBE + 1), PROBE), Gate::Wait { .. }));
        circuit.hear(false, at(PROBE + 2), PROBE);
        assert!(!circuit.is_idle(at(PROBE + 3)));
        assert!(circuit.is_idle(at(3 * PROBE + GRACE)));
        let text = serde_json::to_string(&circuit).unwrap();
        assert_eq!(serde_json::from_str::<Circuit>(&text).unwrap(), circuit);
    }

    #[test]
    fn a_row_that_grew_too_long_begins_anew() {
        let mut circuit = opened();
        let now = at(PROBE + 1);
        for _ in 0..100_000 {
            let Gate::Wait { until } = circuit.ask(now, PROBE) else { panic!("it is open") };
            assert!(until > now && until <= now.plus_millis(WAIT_MAX));
        }
    }

    /// Devices that each have one event to retry against a host that is down until `back`; the times of the requests,
    /// and whether the circuit was open when each was made.
    fn simulate(asked_at: &[i64], back: i64, took: i64) -> Vec<(i64, bool)> {
        let mut circuit = opened();
        let mut requests = Vec::new();
        // (when, device, whether it is the end of a request); a device that failed comes back after a minute.
        let mut queue: BinaryHeap<Reverse<(i64, usize, bool)>> =
            asked_at.iter().enumerate().map(|(device, at)| Reverse((PROBE + *at, device, false))).collect();
        while let Some(Reverse((now, device, ends))) = queue.pop() {
            assert!(now < back + 86_400_000, "someone waits for ever");
            match ends {
                true if now - took >= back => circuit.hear(false, at(now), PROBE),
                true => {
                    circuit.hear(true, at(now), PROBE);
                    queue.push(Reverse((now + 60_000, device, false)));
                }
                false => match circuit.ask(at(now), PROBE) {
                    Gate::Wait { until } => {
                        assert!(until > at(now), "waiting moves on");
                        queue.push(Reverse((until.millis(), device, false)));
                    }
                    Gate::Go => {
                        requests.push((now, circuit.is_open()));
                        queue.push(Reverse((now + took, device, true)));
                    }
                },
            }
        }
        requests
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_dead_host_is_probed_and_one_that_is_back_is_not_rushed(
            asked_at in proptest::collection::vec(0..90_000i64, 200),
            together in any::<bool>(), back in 60_000..3_000_000i64, took in 1..20_000i64,
        ) {
            let asked_at = if together { vec![0; 200] } else { asked_at };
            let requests = simulate(&asked_at, back, took);
            for pair in requests.windows(2) {
                let between = pair[1].0 - pair[0].0;
                prop_assert!(between >= if pair[0].1 && pair[1].1 { PROBE } else { SPACING }, "{pair:?}");
            }
            // Everyone got through, and soon: the last probe's interval, then ten a second.
            let through: Vec<i64> = requests.iter().map(|r| r.0).filter(|at| *at >= back).collect();
            prop_assert_eq!(through.len(), 200);
            let last = through.last().unwrap();
            prop_assert!(*last <= back.max(PROBE + 90_000) + 2 * PROBE + took + 60_000 + 200 * 2 * SPACING);
        }

        #[test]
        fn whatever_is_heard_it_answers(
            steps in proptest::collection::vec((0..100_000i64, 0..3u8), 0..200), probe in 0..60_000i64,
        ) {
            let (mut circuit, mut now) = (Circuit::default(), 0);
            for (pause, what) in steps {
                now += pause;
                match what {
                    0 => circuit.hear(true, at(now), probe),
                    1 => circuit.hear(false, at(now), probe),
                    _ => if let Gate::Wait { until } = circuit.ask(at(now), probe) {
                        prop_assert!(until > at(now) && until <= at(now + WAIT_MAX.max(probe)));
                    }
                }
            }
        }
    }
}
