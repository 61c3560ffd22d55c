//! A reader's place: how far it has come in every shard, as one opaque text.

use crate::problem::{Code, Problem, Result};
use crate::settings::FLEET_SHARDS_MAX;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The first byte of a cursor. Another form gets another one, so that no cursor is ever read as what it is not.
const VERSION: u8 = 1;
/// Positions cross into JavaScript as doubles.
const POSITION_MAX: u64 = (1 << 53) - 1;
/// The longest text that can be one: a version, 64 positions of at most 8 bytes, a check, in base64.
const TEXT_MAX: usize = 700;

/// A position for each shard: what lies behind it has been read. A shard that it does not name is at 0, so that
/// one which came later is read from its beginning.
///
/// ```
/// use fieldhook_core::stream::cursor::Cursor;
/// let mut cursor = Cursor::default();
/// cursor.set(1, 300);
/// let text = cursor.encode();
/// assert_eq!(Cursor::decode(&text).unwrap(), cursor);
/// assert_eq!((cursor.position(0), cursor.position(1), cursor.position(9)), (0, 300, 0));
/// assert!(Cursor::decode(&text[1..]).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// By shard. The last one is never 0, so that equal places are equal texts.
    positions: Vec<u64>,
}

impl Cursor {
    pub fn position(&self, shard: usize) -> u64 {
        self.positions.get(shard).copied().unwrap_or(0)
    }

    /// How many shards it names; those that it was made with, or fewer.
    pub fn shards(&self) -> usize {
        self.positions.len()
    }

    /// Positions past what can be written are held at the last one; shards past the most there can be are not
    /// kept.
    pub fn set(&mut self, shard: usize, position: u64) {
        if shard >= FLEET_SHARDS_MAX as usize {
            return;
        }
        if self.positions.len() <= shard {
            self.positions.resize(shard + 1, 0);
        }
        if let Some(place) = self.positions.get_mut(shard) {
            *place = position.min(POSITION_MAX);
        }
        while self.positions.last() == Some(&0) {
            self.positions.pop();
        }
    }

    /// Base64url of: version, each position as a varint (LEB128), one byte of check.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(2 + self.positions.len() * 4);
        bytes.push(VERSION);
        for position in &self.positions {
            let mut rest = *position;
            while rest >= 0x80 {
                bytes.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        bytes.push(check(&bytes));
        URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Reads what [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// `bad-cursor`, also for one that lost its end on the way: it would lead back to the beginning of a shard.
    pub fn decode(text: &str) -> Result<Self> {
        Cursor::read(text).ok_or_else(|| bad_cursor("take it from an event, a notice, or `next` of a page"))
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (given, bytes) = bytes.split_last()?;
        if check(bytes) != *given {
            return None;
        }
        let (version, mut rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let mut cursor = Cursor::default();
        while !rest.is_empty() {
            let (position, behind) = varint(rest)?;
            cursor.positions.push(position);
            rest = behind;
        }
        // One place has one text.
        let canonical =
            cursor.positions.len() <= FLEET_SHARDS_MAX as usize && cursor.positions.last() != Some(&0);
        canonical.then_some(cursor)
    }
}

/// `bad-cursor`, with what to do about it.
pub fn bad_cursor(detail: &str) -> Problem {
    Problem::field(Code::BadCursor, "after", detail)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    let mut rest = bytes;
    for shift in (0..56).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let padded = *byte == 0 && shift > 0;
            return (value <= POSITION_MAX && !padded).then_some((value, rest));
        }
    }
    None
}

/// Not a proof: it tells a cursor that was cut or mistyped from one that was given out.
fn check(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0x5a, |sum: u8, byte| sum.rotate_left(3) ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cursor(positions: &[u64]) -> Cursor {
        let mut cursor = Cursor::default();
        for (shard, position) in positions.iter().enumerate() {
            cursor.set(shard, *position);
        }
        cursor
    }

    #[test]
    fn what_was_not_given_out_is_refused() {
        for text in ["", "0", "12", "AQ", "null", "event-1", "AQE=", "////", &"A".repeat(TEXT_MAX + 1)] {
            assert_eq!(Cursor::decode(text).unwrap_err().code, Code::BadCursor, "{text}");
        }
    }

    #[test]
    fn a_cursor_that_lost_its_end_is_refused() {
        let text = cursor(&[3, 70_000, 5_000_000_000, 12]).encode();
        for cut in 0..text.len() {
            assert!(Cursor::decode(text.get(..cut).unwrap()).is_err(), "{cut} of {text}");
        }
    }

    #[test]
    fn a_shard_that_came_later_is_read_from_its_beginning() {
        let before = Cursor::decode(&cursor(&[7]).encode()).unwrap();
        assert_eq!((before.position(0), before.position(3)), (7, 0));
    }

    proptest! {
        #[test]
        fn written_and_read_it_is_the_same(positions in prop::collection::vec(0..=POSITION_MAX, 0..=64)) {
            let cursor = cursor(&positions);
            prop_assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        }

        #[test]
        fn one_place_has_one_text(text in "[A-Za-z0-9_-]{0,24}") {
            if let Ok(cursor) = Cursor::decode(&text) {
                prop_assert_eq!(cursor.encode(), text);
            }
        }

        #[test]
        fn no_text_panics(text in ".*") { let _ = Cursor::decode(&text); }
    }
}
