//! Changes of integrations that lie ahead of the clock, because it was set back since. By their times, events that come
//! now came before them; but who accepts an event and knows of a change accepts it after that, whatever the clock shows.

use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// What one integration has ahead of the clock, as who accepts an event tells the device's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    pub integration: String,
    /// Where its lane begins.
    pub from: Time,
    /// The changes that are ahead.
    pub changes: Vec<Time>,
}

/// From which event on a change was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    change: Time,
    seq: u64,
}

/// So many are kept: more than one integration has changes that still count.
const MARKS_MAX: usize = 16;

/// What a lane knows of changes that were ahead of the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(Vec<Mark>);

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Events from this one on come after a change; answers whether that is news.
    pub fn add(&mut self, change: Time, seq: u64) -> bool {
        let is_new = self.behind(change).is_none();
        if is_new {
            if self.0.len() >= MARKS_MAX {
                self.0.remove(0);
            }
            self.0.push(Mark { change, seq });
        }
        is_new
    }

    /// From which event on all come after a change, as far as that was noted.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::ahead::Marks;
    /// let (mut marks, change) = (Marks::default(), Time::from_millis(5));
    /// assert!(marks.add(change, 3) && !marks.add(change, 4));
    /// assert_eq!(marks.behind(change), Some(3));
    /// assert_eq!(marks.behind(Time::from_millis(4)), None);
    /// ```
    pub fn behind(&self, change: Time) -> Option<u64> {
        self.0.iter().find(|mark| mark.change == change).map(|mark| mark.seq)
    }

    /// Whether an event came after a change.
    pub fn is_behind(&self, change: Time, seq: u64, received_at: Time) -> bool {
        received_at > change || self.behind(change).is_some_and(|first| seq >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_after_a_change_by_its_time_or_by_what_was_known() {
        let at = Time::from_millis;
        let mut marks = Marks::default();
        marks.add(at(50), 7);
        assert!(!marks.is_behind(at(50), 6, at(50)) && marks.is_behind(at(50), 6, at(51)));
        assert!(marks.is_behind(at(50), 7, at(1)) && !marks.is_behind(at(49), 7, at(1)));
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut marks = Marks::default();
        for change in 0..100 {
            assert!(marks.add(Time::from_millis(change), 1));
        }
        assert_eq!((marks.0.len(), marks.behind(Time::from_millis(99))), (MARKS_MAX, Some(1)));
    }
}
