//! The fleet's index: what a shard knows of each device without asking it. It is itself a cursor over the
//! shard's log: kept in memory, written now and then, and brought up to date from the log after a wake.

use super::append::{Known, Sent};
use crate::clock::Time;
use crate::json;
use crate::log::ONLINE_WITHIN;
use crate::problem::{Code, Problem, Result};
use crate::request::Request;
use serde::{Deserialize, Serialize};

/// So many events at least before the index is written, of a shard that is awake.
const BEHIND_MIN: u64 = 1_000;
/// And so many for each row of it that would be written: what an event adds to the bill is a share of a row.
const EVENTS_PER_ENTRY: u64 = 20;
/// But no more than a wake can read again in a second or so, bytes.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// A shard that sleeps between appends reads all of it at each wake. Where that came to so many rows, it is written: a
/// thousand rows read cost what one written does (PLATFORM.md).
const REREAD_MAX: u64 = 100;

/// How far the index is behind the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behind {
    events: u64,
    bytes: usize,
    reread: u64,
}

impl Behind {
    /// A row was appended.
    pub fn wrote(&mut self, events: u64, bytes: usize) {
        self.events += events;
        self.bytes += bytes;
    }

    /// A row was read again after a wake.
    pub fn reread(&mut self, events: u64, bytes: usize) {
        self.wrote(events, bytes);
        self.reread += 1;
    }

    /// Whether the index is to be written; `pending` is how many rows that comes to.
    ///
    /// ```
    /// use fieldhook_core::fleet::index::Behind;
    /// let mut behind = Behind::default();
    /// behind.wrote(1_000, 300_000);
    /// assert!(behind.is_far(10) && !behind.is_far(1_000)); // a row for each event would double the bill
    /// behind.wrote(19_000, 6_000_000);
    /// assert!(behind.is_far(1_000));
    /// let mut slept = Behind::default();
    /// (0..100).for_each(|_| slept.reread(1, 300));
    /// assert!(slept.is_far(1));
    /// ```
    pub fn is_far(&self, pending: u64) -> bool {
        self.events >= BEHIND_MIN.max(EVENTS_PER_ENTRY * pending)
            || self.bytes >= BYTES_MAX
            || self.reread >= REREAD_MAX.max(pending)
    }
}

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: String,
    pub born: Time,
    /// The last event that the shard has.
    pub last_seq: u64,
    /// `None` for a device that was written to and never heard.
    pub first_heard: Option<Time>,
    pub last_heard: Option<Time>,
    /// The name of its last event.
    pub last_event: Option<String>,
    pub product_id: Option<String>,
    pub fw_version: Option<String>,
}

/// Of an event's [`crate::log::Details`], what the index has of it.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    product_id: Option<String>,
    #[serde(default)]
    fw_version: Option<String>,
}

impl Entry {
    /// A device that the shard hears of for the first time.
    pub fn new(id: &str, born: Time, last_seq: u64, first_heard: Option<Time>) -> Self {
        Entry {
            id: id.to_owned(),
            born,
            last_seq,
            first_heard,
            last_heard: None,
            last_event: None,
            product_id: None,
            fw_version: None,
        }
    }

    pub fn known(&self) -> Known {
        Known { born: self.born, last: self.last_seq }
    }

    /// Takes a run of the device's log in.
    ///
    /// `last` is up to where the shard has it then, which may be further than the run: see [`super::append::judge`].
    pub fn hear(&mut self, run: &[Sent], last: u64) {
        run.iter().for_each(|sent| self.hear_one(sent));
        self.last_seq = last;
    }

    fn hear_one(&mut self, sent: &Sent) {
        self.first_heard = self.first_heard.or(Some(sent.received_at));
        self.last_heard = Some(sent.received_at);
        self.last_event.get_or_insert_default().clone_from(&sent.event);
        // A row that cannot be read keeps its place in the order, and tells nothing more.
        let Ok(told) = json::read::<Told>(sent.details.get()) else { return };
        self.product_id = told.product_id.map(short).or(self.product_id.take());
        self.fw_version = told.fw_version.map(short).or(self.fw_version.take());
    }

    pub fn is_online(&self, now: Time) -> bool {
        self.last_heard.is_some_and(|at| at.distance(now) <= ONLINE_WITHIN)
    }

    /// As `GET /v1/devices` shows it: Particle's names, then our own.
    pub fn show(&self, now: Time) -> String {
        #[derive(Serialize)]
        struct Shown<'a> {
            id: &'a str,
            name: &'a str,
            online: bool,
            connected: bool,
            first_heard: Option<String>,
            last_heard: Option<String>,
            product_id: Option<&'a str>,
            firmware_version: Option<&'a str>,
            last_event: Option<&'a str>,
            events: u64,
        }
        let online = self.is_online(now);
        let shown = Shown {
            id: &self.id,
            name: &self.id,
            online,
            connected: online,
            first_heard: self.first_heard.map(|at| at.to_string()),
            last_heard: self.last_heard.map(|at| at.to_string()),
            product_id: self.product_id.as_deref(),
            firmware_version: self.fw_version.as_deref(),
            last_event: self.last_event.as_deref(),
            events: self.last_seq,
        };
        serde_json::to_string(&shown).unwrap_or_default()
    }
}

/// A list shows many devices: of a text that a device made as long as it liked, the beginning.
fn short(text: String) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// Characters.
const SHOWN_MAX: usize = 64;

/// Which devices are asked for (DESIGN.md, "Reading"). Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The product it last said it is of.
    pub product: Option<String>,
    /// A prefix of its id.
    pub id: Option<String>,
    pub online: Option<bool>,
    /// A prefix of the name of its last event.
    pub event: Option<String>,
    /// A part of its id or of the name of its last event, in small letters; the case does not matter.
    #[serde(default)]
    pub search: Option<String>,
}

impl Filter {
    /// Reads `?product=&id=&online=&event=&search=`.
    ///
    /// # Errors
    /// `bad-query`, naming the parameter.
    pub fn read(request: &Request) -> Result<Self> {
        let text = |name: &str| {
            request.query_value(name).map(|text| text.into_owned()).filter(|text| !text.is_empty())
        };
        let online = match text("online").as_deref() {
            None => None,
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(_) => {
                return Err(Problem::field(Code::BadQuery, "online", "online must be true or false"));
            }
        };
        let search = text("search").map(|text| text.to_lowercase());
        Ok(Filter { product: text("product"), id: text("id"), online, event: text("event"), search })
    }

    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::fleet::index::{Entry, Filter};
    /// let entry = Entry::new("e00fce68", Time::from_millis(0), 0, None);
    /// let filter = Filter { id: Some("e00".into()), online: Some(false), ..Filter::default() };
    /// assert!(filter.matches(&entry, Time::from_millis(1)));
    /// ```
    pub fn matches(&self, entry: &Entry, now: Time) -> bool {
        let has = |part: &str| {
            let has = |text: &str| text.to_lowercase().contains(part);
            has(&entry.id) || entry.last_event.as_deref().is_some_and(has)
        };
        let starts = |text: Option<&str>, prefix: &str| text.is_some_and(|text| text.starts_with(prefix));
        self.product.as_ref().is_none_or(|product| entry.product_id.as_ref() == Some(product))
            && self.id.as_deref().is_none_or(|prefix| entry.id.starts_with(prefix))
            && self.online.is_none_or(|online| entry.is_online(now) == online)
            && self.event.as_deref().is_none_or(|prefix| starts(entry.last_event.as_deref(), prefix))
            && self.search.as_deref().is_none_or(has)
    }
}

/// A page of a shard's list as it crosses an object call: pairs of id and the entry as it is shown.
pub type Page = Vec<(String, Box<serde_json::value::RawValue>)>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Body, Headers};
    use serde_json::value::RawValue;

    fn sent(seq: u64, at: i64, event: &str, more: &str) -> Sent {
        let details = format!(r#"{{"id":"i","coreid":"d","published_at":0,"source":"default"{more}}}"#);
        Sent {
            seq,
            received_at: Time::from_millis(at),
            event: event.into(),
            data: String::new(),
            details: RawValue::from_string(details).unwrap(),
            key: String::new(),
            reply: String::new(),
        }
    }

    #[test]
    fn the_newest_event_is_known_and_what_it_does_not_say_stays() {
        let mut entry = Entry::new("d", Time::from_millis(1), 0, None);
        entry.hear(&[sent(1, 10, "temp", r#","product_id":"7","fw_version":"2""#)], 1);
        entry.hear(&[sent(2, 20, "door", "")], 2);
        assert_eq!(entry.first_heard, Some(Time::from_millis(10)));
        assert_eq!((entry.last_seq, entry.last_event.as_deref()), (2, Some("door")));
        assert_eq!((entry.product_id.as_deref(), entry.fw_version.as_deref()), (Some("7"), Some("2")));
    }

    #[test]
    fn every_part_of_a_filter_must_hold() {
        let now = Time::from_millis(ONLINE_WITHIN + 10);
        let mut entry = Entry::new("abc", Time::from_millis(1), 0, None);
        entry.hear(&[sent(1, 10, "temp/in", r#","product_id":"7""#)], 1);
        let read = |query: &str| {
            let url = format!("https://x.dev/v1/devices?{query}");
            Filter::read(&Request::new("GET", &url, Headers::default(), Body::Bytes(Vec::new())))
        };
        for (query, expected) in [
            ("", true),
            ("id=ab&product=7&online=true&event=temp", true),
            ("id=bc", false),
            ("product=70", false),
            ("online=false", false),
            ("event=in", false),
            ("event=temp/in/side", false),
            ("search=B", true),
            ("search=P/IN", true),
            ("search=7", false),
        ] {
            assert_eq!(read(query).unwrap().matches(&entry, now), expected, "{query}");
        }
        assert!(!read("online=true").unwrap().matches(&entry, now.plus_millis(1)));
        assert_eq!(read("online=maybe").unwrap_err().field.as_deref(), Some("online"));
    }
}
