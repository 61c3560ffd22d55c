//! The device's side of a reply that arrives in parts, in any order, some of them perhaps not at all.

use fieldhook_core::reply::PART;

/// A part as it arrived: the index of its topic, and its bytes.
pub type Part = (usize, Vec<u8>);

/// The text of a reply, if all of it is there.
///
/// A plain reply is complete when the parts count up from 0 and the last is short. A framed one says in every
/// part which of how many it is (DESIGN.md, "The reply").
///
/// ```
/// use simulator::device::parts::join;
/// assert_eq!(join(&[(1, b"!".to_vec()), (0, vec![b'x'; 512])]).map(|text| text.len()), Some(513));
/// assert_eq!(join(&[(1, b"!".to_vec())]), None);
/// assert_eq!(join(&[(1, b"~Ab12|b".to_vec()), (0, b"~Ab02|a\0\0".to_vec())]), Some("ab".into()));
/// ```
pub fn join(parts: &[Part]) -> Option<String> {
    if let Some(framed) = parts.iter().map(|(_, bytes)| frame(bytes)).collect::<Option<Vec<_>>>() {
        return join_framed(framed);
    }
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by_key(|(index, _)| *index);
    parts.dedup_by_key(|(index, _)| *index);
    let (_, last) = parts.last()?;
    let whole = parts.iter().enumerate().all(|(at, (index, _))| at == *index) && last.len() < PART;
    let bytes: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    whole.then(|| String::from_utf8(bytes).ok())?
}

struct Frame<'a> {
    tag: &'a [u8],
    index: u32,
    count: u32,
    text: &'a [u8],
}

/// `~`, two characters of tag, index and count in base 36, `|`, then text.
fn frame(part: &[u8]) -> Option<Frame<'_>> {
    let digit = |b: u8| char::from(b).to_digit(36);
    match part {
        [b'~', _, _, index, count, b'|', text @ ..] => {
            let (index, count) = (digit(*index)?, digit(*count)?);
            (index < count).then_some(Frame { tag: part.get(1..3)?, index, count, text })
        }
        _ => None,
    }
}

fn join_framed(mut frames: Vec<Frame<'_>>) -> Option<String> {
    frames.sort_by_key(|frame| frame.index);
    frames.dedup_by_key(|frame| frame.index);
    let first = frames.first()?;
    let same = frames.iter().all(|frame| frame.tag == first.tag && frame.count == first.count);
    let whole = usize::try_from(first.count).is_ok_and(|count| count == frames.len());
    let bytes = frames.iter().flat_map(|frame| frame.text.iter().copied().filter(|b| *b != 0)).collect();
    (same && whole).then(|| String::from_utf8(bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldhook_core::event::{DedupKey, DeviceId};
    use fieldhook_core::reply::{Framing, Reply};

    #[test]
    fn what_fieldhook_cuts_is_joined_in_any_order_and_never_in_part() {
        let key = DedupKey::of(&DeviceId::parse("d").unwrap(), "1");
        for framing in [Framing::Plain, Framing::Framed] {
            for length in [1, 505, 506, 511, 512, 513, 1_024, 3_000] {
                let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
                let reply = Reply::within(text.clone(), framing, 102_399).unwrap();
                let mut parts: Vec<Part> = reply.parts(&key).into_iter().enumerate().collect();
                parts.reverse();
                assert_eq!(join(&parts).unwrap().trim_end_matches('\n'), text, "{framing:?} {length}");
                let repeated: Vec<Part> = parts.iter().chain(&parts).cloned().collect();
                assert_eq!(join(&repeated), join(&parts));
                for lost in 0..parts.len() {
                    let mut rest = parts.clone();
                    rest.remove(lost);
                    assert_eq!(join(&rest), None, "{framing:?} {length} without {lost}");
                }
            }
        }
    }
}
