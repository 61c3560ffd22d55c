//! What a device appends to its shard, and what of it the shard takes: the contiguous next run and nothing
//! else, so that every reader of the shard sees each event once and in the order of its device's log.

use super::index::Entry;
use crate::clock::Time;
use crate::flat;
use crate::json;
use crate::log::{Details, Row};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most events in one append.
pub const EVENTS_MAX: usize = 100;
/// An append ends early at this size of data, bytes: it crosses an object call and becomes one row.
pub const BYTES_MAX: usize = 256 * 1024;
/// The most bytes of a stored run, below what a row can hold (PLATFORM.md: 2 MB).
pub const ROW_MAX: usize = 1_900_000;

/// A run of a device's log, in order. Without events it only says that the device exists, and asks how far
/// the shard has come.
#[derive(Debug)]
pub struct Append {
    pub device: String,
    /// When this life of the device began; one that was deleted and is heard again begins anew.
    pub born: Time,
    /// Up to here the shard need not ask for events: another shard has confirmed them, or they aged out.
    pub base: u64,
    /// The other shard's last append: in the merged log nothing of this run may stand before it.
    pub not_before: Time,
    /// When the device was first heard; `None` for one that was only written to.
    pub first_heard: Option<Time>,
    pub sent: Vec<Sent>,
}

impl Append {
    /// What the index begins with for a device that the shard hears of for the first time.
    pub fn entry(&self) -> Entry {
        Entry::new(&self.device, self.born, self.base, self.first_heard)
    }
}

flat!(Append { device, born, base, not_before, first_heard, sent });
flat!(Sent { seq, received_at, event, data, details, key, reply });
flat!(Confirmed { last, at });

/// One event on its way to the shard's log and to whoever is listening.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    pub seq: u64,
    pub received_at: Time,
    pub event: String,
    pub data: String,
    /// [`crate::log::Details`].
    pub details: Box<RawValue>,
    /// The dedup key, and the reply as [`crate::reply::Reply::to_stored`] writes it, for those who listen now;
    /// never stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reply: String,
}

impl Sent {
    /// Bytes it takes, about.
    pub fn size(&self) -> usize {
        self.event.len() + self.data.len() + self.details.get().len() + self.reply.len() + 64
    }

    /// A row of the device's log, read again. What was replied to it is no news any more.
    pub fn of_row(row: Row) -> Option<Self> {
        let details = RawValue::from_string(row.details).ok()?;
        let (seq, received_at) = (row.seq, row.received_at);
        let (key, reply) = (String::new(), String::new());
        Some(Sent { seq, received_at, event: row.event, data: row.data, details, key, reply })
    }

    /// As a row of any log.
    pub fn into_row(self) -> Row {
        Row {
            seq: self.seq,
            received_at: self.received_at,
            event: self.event,
            data: self.data,
            details: self.details.get().to_owned(),
        }
    }
}

/// The events as the shard's log keeps them: without what is only for those who listen now. An event that no
/// row could hold, once it is written as JSON, is kept without its data and marked `truncated`; its device's
/// own log has it whole.
///
/// # Errors
/// None that can be met: everything in it is text.
pub fn to_stored(sent: &[Sent]) -> serde_json::Result<String> {
    let whole = serde_json::to_string(&sent.iter().map(Stored::whole).collect::<Vec<_>>())?;
    match whole.len() > ROW_MAX {
        true => serde_json::to_string(&sent.iter().map(Stored::truncated).collect::<Vec<_>>()),
        false => Ok(whole),
    }
}

#[derive(Serialize)]
struct Stored<'a> {
    seq: u64,
    received_at: Time,
    event: &'a str,
    data: &'a str,
    details: std::borrow::Cow<'a, RawValue>,
}

impl<'a> Stored<'a> {
    fn whole(sent: &'a Sent) -> Self {
        let details = std::borrow::Cow::Borrowed(&*sent.details);
        Stored { seq: sent.seq, received_at: sent.received_at, event: &sent.event, data: &sent.data, details }
    }

    fn truncated(sent: &'a Sent) -> Self {
        let short = json::read::<Details>(sent.details.get())
            .ok()
            .and_then(|details| serde_json::value::to_raw_value(&details.truncated()).ok());
        match short {
            Some(details) => {
                Stored { data: "", details: std::borrow::Cow::Owned(details), ..Stored::whole(sent) }
            }
            None => Stored { data: "", ..Stored::whole(sent) },
        }
    }
}

/// What a shard knows of a device when it appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub born: Time,
    /// The last event it has.
    pub last: u64,
}

/// What a shard does with an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These of the events are the next run; afterwards the shard has everything up to `last`. The range is
    /// empty where it had them all.
    Take { range: std::ops::Range<usize>, last: u64 },
    /// Events before these are missing: the device is to go on behind `last`.
    Missing { last: u64 },
    /// The device was deleted, and this was on its way.
    Gone,
}

/// Decides over an append.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::fleet::append::{judge, Known, Verdict};
/// let known = Some(Known { born: Time::from_millis(5), last: 7 });
/// let born = Time::from_millis(5);
/// assert_eq!(judge(known, born, 0, &[8, 9]), Verdict::Take { range: 0..2, last: 9 });
/// assert_eq!(judge(known, born, 0, &[6, 7, 8]), Verdict::Take { range: 2..3, last: 8 });
/// assert_eq!(judge(known, born, 0, &[9]), Verdict::Missing { last: 7 });
/// assert_eq!(judge(known, Time::from_millis(4), 0, &[8]), Verdict::Gone);
/// ```
pub fn judge(known: Option<Known>, born: Time, base: u64, seqs: &[u64]) -> Verdict {
    let had = match known {
        Some(known) if born < known.born => return Verdict::Gone,
        Some(known) if born == known.born => known.last.max(base),
        _ => base,
    };
    let Some(first) = seqs.iter().position(|seq| *seq > had) else {
        return Verdict::Take { range: seqs.len()..seqs.len(), last: had };
    };
    let next = seqs.iter().skip(first).zip(had + 1..).take_while(|(seq, next)| *seq == next).count();
    match next {
        0 => Verdict::Missing { last: had },
        run => Verdict::Take { range: first..first + run, last: had + run as u64 },
    }
}

/// What the shard answers: up to where it has the device's log, and the time that its own log has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    pub last: u64,
    pub at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flat::{of_text, to_text};

    /// Where the texts differ, fields have changed: so must [`crate::flat::FORMAT`], and then they.
    #[test]
    fn a_run_crosses_as_it_is() {
        let at = Time::from_millis;
        let details = RawValue::from_string(r#"{"id":"1"}"#.to_owned()).unwrap();
        let (event, data, key, reply) = ("t".to_owned(), "é".to_owned(), "k".to_owned(), "pok".to_owned());
        let sent = Sent { seq: 8, received_at: at(5), event, data, details, key, reply };
        let known = Append {
            device: "d".into(),
            born: at(1),
            base: 7,
            not_before: at(2),
            first_heard: None,
            sent: Vec::new(),
        };
        let run = Append { first_heard: Some(at(3)), sent: vec![sent], device: "d".into(), ..known };
        let known = Append { first_heard: None, sent: Vec::new(), device: "d".into(), ..run };
        for (append, written) in
            [(run, "11:d1;7;2;3;1;8;5;1:t2:é10:{\"id\":\"1\"}1:k3:pok"), (known, "11:d1;7;2;-0;")]
        {
            assert_eq!(to_text(&append), written);
            assert_eq!(format!("{:?}", of_text::<Append>(written).unwrap()), format!("{append:?}"));
        }
        let confirmed = Confirmed { last: 8, at: at(5) };
        assert_eq!(of_text(&to_text(&confirmed)), Some(confirmed));
    }
}
