//! The newest events of a device as memory has them, so that a repeat soon after is answered without a look at the log.
//!
//! A sender that did not hear our answer tries again within seconds (PARTICLE.md, "Webhooks"), and by then a device has
//! seldom published more than a few others.

use std::collections::VecDeque;

/// So many: a live object is to stay small.
pub const RECENT_MAX: usize = 4;
/// A reply longer than this is read from the log, bytes.
const REPLY_MAX: usize = 64;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub key: String,
    pub seq: u64,
    /// What its row keeps for repeats of it ([`crate::dialogue::Turn::kept`]).
    pub kept: String,
}

/// ```
/// use fieldhook_core::log::{Known, Recent};
/// let mut recent = Recent::default();
/// for seq in 1..=5 {
///     recent.remember(Known { key: format!("key {seq}"), seq, kept: String::new() });
/// }
/// assert_eq!(recent.find("key 5").map(|known| known.seq), Some(5));
/// assert_eq!(recent.find("key 1"), None); // too many since
/// ```
#[derive(Debug, Clone, Default)]
pub struct Recent(VecDeque<Known>);

impl Recent {
    pub fn find(&self, key: &str) -> Option<&Known> {
        self.0.iter().find(|known| known.key == key)
    }

    /// Takes in what was just written, or read again, in the place of what was known of it. The one that was taken in
    /// first goes.
    pub fn remember(&mut self, known: Known) {
        self.0.retain(|other| other.key != known.key);
        if known.kept.len() > REPLY_MAX {
            return;
        }
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(known);
    }

    /// Where rows go from the tables.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(key: &str, kept: &str) -> Known {
        Known { key: key.to_owned(), seq: 1, kept: kept.to_owned() }
    }

    #[test]
    fn what_comes_again_and_again_takes_one_place() {
        let mut recent = Recent::default();
        recent.remember(known("other", ""));
        (0..10).for_each(|_| recent.remember(known("again", "")));
        assert!(recent.find("other").is_some());
    }

    #[test]
    fn what_is_known_last_holds() {
        let mut recent = Recent::default();
        recent.remember(known("again", "pold"));
        recent.remember(Known { seq: 2, ..known("again", "pnew") });
        assert_eq!(recent.find("again"), Some(&Known { seq: 2, ..known("again", "pnew") }));
        recent.remember(known("again", &"x".repeat(REPLY_MAX + 1)));
        assert_eq!(recent.find("again"), None);
    }

    #[test]
    fn a_long_reply_is_not_held() {
        let mut recent = Recent::default();
        recent.remember(known("long", &"x".repeat(REPLY_MAX + 1)));
        assert_eq!(recent.find("long"), None);
    }

    #[test]
    fn nothing_is_known_of_tables_that_may_differ() {
        let mut recent = Recent::default();
        recent.remember(known("a", ""));
        recent.forget();
        assert_eq!(recent.find("a"), None);
    }
}
