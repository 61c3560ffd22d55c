//! `/v1/sources` and `/v1/transforms`: definitions by name, and a transform tried out without storing.

use super::{Call, body_text, is_read, list_body, not_allowed};
use crate::answer::Answer;
use crate::isolate::{self, Platform};
use crate::registry::Kind;
use crate::router::not_found;
use crate::rpc;
use fieldhook_core::event::{Event, SourceName, is_name};
use fieldhook_core::history::limit;
use fieldhook_core::ingest::{self, Arrival, Ingest};
use fieldhook_core::json::{self, shown};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::Credential;
use fieldhook_core::proof::access::Scope;
use fieldhook_core::request::{Method, Request};
use fieldhook_core::transform::{Definition, Transform};
use serde::Serialize;
use serde_json::value::RawValue;

pub async fn route(platform: &Platform, request: &Request, kind: Kind, path: &[&str]) -> Result<Answer> {
    let open = |scope| Call::open(platform, request, scope);
    match (request.method, path) {
        (method, []) if is_read(method) => list(&open(Scope::Read)?, kind).await,
        (method, [name]) if is_read(method) => {
            let call = open(Scope::Read)?;
            let shown = rpc::registry(&call.platform.env)?.get(kind.as_str(), checked(name)?).await?;
            Ok(Answer::json(200, shown))
        }
        (Method::Put, [name]) => put(&open(Scope::Admin)?, kind, checked(name)?).await,
        (Method::Delete, [name]) => {
            let call = open(Scope::Admin)?;
            rpc::registry(&call.platform.env)?.remove(kind.as_str(), checked(name)?).await?;
            see_at_once(&call).await;
            Ok(Answer::json(200, r#"{"ok":true}"#))
        }
        (Method::Post, [name, "test"]) if kind == Kind::Transform => {
            try_out(&open(Scope::Read)?, checked(name)?).await
        }
        (_, [_, "test"]) if kind == Kind::Transform => not_allowed("POST"),
        (_, []) => not_allowed("GET, HEAD"),
        (_, [_]) => not_allowed("GET, HEAD, PUT, DELETE"),
        _ => Err(not_found()),
    }
}

fn checked(name: &str) -> Result<&str> {
    if is_name(name) {
        return Ok(name);
    }
    Err(Problem::field(Code::BadDefinition, "name", "a name matches [A-Za-z0-9_.-]{1,64}"))
}

async fn list(call: &Call<'_>, kind: Kind) -> Result<Answer> {
    let limit = limit(call.request)?;
    let after = call.request.query_value("after").unwrap_or_default();
    let text = rpc::registry(&call.platform.env)?.list(kind.as_str(), &after, limit + 1).await?;
    let items: Vec<(String, Box<RawValue>)> = json::read(&text)
        .map_err(|_| Problem::new(Code::Internal, "the registry's answer cannot be read"))?;
    let more = items.len() > limit;
    let next = items.iter().take(limit).next_back().filter(|_| more).map(|(name, _)| name.clone());
    let shown: Vec<String> = items.iter().take(limit).map(|(_, item)| item.get().to_owned()).collect();
    Ok(Answer::json(200, list_body(kind.as_str(), &shown, next.as_deref())))
}

/// 201 where it was made, 200 where it was replaced. This isolate sees it at once, others within 10 s.
async fn put(call: &Call<'_>, kind: Kind, name: &str) -> Result<Answer> {
    let stored =
        rpc::registry(&call.platform.env)?.put(kind.as_str(), name, body_text(call.request)?).await?;
    see_at_once(call).await;
    let (status, shown) = match (stored.strip_prefix('1'), stored.strip_prefix('0')) {
        (Some(shown), _) => (201, shown),
        (_, Some(shown)) => (200, shown),
        _ => return Err(Problem::new(Code::Internal, "the registry's answer cannot be read")),
    };
    Ok(Answer::json(status, shown))
}

/// The isolate that wrote sees what it wrote. It is stored: a refresh that fails takes nothing back, and is
/// logged where it fails.
async fn see_at_once(call: &Call<'_>) {
    let _ = isolate::refresh(&call.platform.env).await;
}

/// Renders an event, given as `/hook` takes one, through one transform; nothing is stored.
async fn try_out(call: &Call<'_>, name: &str) -> Result<Answer> {
    let stored = rpc::registry(&call.platform.env)?.get(Kind::Transform.as_str(), name).await?;
    let transform = Transform::compile(name, &Definition::read(stored.as_bytes())?)?;
    let event = read_event(call, call.request)?;
    let matched = transform.matches(&event.name);
    let event = if matched { transform.apply(event) } else { event };

    #[derive(Serialize)]
    struct Tried {
        matched: bool,
        event: String,
        data: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        raw: Option<Box<RawValue>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        transform_error: Option<String>,
    }
    let tried = Tried {
        matched,
        event: event.name.as_str().to_owned(),
        data: shown(&event.data),
        raw: event.raw.as_deref().map(shown),
        transform_error: event.transform_error,
    };
    Ok(Answer::json(200, serde_json::to_string(&tried).unwrap_or_default()))
}

/// One event, as `/hook` reads it, for trying something out.
pub fn read_event(call: &Call<'_>, request: &Request) -> Result<Event> {
    let arrival = Arrival {
        request,
        source: &SourceName::default(),
        credential: &Credential { token: true, signed: None },
        now: call.platform.now,
        dedup_window: i64::MAX,
        unique: &String::new,
        is_secret: &|_| false,
    };
    match ingest::read(&arrival)? {
        Ingest::One(event) => Ok(*event),
        Ingest::Batch(_) => Err(Problem::new(Code::BadBody, "one event is tried at a time")),
    }
}
