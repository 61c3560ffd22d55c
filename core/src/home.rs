//! Which way in a device's twin and commands belong to.
//!
//! A token opens a source, not a device: whoever has one may publish under any device's id. So a device's home is the
//! source that it was first heard through, and where the home or another source has tokens of its own, an event
//! through the other one is logged, but takes no part in the dialogue: it is no report, and is told nothing.
//!
//! What this does not protect from: who comes first. A device that was never heard, or was deleted, belongs to the
//! source through which its id is published next.

use crate::reply::{Framing, Reply};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// A source as a device's object needs to know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The source has tokens of its own.
    pub guarded: bool,
    /// What its replies have for what is due; `None` if its response template has no place for that.
    pub room: Option<Room>,
}

/// The room for what is due in a source's replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub framing: Framing,
    /// Bytes of the whole reply.
    pub budget: usize,
    /// How many of them a template takes at least.
    pub around: usize,
}

impl Room {
    /// A reply that holds nothing but what is due.
    pub fn new(framing: Framing, budget: usize) -> Self {
        Room { framing, budget, around: 0 }
    }

    /// Whether a reply can carry a text. Beside what a template makes of the event there may be less room.
    ///
    /// ```
    /// use fieldhook_core::{home::Room, reply::Framing};
    /// let text = "x".repeat(506);
    /// assert!(Room::new(Framing::Plain, 511).carries(&text));
    /// assert!(!Room::new(Framing::Framed, 511).carries(&text));
    /// assert!(!Room { around: 6, ..Room::new(Framing::Plain, 511) }.carries(&text));
    /// ```
    pub fn carries(&self, text: &str) -> bool {
        self.size(text).is_some()
    }

    /// Bytes of a reply that carries a text, at least; `None` if it cannot.
    pub fn size(&self, text: &str) -> Option<usize> {
        if self.around.saturating_add(text.len()) > self.budget {
            return None;
        }
        let whole = format!("{}{text}", "-".repeat(self.around));
        Reply::within(whole, self.framing, self.budget).ok().map(|reply| reply.size())
    }
}

/// The source that a device belongs to, as it was when the device was last heard through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    pub source: String,
    pub way: Way,
}

impl Home {
    /// Whether an event takes part in the device's dialogue, which has this home if it has one.
    pub fn admits(home: Option<&Home>, source: &str, way: Way) -> bool {
        home.is_none_or(|home| home.source == source || !(home.way.guarded || way.guarded))
    }

    /// Whether an event leaves it as it is.
    pub fn stays_after(&self, source: &str, way: Way) -> bool {
        self.source != source || self.way == way
    }

    /// The home after an event. The first one decides; the home's own ones say what has become of it.
    pub fn after(home: Option<&Home>, source: &str, way: Way) -> Home {
        match home {
            Some(home) if home.stays_after(source, way) => home.clone(),
            _ => Home { source: source.to_owned(), way },
        }
    }

    /// The room in the replies to a device. One that was never heard will, as far as can be known, come through a
    /// source that has no settings of its own.
    pub fn room(home: Option<&Home>, settings: &Settings) -> Option<Room> {
        match home {
            Some(home) => home.way.room,
            None => Some(Room::new(settings.reply_framing, settings.reply_budget)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Way = Way { guarded: false, room: None };
    const GUARDED: Way = Way { guarded: true, room: None };

    fn home(way: Way) -> Home {
        Home::after(None, "a", way)
    }

    #[test]
    fn a_guard_on_either_side_keeps_the_other_source_out() {
        for (home_way, way, admitted) in
            [(OPEN, OPEN, true), (OPEN, GUARDED, false), (GUARDED, OPEN, false), (GUARDED, GUARDED, false)]
        {
            let home = home(home_way);
            assert_eq!(Home::admits(Some(&home), "b", way), admitted, "{home_way:?} {way:?}");
            assert!(Home::admits(Some(&home), "a", way), "home itself, {home_way:?} {way:?}");
            assert!(Home::admits(None, "b", way), "a device without one, {way:?}");
        }
    }

    #[test]
    fn the_first_source_is_the_home_and_only_its_own_events_change_what_is_known_of_it() {
        let first = home(OPEN);
        assert_eq!((first.source.as_str(), first.way), ("a", OPEN));
        assert_eq!(Home::after(Some(&first), "b", GUARDED), first);
        let guarded = Home::after(Some(&first), "a", GUARDED);
        assert_eq!(guarded, home(GUARDED));
        assert_eq!(Home::after(Some(&guarded), "b", OPEN), guarded);
        assert_eq!(Home::after(Some(&guarded), "a", OPEN), first, "it may lose its tokens again");
    }
}
