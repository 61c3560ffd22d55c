//! The shard's readers: who reads what, from where; pages from the log, and pushes as it grows.
//!
//! A reader is a hibernating WebSocket from a Worker, so that open streams keep no object awake. Beside each lies
//! what it wants and whether it is live: a live one is at the log's head, for it is told of every append in the
//! append's own turn. What is decided here is sent by `hub.mjs`.

use super::Shard;
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::fleet::append::Sent;
use fieldhook_core::json;
use fieldhook_core::notice::Notice;
use fieldhook_core::problem::{Code, Problem, Result, to_wire};
use fieldhook_core::request::{Body, Headers, Request};
use fieldhook_core::settings::STREAM_WINDOW;
use fieldhook_core::stream::admit::{Counted, Limits, admit};
use fieldhook_core::stream::cursor::bad_cursor;
use fieldhook_core::stream::render::{
    PAGE_EVENTS, PAGE_ROWS, PageWriter, Publication, Wanted, notices_message,
};
use std::cell::OnceCell;
use std::panic::AssertUnwindSafe;
use wasm_bindgen::prelude::*;
use worker::console_error;
use worker::worker_sys::DurableObjectState;

#[wasm_bindgen(module = "/src/fleet/hub.mjs")]
extern "C" {
    fn refuse(status: u16, problem: &str) -> JsValue;
    #[wasm_bindgen(catch)]
    fn accept(
        state: &DurableObjectState,
        wanted: &str,
        live: bool,
        tag: &str,
        greeting: &str,
        shards: u32,
    ) -> std::result::Result<JsValue, JsValue>;
    fn count(state: &DurableObjectState, tag: &str) -> u32;
    fn wanted_by(socket: &JsValue) -> Option<String>;
    fn answer(socket: &JsValue, page: &str, live: bool);
    fn close(socket: &JsValue);
    #[wasm_bindgen(catch)]
    fn tell(
        state: &DurableObjectState,
        message: &mut dyn FnMut(String) -> Option<String>,
    ) -> std::result::Result<(), JsValue>;
}

/// A migration of the Fleet object: how many streams an address opened in which second.
pub const MIGRATION: &str = "
CREATE TABLE IF NOT EXISTS stream_opens (
    address TEXT NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (address, at)
) WITHOUT ROWID;
";

/// With a filter by device, most rows are passed over by the query itself; a page goes no further than this, in
/// positions, so that no turn is long.
const DEVICE_WINDOW: u64 = 20_000;

impl Shard {
    /// Takes a reader: a request with `upgrade: websocket`, its query `wanted` (JSON), perhaps `after`, and at the
    /// shard that counts streams, `limits` (JSON). Answers a `Response`, whose body tells a problem.
    pub(super) fn open_reader(&self, url: &str) -> JsValue {
        let opened = self.try_open(url);
        opened.unwrap_or_else(|problem| refuse(problem.status(), &to_wire(&Err(problem))))
    }

    fn try_open(&self, url: &str) -> Result<JsValue> {
        let request = Request::new("GET", url, Headers::default(), Body::Bytes(Vec::new()));
        let field = |name| request.query_value(name);
        let text = field("wanted").unwrap_or_default();
        let wanted = read_wanted(&text)?;
        let after = match field("after") {
            None => None,
            Some(text) => Some(text.parse::<u64>().map_err(|_| unreadable())?),
        };
        let limits: Option<Limits> =
            field("limits").map(|text| json::read(&text)).transpose().map_err(|_| unreadable())?;
        let (head, _) = self.ends()?;
        if after.is_some_and(|after| after > head) {
            return Err(not_there_yet());
        }
        let tag = limits.as_ref().map(|limits| format!("from {}", limits.address)).unwrap_or_default();
        if let (Some(limits), None) = (&limits, field("again")) {
            self.admit(limits, &tag)?;
        }
        let greeting = match after {
            Some(_) => String::new(),
            None => PageWriter::new(&wanted, head, false, 0).finish(head, Some(head), false),
        };
        // As devices count them that are of this shard's age: a Worker that is older learns it so.
        let shards = isolate::settings(&self.env)?.fleet_shards;
        accept(self.state.as_raw(), &text, after.is_none(), &tag, &greeting, shards)
            .map_err(|_| Problem::new(Code::Unavailable, "the shard takes no more readers"))
    }

    /// Counts a stream that is opened, if it may be.
    fn admit(&self, limits: &Limits, tag: &str) -> Result<()> {
        self.schema.prepare(&self.sql)?;
        let now = isolate::now().millis() / 1000;
        let passed = Value::Integer(now - STREAM_WINDOW);
        sqlite::run(&self.sql, "DELETE FROM stream_opens WHERE at <= ?", vec![passed])?;
        let query =
            "SELECT coalesce(sum(count), 0), coalesce(min(at), 0) FROM stream_opens WHERE address = ?";
        let row = sqlite::first(&self.sql, query, vec![limits.address.as_str().into()])?;
        let (opened, first) = row.map_or((0, 0), |mut columns| (columns.unsigned(), columns.integer()));
        let opened = u32::try_from(opened).unwrap_or(u32::MAX);
        admit(limits, Counted { open: count(self.state.as_raw(), tag), opened, first }, now)?;
        let insert = "INSERT INTO stream_opens (address, at, count) VALUES (?, ?, 1) \
            ON CONFLICT (address, at) DO UPDATE SET count = count + 1";
        sqlite::run(&self.sql, insert, vec![limits.address.as_str().into(), Value::Integer(now)])?;
        Ok(())
    }

    /// A reader asks for the page behind a position. It is live from the page that reaches the head.
    pub(super) fn heard(&self, socket: &JsValue, text: &str) {
        let after = text.strip_prefix("next ").and_then(|text| text.parse::<u64>().ok());
        let page = after.and_then(|after| {
            let wanted = read_wanted(&wanted_by(socket)?).ok()?;
            let page = self.read_page(&wanted, Some(after), false, PAGE_EVENTS);
            page.inspect_err(|problem| console_error!("a page was not read: {}", problem.detail)).ok()
        });
        match page {
            Some((page, live)) => answer(socket, &page, live),
            // The reader connects again, and is told then what is wrong.
            None => close(socket),
        }
    }

    /// A page for history, as text of a [`fieldhook_core::stream::wire`] message. A negative `from` is the head.
    pub(super) fn history(&self, wanted: &str, from: f64, descending: bool, limit: u32) -> Result<String> {
        let from = (from >= 0.0).then_some(from as u64);
        let wanted = read_wanted(wanted)?;
        self.read_page(&wanted, from, descending, limit as usize).map(|(page, _)| page)
    }

    /// The page, and whether it reaches the end.
    fn read_page(
        &self,
        wanted: &Wanted,
        from: Option<u64>,
        descending: bool,
        limit: usize,
    ) -> Result<(String, bool)> {
        let (head, oldest) = self.ends()?;
        let asked = from.unwrap_or(head);
        if asked > head {
            return Err(not_there_yet());
        }
        let from = if descending { asked } else { asked.max(oldest) };
        let gap = !descending && from > asked;
        let end = if descending { oldest } else { head };
        let mut page = PageWriter::new(wanted, from, descending, limit);
        let mut whole = Some(end);
        if from != end {
            let (query, values, reach) = select(wanted, from, end, descending);
            whole = Some(reach);
            for columns in sqlite::rows(&self.sql, &query, values)? {
                let mut columns = columns?;
                let (pos, at) = (columns.unsigned(), Time::from_millis(columns.integer()));
                if !page.push(pos, at, &columns.text()) {
                    whole = None;
                    break;
                }
            }
        }
        let (text, is_live) = page.finish_with(end, whole, gap);
        Ok((text, is_live))
    }

    /// The positions of the newest event and of the newest that is not shown any more. Of a shard that was never written
    /// to, both are 0.
    fn ends(&self) -> Result<(u64, u64)> {
        let Some(mut loaded) = self.known()? else { return Ok((0, 0)) };
        let ends = (loaded.head, self.passed(&mut loaded)?);
        self.keep(loaded);
        Ok(ends)
    }

    /// Tells every live reader what was appended. Called in the append's own turn: the platform holds messages back
    /// until the row is durable. A reader that cannot be told comes back to where it was; the append is never
    /// failed.
    pub(super) fn publish(&self, at: Time, first: u64, sent: &[Sent]) {
        if sent.is_empty() {
            return;
        }
        // Made by the first reader that is live, if there is one. After a panic in it nobody looks at it again.
        let publication = AssertUnwindSafe(OnceCell::new());
        let mut message = |wanted: String| {
            let wanted = read_wanted(&wanted).ok()?;
            publication.get_or_init(|| Publication::new(at, first, sent)).message(&wanted)
        };
        if tell(self.state.as_raw(), &mut message).is_err() {
            console_error!("the readers of the shard could not be told");
        }
    }

    /// Tells live readers of deliveries.
    pub(super) fn publish_notices(&self, head: u64, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let now = isolate::now();
        let mut message = |wanted: String| notices_message(now, head, notices, &read_wanted(&wanted).ok()?);
        if tell(self.state.as_raw(), &mut message).is_err() {
            console_error!("the readers of the shard could not be told");
        }
    }
}

/// The rows of a page, and how far they reach if all of them are taken.
fn select(wanted: &Wanted, from: u64, end: u64, descending: bool) -> (String, Vec<Value<'_>>, u64) {
    let window = wanted.filter.device.as_ref().map_or(u64::MAX, |_| DEVICE_WINDOW);
    let mut values = vec![integer(from)];
    let (mut query, reach) = if descending {
        let reach = from.saturating_sub(window).max(end);
        values.push(integer(reach));
        // The row that holds a position is the first that ends at or behind it.
        let query = "SELECT pos, at, body FROM runs WHERE \
            pos <= (SELECT pos FROM runs WHERE pos >= ? ORDER BY pos LIMIT 1) AND pos > ?";
        (query.to_owned(), reach)
    } else {
        let reach = from.saturating_add(window).min(end);
        values.push(integer(reach));
        // The row behind the window may begin in it; what of it lies in there is read.
        let query = "SELECT pos, at, body FROM runs WHERE pos > ? AND \
            pos <= coalesce((SELECT pos FROM runs WHERE pos >= ? ORDER BY pos LIMIT 1), 0)";
        (query.to_owned(), reach)
    };
    if let Some(device) = &wanted.filter.device {
        query.push_str(" AND device = ?");
        values.push(device.as_str().into());
    }
    query.push_str(if descending { " ORDER BY pos DESC LIMIT ?" } else { " ORDER BY pos LIMIT ?" });
    values.push(integer(PAGE_ROWS as u64 + 1));
    (query, values, reach)
}

fn read_wanted(text: &str) -> Result<Wanted> {
    json::read(text).map_err(|_| unreadable())
}

fn unreadable() -> Problem {
    Problem::new(Code::Internal, "what the reader wants cannot be read")
}

fn not_there_yet() -> Problem {
    bad_cursor("it lies behind the newest event; it may be another deployment's")
}
