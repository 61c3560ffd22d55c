//! Pausing keeps an integration's place in every log; resuming goes on from there, or from now
//! (DESIGN.md, "Integrations").

use super::stored::{Paused, Reason, Stored};
use crate::clock::Time;

impl Stored {
    /// Pauses; answers whether that changed anything. Whoever was first says why.
    pub fn pause(&mut self, reason: Reason, at: Time) -> bool {
        let changes = self.paused.is_none();
        if changes {
            self.paused = Some(Paused { reason, at });
            self.revision += 1;
        }
        changes
    }

    /// Resumes; with `skip` what came in until now is passed over. Answers whether that changed anything.
    pub fn resume(&mut self, now: Time, skip: bool) -> bool {
        let changes = self.paused.is_some() || skip;
        self.paused = None;
        if skip {
            self.begin_again(now);
        }
        self.revision += u64::from(changes);
        changes
    }

    /// Begins behind what has been accepted until now. Later than before, also where the clock was set back: that is how
    /// a lane notices.
    pub(super) fn begin_again(&mut self, now: Time) {
        self.from = now.max(self.from.plus_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let text =
            r#"{"id":"a","created_at":5,"updated_at":5,"face":"integration","definition":{},"from":5}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_first_reason_stays_until_it_is_resumed() {
        let mut stored = stored();
        assert!(stored.pause(Reason::Gone, Time::from_millis(7)));
        assert!(!stored.pause(Reason::Disabled, Time::from_millis(8)));
        assert_eq!(stored.paused, Some(Paused { reason: Reason::Gone, at: Time::from_millis(7) }));
        assert!(stored.resume(Time::from_millis(9), false));
        assert!(!stored.resume(Time::from_millis(9), false));
        assert_eq!((stored.paused, stored.from.millis(), stored.revision), (None, 5, 2));
    }

    #[test]
    fn it_goes_on_from_its_place_or_from_now() {
        let mut stored = stored();
        assert!(stored.resume(Time::from_millis(9), true));
        assert_eq!(stored.from.millis(), 9);
        assert!(stored.resume(Time::from_millis(3), true));
        assert_eq!(stored.from.millis(), 10);
    }
}
