//! What the device hears: a reply's text, cut so that it survives Particle's 512-byte parts
//! (DESIGN.md, "The reply").
//!
//! Particle publishes a response as `hook-response/<event>/<n>` in parts of 512 bytes, without a count and in
//! any order; the end is recognised only by a part that is shorter. So no reply's length is ever a positive
//! multiple of 512, and a framed reply says index and count in every part.

use crate::event::DedupKey;
use serde::{Deserialize, Serialize};

/// Particle cuts responses here, bytes (Particle docs, "Webhook responses").
pub const PART: usize = 512;
/// Default budget of a rendered reply, bytes: ten parts, less one byte.
pub const RENDERED_BUDGET: usize = 5_119;
/// The largest budget, bytes: Particle publishes the first 100 KB (102,400), less one byte.
pub const RENDERED_BUDGET_MAX: usize = 102_399;
/// The most parts of a framed reply: index and count are one base-36 digit each.
pub const FRAMED_PARTS_MAX: usize = 35;
/// `~`, two characters of tag, index, count, `|`.
pub(crate) const FRAME_HEADER: usize = 6;

/// How a reply is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    #[default]
    Plain,
    Framed,
}

/// A reply that fits its budget. A reply that says nothing is [`Reply::Empty`]: it is answered 204 and costs
/// the user no hook-response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Empty,
    Text { text: String, framing: Framing },
}

/// The reply was rendered and is larger than its budget; it is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Reply {
    /// A reply of `text`, if with padding or framing it stays within `budget` bytes.
    ///
    /// ```
    /// use fieldhook_core::reply::{Framing, Reply, TooLarge};
    /// assert_eq!(Reply::within(String::new(), Framing::Plain, 511), Ok(Reply::Empty));
    /// assert!(Reply::within("x".repeat(511), Framing::Plain, 511).is_ok());
    /// // 512 bytes would have no recognisable end; the newline that mends it counts.
    /// assert_eq!(Reply::within("x".repeat(512), Framing::Plain, 512), Err(TooLarge));
    /// assert!(Reply::within("x".repeat(512), Framing::Plain, 513).is_ok());
    /// ```
    pub fn within(text: String, framing: Framing, budget: usize) -> Result<Self, TooLarge> {
        // Between framed parts NUL is filling, which the joiner takes out: one in the text could not survive.
        let text = match framing {
            Framing::Framed if text.contains('\0') => text.replace('\0', ""),
            _ => text,
        };
        if text.is_empty() {
            return Ok(Reply::Empty);
        }
        if size_of(&text, framing).is_none_or(|size| size > budget) {
            return Err(TooLarge);
        }
        Ok(Reply::Text { text, framing })
    }

    /// Bytes as they go out, padding and frames included.
    ///
    /// ```
    /// use fieldhook_core::reply::{Framing, Reply};
    /// assert_eq!(Reply::within("x".repeat(512), Framing::Plain, 5_119).unwrap().size(), 513);
    /// assert_eq!(Reply::Empty.size(), 0);
    /// ```
    pub fn size(&self) -> usize {
        match self {
            Reply::Empty => 0,
            Reply::Text { text, framing } => size_of(text, *framing).unwrap_or(text.len()),
        }
    }

    /// The parts as they go out, one chunk each. Empty for an empty reply.
    ///
    /// ```
    /// use fieldhook_core::event::{DedupKey, DeviceId};
    /// use fieldhook_core::reply::{Framing, Reply};
    /// let key = DedupKey::of(&DeviceId::parse("d").unwrap(), "1");
    /// let reply = Reply::within("x".repeat(1024), Framing::Plain, 5_119).unwrap();
    /// let sizes: Vec<usize> = reply.parts(&key).iter().map(Vec::len).collect();
    /// assert_eq!(sizes, [512, 512, 1]); // the last is a newline
    /// ```
    pub fn parts(&self, key: &DedupKey) -> Vec<Vec<u8>> {
        match self {
            Reply::Empty => Vec::new(),
            Reply::Text { text, framing: Framing::Plain } => {
                let mut bytes = text.clone().into_bytes();
                if bytes.len().is_multiple_of(PART) {
                    bytes.push(b'\n');
                }
                bytes.chunks(PART).map(<[u8]>::to_vec).collect()
            }
            Reply::Text { text, framing: Framing::Framed } => framed_parts(text, key),
        }
    }

    /// How it is kept beside its log row and in KV: one letter of framing, then the text.
    pub fn to_stored(&self) -> String {
        match self {
            Reply::Empty => String::new(),
            Reply::Text { text, framing: Framing::Plain } => format!("p{text}"),
            Reply::Text { text, framing: Framing::Framed } => format!("f{text}"),
        }
    }

    /// Reads what [`Reply::to_stored`] wrote. What cannot be read says nothing to the device.
    pub fn from_stored(stored: &str) -> Self {
        let read = |text: &str, framing| Reply::Text { text: text.to_owned(), framing };
        match (stored.strip_prefix('p'), stored.strip_prefix('f')) {
            (Some(text), _) if !text.is_empty() => read(text, Framing::Plain),
            (_, Some(text)) if !text.is_empty() => read(text, Framing::Framed),
            _ => Reply::Empty,
        }
    }
}

/// Bytes that a text takes; `None` where it takes too many parts.
fn size_of(text: &str, framing: Framing) -> Option<usize> {
    match framing {
        Framing::Plain => Some(text.len() + usize::from(text.len().is_multiple_of(PART))),
        Framing::Framed => framed_size(text),
    }
}

/// The text of each framed part: as many bytes as fit behind the header without cutting a character, and in
/// the last part one less, so that it is always shorter than 512.
fn framed_texts(text: &str) -> Vec<&str> {
    let room = PART - FRAME_HEADER;
    let mut texts = Vec::new();
    let mut rest = text;
    while rest.len() >= room {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(room));
        texts.push(head);
        rest = tail;
    }
    // Always one more, even if nothing is left for it: a part that is full would not look like the last.
    texts.push(rest);
    texts
}

fn framed_size(text: &str) -> Option<usize> {
    let texts = framed_texts(text);
    let last = texts.last()?.len();
    (texts.len() <= FRAMED_PARTS_MAX).then_some((texts.len() - 1) * PART + FRAME_HEADER + last)
}

fn framed_parts(text: &str, key: &DedupKey) -> Vec<Vec<u8>> {
    let tag: String = key.as_str().chars().take(2).collect();
    let texts = framed_texts(text);
    let digit = |n: usize| u32::try_from(n).ok().and_then(|n| char::from_digit(n, 36)).unwrap_or('0');
    let count = texts.len();
    let last = count.saturating_sub(1);
    let part = |(index, text): (usize, &&str)| {
        let mut part = format!("~{tag}{}{}|{text}", digit(index), digit(count)).into_bytes();
        if index < last {
            part.resize(PART, 0);
        }
        part
    };
    texts.iter().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DeviceId;
    use proptest::prelude::*;

    fn key() -> DedupKey {
        DedupKey::of(&DeviceId::parse("d").unwrap(), "1")
    }

    #[test]
    fn a_framed_part_names_tag_index_and_count() {
        let reply = Reply::within("hello".into(), Framing::Framed, 511).unwrap();
        let tag: String = key().as_str().chars().take(2).collect();
        assert_eq!(reply.parts(&key()), [format!("~{tag}01|hello").into_bytes()]);
    }

    #[test]
    fn a_framed_reply_of_more_than_35_parts_is_too_large() {
        let fits = "x".repeat(34 * 506 + 505);
        assert!(Reply::within(fits.clone(), Framing::Framed, 102_399).is_ok());
        assert_eq!(Reply::within(fits + "x", Framing::Framed, 102_399), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn plain_parts_reassemble_and_never_end_on_512(text in ".{0,3000}", budget in 1usize..6000) {
            match Reply::within(text.clone(), Framing::Plain, budget) {
                Ok(reply) => {
                    let parts = reply.parts(&key());
                    let whole = parts.concat();
                    prop_assert!(whole.len() <= budget);
                    prop_assert!(whole.is_empty() || whole.len() % PART != 0);
                    prop_assert!(parts.iter().rev().skip(1).all(|part| part.len() == PART));
                    prop_assert_eq!(whole.strip_suffix(b"\n").filter(|w| *w == text.as_bytes()).unwrap_or(&whole), text.as_bytes());
                }
                Err(TooLarge) => prop_assert!(text.len() + 1 > budget),
            }
        }

        #[test]
        fn framed_parts_reassemble_in_any_order(text in "[a-zé€😀]{1,1500}") {
            let reply = Reply::within(text.clone(), Framing::Framed, RENDERED_BUDGET_MAX).unwrap();
            let mut parts = reply.parts(&key());
            prop_assert!(parts.last().unwrap().len() < PART);
            prop_assert!(parts.iter().rev().skip(1).all(|part| part.len() == PART));
            parts.reverse();
            parts.sort_by_key(|part| part[3]);
            let joined: Vec<u8> = parts.iter().flat_map(|part| {
                assert!(std::str::from_utf8(part).is_ok(), "a character was cut");
                part[6..].iter().copied().filter(|b| *b != 0)
            }).collect();
            prop_assert_eq!(String::from_utf8(joined).unwrap(), text);
        }

        #[test]
        fn stored_and_read_it_is_the_same(text in ".{0,40}", framed: bool) {
            let framing = if framed { Framing::Framed } else { Framing::Plain };
            let reply = Reply::within(text, framing, 5_119).unwrap();
            prop_assert_eq!(Reply::from_stored(&reply.to_stored()), reply);
        }
    }
}
