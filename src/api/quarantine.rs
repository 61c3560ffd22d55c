//! `/v1/quarantine`: what was authenticated and refused, and how to take it in after all.

use super::{Call, body_text, is_read, list_body, not_allowed};
use crate::answer::Answer;
use crate::hook::{Ingress, batch};
use crate::isolate::Platform;
use crate::router::not_found;
use crate::rpc;
use fieldhook_core::clock::Time;
use fieldhook_core::definition::Properties;
use fieldhook_core::event::SourceName;
use fieldhook_core::fleet::shard_name;
use fieldhook_core::history::limit;
use fieldhook_core::ingest::{self, Arrival, Ingest};
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::access::Scope;
use fieldhook_core::quarantine::{Entry, Position};
use fieldhook_core::request::{Method, Request};
use serde::Serialize;
use std::cell::Cell;

pub async fn route(platform: &Platform, request: &Request, path: &[&str]) -> Result<Answer> {
    let open = || Call::open(platform, request, Scope::Admin);
    match (request.method, path) {
        (method, []) if is_read(method) => list(&open()?).await,
        (Method::Delete, [id]) => remove(&open()?, position(id)?).await,
        (Method::Post, [id, "replay"]) => replay(&open()?, position(id)?).await,
        (_, []) => not_allowed("GET, HEAD"),
        (_, [_]) => not_allowed("DELETE"),
        (_, [_, "replay"]) => not_allowed("POST"),
        _ => Err(not_found()),
    }
}

fn position(id: &str) -> Result<Position> {
    Position::parse(id).ok_or_else(|| Problem::new(Code::UnknownEntry, "take the id from GET /v1/quarantine"))
}

/// Newest first, merged over all shards.
async fn list(call: &Call<'_>) -> Result<Answer> {
    let limit = limit(call.request)?;
    let after = match call.request.query_value("after") {
        None => None,
        Some(text) => Some(Position::parse(&text).ok_or_else(|| {
            Problem::field(Code::BadCursor, "after", "take the cursor from `next` of the page before")
        })?),
    };
    let mut found: Vec<(Position, Entry)> = Vec::new();
    // Where a shard's page ended early, what other shards have behind that place waits for the next page.
    let mut end: Option<Position> = None;
    for shard in 0..call.platform.shard_count().await? {
        let before = after.map(|after| after.seen_from(shard).to_id()).unwrap_or_default();
        let fleet = rpc::fleet(&call.platform.env, &shard_name(shard))?;
        let page = fleet.quarantine_list(&before, limit + 1).await?;
        let (page, ended_early): (Vec<(u64, i64, Entry)>, bool) =
            json::read(&page).map_err(|_| Problem::new(Code::Internal, "a shard's answer cannot be read"))?;
        for (number, at, entry) in page {
            found.push((Position { at: Time::from_millis(at), shard, number }, entry));
        }
        if ended_early {
            end = end.max(found.last().map(|(position, _)| *position));
        }
    }
    found.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    let more = found.len() > limit || end.is_some();
    found.retain(|(position, _)| end.is_none_or(|end| *position >= end));
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(position, _)| position.to_id());
    let items: Vec<String> = found.iter().map(|(position, entry)| show(*position, entry)).collect();
    Ok(Answer::json(200, list_body("quarantine", &items, next.as_deref())))
}

fn show(position: Position, entry: &Entry) -> String {
    #[derive(Serialize)]
    struct Shown<'a> {
        id: String,
        received_at: String,
        source: &'a str,
        code: &'a str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<&'a str>,
        method: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        query: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<&'a str>,
        body: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        body_encoding: Option<&'static str>,
    }
    let content_type = entry.headers.iter().find(|(name, _)| name == "content-type");
    let shown = Shown {
        id: position.to_id(),
        received_at: entry.at.to_string(),
        source: &entry.source,
        code: &entry.code,
        detail: &entry.detail,
        field: entry.field.as_deref(),
        method: &entry.method,
        query: &entry.query,
        content_type: content_type.map(|(_, value)| value.as_str()),
        body: &entry.body,
        body_encoding: entry.base64.then_some("base64"),
    };
    serde_json::to_string(&shown).unwrap_or_default()
}

/// The entry of exactly this id: what a replay derives from the id must be the same each time.
async fn entry_at(call: &Call<'_>, position: Position) -> Result<(rpc::Fleet, Entry)> {
    let unknown = || Problem::new(Code::UnknownEntry, "take the id from GET /v1/quarantine");
    if position.shard >= call.platform.shard_count().await? {
        return Err(unknown());
    }
    let fleet = rpc::fleet(&call.platform.env, &shard_name(position.shard))?;
    let stored = fleet.quarantine_read(position.number).await?;
    let entry: Entry =
        json::read(&stored).map_err(|_| Problem::new(Code::Internal, "the entry cannot be read back"))?;
    if entry.at != position.at {
        return Err(unknown());
    }
    Ok((fleet, entry))
}

async fn remove(call: &Call<'_>, position: Position) -> Result<Answer> {
    let (fleet, _) = entry_at(call, position).await?;
    fleet.quarantine_remove(position.number).await?;
    Ok(Answer::json(200, r#"{"ok":true}"#))
}

/// Reads the entry again, under today's sources and transforms; with `{"body": "…"}` the caller mends it.
///
/// The entry is removed only once the event is committed. Cut off in between, the next replay finds the
/// event known: an id that is derived here comes from the entry and is the same each time.
async fn replay(call: &Call<'_>, position: Position) -> Result<Answer> {
    let (fleet, entry) = entry_at(call, position).await?;
    let (request, credential) = entry.to_request(mended_body(call)?)?;
    let source = SourceName::parse(&entry.source)?;
    let snapshot = call.platform.snapshot().await?;
    let ingress = Ingress {
        platform: call.platform,
        settings: call.settings.clone(),
        snapshot,
        source: source.clone(),
    };
    let events = Cell::new(0u32);
    let arrival = Arrival {
        request: &request,
        source: &source,
        credential: &credential,
        now: entry.at,
        dedup_window: call.settings.dedup_window * 1000,
        unique: &|| {
            events.set(events.get() + 1);
            format!("quarantine/{}/{}", position.to_id(), events.get())
        },
        is_secret: &|text| ingress.is_secret(text),
    };
    let event = match ingest::read(&arrival)? {
        Ingest::One(event) => *event,
        Ingest::Batch(items) => {
            // Each item is committed now, or kept as an entry of its own; or this one stays, for another time.
            let summary = batch::take_in(&ingress, &request, &credential, items, true).await?;
            if summary.wait.is_none() {
                fleet.quarantine_remove(position.number).await?;
            }
            return Ok(batch::answer(&ingress, call.request, &summary));
        }
    };
    let device = event.device.as_str().to_owned();
    let taken = ingress.one(event).await?;
    fleet.quarantine_remove(position.number).await?;

    #[derive(Serialize)]
    struct Replayed {
        ok: bool,
        coreid: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        duplicate: bool,
    }
    let replayed = Replayed { ok: true, coreid: device, seq: taken.seq, duplicate: taken.seq.is_none() };
    Ok(Answer::json(200, serde_json::to_string(&replayed).unwrap_or_default()))
}

fn mended_body(call: &Call<'_>) -> Result<Option<String>> {
    let text = body_text(call.request)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut properties = Properties::parse(text.as_bytes())?;
    let body = properties.text("body")?;
    properties.finish()?;
    Ok(body)
}
