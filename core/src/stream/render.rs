//! An event as streams show it, rendered once for all who read it; and what Particle says about its webhook.

use super::filter::Filter;
use super::wire::{Kind, Line, Writer};
use crate::clock::Time;
use crate::event::DedupKey;
use crate::fleet::append::Sent;
use crate::json;
use crate::log::{Details, Row};
use crate::notice::Notice;
use crate::reply::Reply;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::cell::OnceCell;

/// A page ends at this size, bytes of lines.
pub const PAGE_BYTES: usize = 64 * 1024;
/// A page ends after so many events.
pub const PAGE_EVENTS: usize = 500;
/// A page looks at no more than so many rows and so many bytes of them, however few pass the filter.
pub const PAGE_ROWS: usize = 2_000;
pub const PAGE_SCAN: usize = 1024 * 1024;
/// A push that nobody's filter passes is told all the same each so many positions, so that a reader whose events
/// are rare does not fall behind what is kept.
const TOLD_EVERY: u64 = 256;

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As Particle's streams have it: data is a string. Then our own fields.
    Particle,
    /// As every other read shows it (DESIGN.md, "Shapes").
    View,
}

/// What a reader wants of a shard. Readers that want the same are told the same message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    #[serde(flatten)]
    pub filter: Filter,
    pub format: Format,
}

/// Particle gives every event a time to live of 60 seconds, and ignores it (Particle docs, "Publish").
const TTL: u32 = 60;
/// Who Particle says that hook-sent and its like come from.
const PARTICLE: &str = "particle-internal";

/// An event in Particle's format. Particle's four fields come first.
#[derive(Serialize)]
struct Particle<'a> {
    data: &'a str,
    ttl: u32,
    published_at: String,
    coreid: &'a str,
    seq: u64,
    id: &'a str,
    source: &'a str,
    received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fw_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    userid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
}

/// An event with its details read, its JSON made when it is first wanted.
struct Rendered<'a> {
    seq: u64,
    received_at: Time,
    event: &'a str,
    data: &'a str,
    raw_details: &'a RawValue,
    details: Details,
    particle: OnceCell<String>,
    view: OnceCell<String>,
}

impl<'a> Rendered<'a> {
    /// `None` for details that this version cannot read.
    fn new(
        seq: u64,
        received_at: Time,
        event: &'a str,
        data: &'a str,
        details: &'a RawValue,
    ) -> Option<Self> {
        Some(Rendered {
            seq,
            received_at,
            event,
            data,
            raw_details: details,
            details: json::read(details.get()).ok()?,
            particle: OnceCell::new(),
            view: OnceCell::new(),
        })
    }

    fn of_sent(sent: &'a Sent) -> Option<Self> {
        Rendered::new(sent.seq, sent.received_at, &sent.event, &sent.data, &sent.details)
    }

    fn json(&self, format: Format) -> &str {
        match format {
            Format::Particle => self.particle.get_or_init(|| self.to_particle()),
            Format::View => self.view.get_or_init(|| self.to_view()),
        }
    }

    fn to_particle(&self) -> String {
        let details = &self.details;
        let event = Particle {
            data: self.data,
            ttl: TTL,
            published_at: details.published_at.to_string(),
            coreid: &details.coreid,
            seq: self.seq,
            id: &details.id,
            source: &details.source,
            received_at: self.received_at.to_string(),
            product_id: details.product_id.as_deref(),
            fw_version: details.fw_version.as_deref(),
            userid: details.userid.as_deref(),
            media_type: details.media_type.as_deref(),
        };
        one_line(serde_json::to_string(&event).unwrap_or_default())
    }

    fn to_view(&self) -> String {
        let row = Row {
            seq: self.seq,
            received_at: self.received_at,
            event: self.event.to_owned(),
            data: self.data.to_owned(),
            details: self.raw_details.get().to_owned(),
        };
        one_line(row.view().ok().and_then(|view| serde_json::to_string(&view).ok()).unwrap_or_default())
    }
}

/// JSON text in one line: within its strings line breaks are escaped, so what is left is space between tokens.
fn one_line(json: String) -> String {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json }
}

/// The events of one append, told to every reader whose filter they pass.
pub struct Publication<'a> {
    at: Time,
    first: u64,
    events: Vec<(Option<Rendered<'a>>, &'a Sent)>,
}

impl<'a> Publication<'a> {
    /// `at` and `first` are the time of the append and the position of its first event.
    pub fn new(at: Time, first: u64, sent: &'a [Sent]) -> Self {
        let events = sent.iter().map(|sent| (Rendered::of_sent(sent), sent)).collect();
        Publication { at, first, events }
    }

    /// The message for readers that want this; `None` where there is nothing to tell them.
    pub fn message(&self, wanted: &Wanted) -> Option<String> {
        let mut writer = Writer::default();
        for ((rendered, sent), pos) in self.events.iter().zip(self.first..) {
            let Some(rendered) = rendered else { continue };
            if wanted.filter.shows_event(rendered.event, &rendered.details) {
                let json = rendered.json(wanted.format);
                let (at, name) = (self.at.millis(), rendered.event);
                writer.push(&Line { pos: Some(pos), at, name, json });
            }
            if wanted.filter.concerns(&rendered.details.coreid, rendered.details.product_id.as_deref()) {
                self.tell_of_hook(&mut writer, wanted, rendered, sent);
            }
        }
        let to = (self.first + self.events.len() as u64).saturating_sub(1);
        let is_due = (self.first.saturating_sub(1)) / TOLD_EVERY != to / TOLD_EVERY;
        (!writer.is_empty() || is_due).then(|| writer.finish(Kind::Push, to))
    }

    /// What Particle publishes about a webhook's request and its response (Particle docs, "Webhooks"): the
    /// response in the parts that devices get.
    fn tell_of_hook(&self, writer: &mut Writer, wanted: &Wanted, rendered: &Rendered<'_>, sent: &Sent) {
        let details = &rendered.details;
        if details.coreid == "api" && details.source == "api" {
            // Published through /v1: no webhook was sent for it.
            return;
        }
        let mut tell = |name: String, data: &str| {
            if name.starts_with(&wanted.filter.prefix) {
                let json = self.hook_json(wanted.format, &name, data);
                writer.push(&Line { pos: None, at: self.at.millis(), name: &name, json: &json });
            }
        };
        let event = rendered.event;
        tell(format!("hook-sent/{event}"), "undefined");
        if details.reply_too_large {
            tell(format!("hook-error/{event}/0"), "the reply is larger than its budget and was not sent");
        }
        // A product's devices are each told by a topic of their own, a sandbox's share one.
        let topic = match details.product_id {
            Some(_) => format!("{}/hook-response/{event}", details.coreid),
            None => format!("hook-response/{event}"),
        };
        for (index, part) in
            Reply::from_stored(&sent.reply).parts(&DedupKey::stored(&sent.key)).iter().enumerate()
        {
            tell(format!("{topic}/{index}"), &String::from_utf8_lossy(part));
        }
    }

    fn hook_json(&self, format: Format, name: &str, data: &str) -> String {
        hook_json(self.at, format, name, data)
    }
}

fn hook_json(at: Time, format: Format, name: &str, data: &str) -> String {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<&'a str>,
        data: &'a str,
        ttl: String,
        published_at: String,
        coreid: &'a str,
    }
    let told = Told {
        // Particle's format has the name beside the JSON.
        event: (format == Format::View).then_some(name),
        data,
        ttl: TTL.to_string(),
        published_at: at.to_string(),
        coreid: PARTICLE,
    };
    serde_json::to_string(&told).unwrap_or_default()
}

/// The message that tells readers who want this of deliveries; `head` is where the shard's log is. `None` where there
/// is nothing to tell them.
pub fn notices_message(at: Time, head: u64, notices: &[Notice], wanted: &Wanted) -> Option<String> {
    let mut writer = Writer::default();
    for Notice { name, data, device, product } in notices {
        if wanted.filter.concerns(device, product.as_deref()) && name.starts_with(&wanted.filter.prefix) {
            let json = hook_json(at, wanted.format, name, data);
            writer.push(&Line { pos: None, at: at.millis(), name, json: &json });
        }
    }
    (!writer.is_empty()).then(|| writer.finish(Kind::Push, head))
}

/// Fills a page from rows, in the order they are read.
pub struct PageWriter<'a> {
    wanted: &'a Wanted,
    descending: bool,
    from: u64,
    limit: usize,
    to: u64,
    writer: Writer,
    events: usize,
    rows: usize,
    scanned: usize,
}

impl<'a> PageWriter<'a> {
    /// A page of what lies behind `from`, or descending of what lies at and before it; at most `limit` events.
    pub fn new(wanted: &'a Wanted, from: u64, descending: bool, limit: usize) -> Self {
        let limit = limit.min(PAGE_EVENTS);
        let writer = Writer::default();
        PageWriter { wanted, descending, from, limit, to: from, writer, events: 0, rows: 0, scanned: 0 }
    }

    /// Takes a row: the position of its last event, when it was appended, and its events as JSON. Answers whether
    /// the page has room for another.
    pub fn push(&mut self, last: u64, at: Time, body: &str) -> bool {
        let stored: Vec<Sent> = json::read(body).unwrap_or_default();
        let first = (last + 1).saturating_sub(stored.len() as u64);
        let count = stored.len();
        for index in 0..count {
            let index = if self.descending { count - 1 - index } else { index };
            let pos = first + index as u64;
            let is_read = if self.descending { pos > self.to } else { pos <= self.to };
            if is_read {
                continue;
            }
            if self.is_full() {
                return false;
            }
            if let Some(row) = stored.get(index) {
                self.push_event(pos, at, row);
            }
            self.to = if self.descending { pos.saturating_sub(1) } else { pos };
        }
        if count == 0 {
            // A row that this version cannot read; its place is passed all the same.
            self.to = if self.descending { last.saturating_sub(1) } else { last };
        }
        self.rows += 1;
        self.scanned += body.len();
        !self.is_full() && self.rows < PAGE_ROWS && self.scanned < PAGE_SCAN
    }

    fn push_event(&mut self, pos: u64, at: Time, row: &Sent) {
        // Most of what is passed over is passed over by its name alone.
        if !row.event.starts_with(&self.wanted.filter.prefix) {
            return;
        }
        let Some(rendered) = Rendered::of_sent(row) else { return };
        if self.wanted.filter.shows_event(rendered.event, &rendered.details) {
            let (name, json) = (rendered.event, rendered.json(self.wanted.format));
            self.writer.push(&Line { pos: Some(pos), at: at.millis(), name, json });
            self.events += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.events >= self.limit || self.writer.len() >= PAGE_BYTES
    }

    /// The page. `end` is where the log ends in this direction; `whole` is how far it was read without leaving a
    /// row out, where the rows came to an end before the page did.
    pub fn finish(self, end: u64, whole: Option<u64>, gap: bool) -> String {
        self.finish_with(end, whole, gap).0
    }

    /// The same, and whether it reaches the end.
    pub fn finish_with(mut self, end: u64, whole: Option<u64>, gap: bool) -> (String, bool) {
        if let Some(whole) = whole {
            self.to = if self.descending { whole.min(self.to) } else { whole.max(self.to) };
        }
        let head = if self.descending { self.to <= end } else { self.to >= end };
        (self.writer.finish(Kind::Page { from: self.from, head, gap }, self.to), head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::wire::Message;

    fn sent(seq: u64, event: &str, details: &str, reply: &str) -> Sent {
        let raw = format!(r#"{{"id":"i{seq}","coreid":"d","published_at":0,"source":"default"{details}}}"#);
        Sent {
            seq,
            received_at: Time::from_millis(1),
            event: event.into(),
            data: "{\"t\":\n1}".into(),
            details: RawValue::from_string(raw).unwrap(),
            key: "abcdef".into(),
            reply: reply.into(),
        }
    }

    fn wanted(prefix: &str, format: Format) -> Wanted {
        Wanted { filter: Filter::new(prefix, None, None).unwrap(), format }
    }

    fn names(text: &str) -> Vec<(Option<u64>, String)> {
        Message::read(text).unwrap().lines().map(|line| (line.pos, line.name.to_owned())).collect()
    }

    #[test]
    fn particles_format_has_data_as_text_and_ours_as_json() {
        let sent = [sent(7, "temp", "", "")];
        let publication = Publication::new(Time::from_millis(2), 3, &sent);
        let text = publication.message(&wanted("temp", Format::Particle)).unwrap();
        let line = Message::read(&text).unwrap().lines().next().unwrap();
        assert!(line.json.starts_with(
            r#"{"data":"{\"t\":\n1}","ttl":60,"published_at":"1970-01-01T00:00:00.000Z","coreid":"d","seq":7,"id":"i7","#
        ));
        let text = publication.message(&wanted("temp", Format::View)).unwrap();
        let line = Message::read(&text).unwrap().lines().next().unwrap();
        assert!(line.json.starts_with(r#"{"seq":7,"id":"i7","event":"temp","data":{"t": 1},"coreid":"d""#));
        assert_eq!((line.pos, line.at), (Some(3), 2));
    }

    #[test]
    fn a_reply_is_told_in_its_parts_and_has_no_position() {
        let reply = format!("p{}", "x".repeat(600));
        let sent = [
            sent(1, "temp", "", &reply),
            sent(2, "temp", r#","product_id":"9","reply_too_large":true"#, "py"),
        ];
        let publication = Publication::new(Time::from_millis(2), 1, &sent);
        let text = publication.message(&wanted("", Format::Particle)).unwrap();
        let expected = [
            (Some(1), "temp"),
            (None, "hook-sent/temp"),
            (None, "hook-response/temp/0"),
            (None, "hook-response/temp/1"),
            (Some(2), "temp"),
            (None, "hook-sent/temp"),
            (None, "hook-error/temp/0"),
            (None, "d/hook-response/temp/0"),
        ];
        assert_eq!(names(&text), expected.map(|(pos, name)| (pos, name.to_owned())));
        let text = publication.message(&wanted("hook-error", Format::View)).unwrap();
        assert_eq!(names(&text), [(None, "hook-error/temp/0".to_owned())]);
    }

    #[test]
    fn nobody_is_told_of_what_they_do_not_want_but_now_and_then_how_far_the_log_is() {
        let sent = [sent(1, "temp", "", "")];
        let told = |first| {
            Publication::new(Time::from_millis(0), first, &sent).message(&wanted("door", Format::View))
        };
        assert_eq!(told(1), None);
        assert_eq!(told(256).as_deref(), Some("push\t256\n"));
    }

    #[test]
    fn a_page_ends_within_a_row_and_the_next_goes_on_there() {
        let stored = |seq| sent(seq, "temp", "", "");
        let stored: Vec<Sent> = (1..=5).map(stored).collect();
        let body = serde_json::to_string(&stored).unwrap();
        let wanted = wanted("", Format::View);
        for descending in [false, true] {
            let (mut seen, mut from) = (Vec::new(), if descending { 15 } else { 10 });
            loop {
                let mut page = PageWriter::new(&wanted, from, descending, 2);
                let whole = page.push(15, Time::from_millis(9), &body);
                let end = if descending { 10 } else { 15 };
                let text = page.finish(end, whole.then_some(end), false);
                let message = Message::read(&text).unwrap();
                seen.extend(message.lines().filter_map(|line| line.pos));
                from = message.to;
                if matches!(message.kind, Kind::Page { head: true, .. }) {
                    break;
                }
            }
            let mut expected: Vec<u64> = (11..=15).collect();
            if descending {
                expected.reverse();
            }
            assert_eq!(seen, expected);
        }
    }
}
