//! What becomes of times that lie ahead, since the clock that showed them has been set back: left as they are, they
//! would have every report ignored until that day.

use super::node::Nodes;
use super::{IN_FLIGHT, Twin};
use crate::clock::Time;

impl Twin {
    /// Times that no clock could show yet become `now`. Reports that lie within what clocks differ by are told apart as
    /// ever.
    pub(super) fn forget_future(&mut self, now: Time) {
        let mended = |at: Time| if at.is_ahead_of(now) { now } else { at };
        self.heard.values_mut().for_each(|at| *at = mended(*at));
        self.heard_floor = mended(self.heard_floor);
        if let Some(applied) = &mut self.applied {
            applied.at = mended(applied.at);
        }
        // What was told a moment ago may be on its way for so long.
        let arrives = now.plus_millis(IN_FLIGHT);
        if let Some(unversioned) = &mut self.unversioned {
            for until in [&mut unversioned.until, &mut unversioned.older_until] {
                *until = if until.is_ahead_of(arrives) { arrives } else { *until };
            }
        }
        forget_future(&mut self.desired, now, arrives);
    }
}

fn forget_future(nodes: &mut Nodes, now: Time, arrives: Time) {
    for node in nodes.values_mut() {
        node.sent = node.sent.map(|sent| if sent.is_ahead_of(now) { now } else { sent });
        node.doubt = node.doubt.map(|doubt| if doubt.is_ahead_of(arrives) { arrives } else { doubt });
        forget_future(&mut node.children, now, arrives);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn a_report_counts_though_the_one_before_came_while_the_clock_was_a_day_ahead() {
        let at = |millis| Time::from_millis(10 * DAY + millis);
        let mut twin = Twin::default();
        twin.apply_report(r#"{"mode":1,"_v":0}"#, at(DAY), at(DAY));
        assert!(!twin.apply_report(r#"{"mode":2,"_v":0}"#, at(1), at(1)).stale);
        assert_eq!(twin.reported(), r#"{"mode":2}"#);
        assert!(twin.apply_report(r#"{"mode":3,"_v":0}"#, at(0), at(2)).stale, "order counts on from there");
    }

    #[test]
    fn what_was_told_while_the_clock_was_a_day_ahead_is_confirmed() {
        let at = |millis| Time::from_millis(10 * DAY + millis);
        let mut twin = Twin::default();
        twin.patch_desired(r#"{"mode":1}"#, None, at(DAY)).unwrap();
        assert_eq!(twin.delta(), r#"{"mode":1}"#);
        twin.apply_report(r#"{"_v":0}"#, at(DAY), at(DAY));
        twin.apply_report(r#"{"mode":1,"_v":1}"#, at(0), at(0));
        assert_eq!(twin.delta(), "{}");
    }
}
