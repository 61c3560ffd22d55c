//! Which lanes are being worked on: one piece of work at a time each, and none that hangs holds its lane for ever.

use super::{Delivery, Key};
use crate::isolate;
use fieldhook_core::clock::Time;

/// Work on a lane that is under way.
pub(super) struct Run {
    /// Which it is: one that hung and was replaced does not speak for its successor.
    number: u64,
    /// When it last made a step.
    stepped: Time,
    /// Somebody else came since, who may know what this work did not see.
    called: bool,
}

/// Says that a lane is being worked on, for as long as it lives.
pub(super) struct Running<'a> {
    delivery: &'a Delivery,
    key: &'a Key,
    number: u64,
}

impl<'a> Running<'a> {
    pub(super) fn begin(delivery: &'a Delivery, key: &'a Key, hung_after: i64) -> Option<Self> {
        let (mut running, now) = (delivery.running.borrow_mut(), isolate::now());
        let mut number = 0;
        if let Some(run) = running.get_mut(key) {
            if run.stepped.distance(now) < hung_after {
                run.called = true;
                return None;
            }
            // What it waits for never comes, and neither does its end.
            number = run.number + 1;
        }
        running.insert(key.clone(), Run { number, stepped: now, called: false });
        Some(Running { delivery, key, number })
    }

    /// Says that the work goes on; answers whether it is still this one's.
    pub(super) fn steps(&self) -> bool {
        let mut running = self.delivery.running.borrow_mut();
        let mine = running.get_mut(self.key).filter(|run| run.number == self.number);
        mine.map(|run| run.stepped = isolate::now()).is_some()
    }

    /// Whether somebody else came meanwhile.
    pub(super) fn is_called(&self) -> bool {
        let mut running = self.delivery.running.borrow_mut();
        let mine = running.get_mut(self.key).filter(|run| run.number == self.number);
        mine.is_some_and(|run| std::mem::take(&mut run.called))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.delivery.running.borrow_mut();
        if running.get(self.key).is_some_and(|run| run.number == self.number) {
            running.remove(self.key);
        }
    }
}
