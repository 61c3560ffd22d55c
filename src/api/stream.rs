//! Streams, and the history of all devices on the same paths: `/v1/events` and its like, `/v1/stream`.

use super::{Call, list_body};
use crate::answer::Answer;
use crate::isolate::Platform;
use crate::rpc;
use crate::stream::Stream;
use fieldhook_core::fleet::shard_name;
use fieldhook_core::history::{PAGE_BYTES, limit};
use fieldhook_core::problem::{Code, Problem, Result, from_wire};
use fieldhook_core::request::{Method, Request};
use fieldhook_core::stream::admit::Limits;
use fieldhook_core::stream::client::{Client, Wire};
use fieldhook_core::stream::cursor::Cursor;
use fieldhook_core::stream::merge::{Item, Order, Reader};
use fieldhook_core::stream::render::Wanted;
use fieldhook_core::stream::request::{Path, Transport, after, counted_address};
use futures_util::future::try_join_all;
use std::panic::AssertUnwindSafe;
use wasm_bindgen::prelude::*;
use worker::console_error;
use worker::js_sys::Promise;
use worker::js_sys::futures::JsFuture;

#[wasm_bindgen(module = "/src/stream.mjs")]
extern "C" {
    fn open(fleet: &JsValue, stream: Stream, wanted: &str, limits: &str, as_socket: bool) -> Promise;
}

/// A page of history asks its shards no more often than this, however few events pass its filter. What it has then
/// is the page.
const ROUNDS: usize = 32;

pub async fn route(platform: &Platform, request: &Request, path: &Path) -> Result<Answer> {
    let call = Call::open_stream(platform, request)?;
    let transport = match path {
        Path::Socket => Transport::WebSocket,
        Path::Events { .. } => Transport::of(request.headers.get("accept")),
    };
    let wanted = Wanted { filter: path.filter(request)?, format: transport.format() };
    let after = after(request)?;
    match (transport, request.method) {
        (Transport::History, _) => history(&call, &wanted, after).await,
        (_, Method::Head) => Ok(headers(Answer::empty(200), transport)),
        (Transport::WebSocket, _) if !is_upgrade(request) => {
            Err(Problem::new(Code::UpgradeRequired, "send `upgrade: websocket`, or read /v1/events"))
        }
        _ => stream(&call, &wanted, after, transport).await,
    }
}

fn is_upgrade(request: &Request) -> bool {
    request.headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

fn headers(answer: Answer, transport: Transport) -> Answer {
    // Compressed, events would wait in the compressor.
    answer.with("content-type", transport.content_type()).with("cache-control", "no-cache, no-transform")
}

async fn stream(
    call: &Call<'_>,
    wanted: &Wanted,
    after: Option<Cursor>,
    transport: Transport,
) -> Result<Answer> {
    let wire = match transport {
        Transport::Sse => Wire::Sse,
        _ => Wire::Lines,
    };
    let limits = Limits {
        address: counted_address(call.request.headers.get("cf-connecting-ip")),
        opens: call.settings.stream_opens,
        max: call.settings.stream_max,
    };
    let client = Client::new(call.platform.shard_count().await? as usize, after, wire);
    let as_socket = transport == Transport::WebSocket;
    let fleet = rpc::shards(&call.platform.env)?;
    let opened = open(
        &fleet,
        Stream::new(client),
        &query("wanted", &to_json(wanted)?),
        &format!("&{}", query("limits", &to_json(&limits)?)),
        as_socket,
    );
    let opened = AssertUnwindSafe(JsFuture::from(opened)).await.map_err(|error| {
        console_error!("a stream could not be opened: {error:?}");
        Problem::new(Code::Unavailable, "a shard did not answer")
    })?;
    if let Some(refusal) = opened.as_string() {
        from_wire(&refusal)?;
        return Err(Problem::new(Code::Unavailable, "a shard takes no readers"));
    }
    Ok(match as_socket {
        true => Answer::live(101, opened),
        false => headers(Answer::live(200, opened), transport),
    })
}

fn query(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Problem::new(Code::Internal, "the query cannot be written"))
}

/// A page of the merged log: `{"events":[…],"next":…}`, each event with its cursor, and `gap` where events were
/// removed before they could be read.
async fn history(call: &Call<'_>, wanted: &Wanted, after: Option<Cursor>) -> Result<Answer> {
    let limit = limit(call.request)?;
    let order = match call.request.query_value("order").as_deref() {
        // Without a cursor, forwards is from the beginning; what was removed before is not missed by anybody.
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(Problem::field(Code::BadQuery, "order", "order must be asc or desc")),
    };
    let is_first = after.is_none();
    let start = after.or_else(|| (order == Order::Ascending).then(Cursor::default));
    let mut reader = Reader::new(call.platform.shard_count().await? as usize, start, order);
    let mut asked: Vec<(usize, Option<u64>)> = Vec::new();
    for shard in 0..reader.shards() {
        reader.connected(shard);
        if reader.begins(shard).is_none() {
            asked.push((shard, None));
        }
    }
    let mut page = Page { events: Vec::new(), size: 0, place: reader.place().encode(), gap: None };
    let wanted_json = to_json(wanted)?;
    for _ in 0..ROUNDS {
        asked.extend(reader.ask(true).into_iter().map(|(shard, position)| (shard, Some(position))));
        let pages = asked.drain(..).map(|(shard, from)| {
            let wanted = &wanted_json;
            async move {
                let fleet = rpc::fleet(&call.platform.env, &shard_name(u32::try_from(shard).unwrap_or(0)))?;
                let page = fleet.page(wanted, from, order == Order::Descending, limit + 1).await?;
                Ok::<_, Problem>((shard, page))
            }
        });
        for (shard, text) in try_join_all(pages).await? {
            let broken = |_| Problem::new(Code::Internal, "a shard's answer cannot be read");
            reader.receive(shard, &text).map_err(broken)?;
        }
        if !page.take(&mut reader, limit, is_first) {
            return Ok(page.answer(true));
        }
        if reader.is_done() {
            return Ok(page.answer(false));
        }
    }
    Ok(page.answer(true))
}

struct Page {
    events: Vec<String>,
    size: usize,
    /// Behind the last event.
    place: String,
    gap: Option<String>,
}

impl Page {
    /// Takes what the reader has; false where there is more than the page holds.
    fn take(&mut self, reader: &mut Reader, limit: usize, is_first: bool) -> bool {
        while let Some(item) = reader.pop() {
            match item {
                Item::Event { json, .. } => {
                    if self.events.len() == limit || self.size >= PAGE_BYTES {
                        return false;
                    }
                    let rest = json.strip_prefix('{').unwrap_or("}");
                    self.size += json.len();
                    self.events.push(format!("{{\"cursor\":\"{}\",{rest}", reader.cursor().encode()));
                }
                Item::Gap if !is_first => self.gap = Some(reader.cursor().encode()),
                Item::Gap => {}
            }
            self.place = reader.place().encode();
        }
        self.place = reader.place().encode();
        true
    }

    fn answer(self, more: bool) -> Answer {
        let mut body = list_body("events", &self.events, more.then_some(self.place.as_str()));
        if let Some(gap) = self.gap {
            body.truncate(body.len() - 1);
            body.push_str(&format!(",\"gap\":{{\"oldest\":\"{gap}\"}}}}"));
        }
        Answer::json(200, body)
    }
}
