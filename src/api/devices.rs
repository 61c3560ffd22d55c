//! `/v1/devices`: which there are, what each last said, and its log.

use super::{Call, is_read, next_link, not_allowed, publish, series, twin};
use crate::answer::Answer;
use crate::isolate::Platform;
use crate::router::not_found;
use crate::{export, rpc};
use fieldhook_core::event::DeviceId;
use fieldhook_core::fleet::index::{Filter, Page as Devices};
use fieldhook_core::fleet::shard_name;
use fieldhook_core::history::{LIMIT_MAX, Page, Query, limit};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::access::Scope;
use fieldhook_core::request::{Method, Request};

pub async fn route(platform: &Platform, request: &Request, path: &[&str]) -> Result<Answer> {
    let open = |scope| Call::open(platform, request, scope);
    match (request.method, path) {
        (method, []) if is_read(method) => list(&open(Scope::Read)?).await,
        (Method::Post, ["events"]) => publish::publish(&open(Scope::Admin)?, None).await,
        (_, ["events"]) => not_allowed("GET, HEAD, POST"),
        (method, [id]) if is_read(method) => describe(&open(Scope::Read)?, &device_id(id)?).await,
        (Method::Delete, [id]) => delete(&open(Scope::Admin)?, &device_id(id)?).await,
        (method, [id, "history"]) if is_read(method) => history(&open(Scope::Read)?, &device_id(id)?).await,
        (method, [id, "series"]) if is_read(method) => {
            series::show(&open(Scope::Read)?, &device_id(id)?).await
        }
        (method, [id, "twin"]) if is_read(method) => {
            twin::twin(&open(Scope::Read)?, &own_id(id)?, "read").await
        }
        (Method::Patch, [id, "twin"]) => twin::twin(&open(Scope::Admin)?, &own_id(id)?, "patch").await,
        (Method::Put, [id, "twin"]) => twin::twin(&open(Scope::Admin)?, &own_id(id)?, "put").await,
        (method, [id, "commands"]) if is_read(method) => twin::list(&open(Scope::Read)?, &own_id(id)?).await,
        (Method::Post, [id, "commands"]) => twin::create(&open(Scope::Admin)?, &own_id(id)?).await,
        (Method::Put, [id, "commands"]) => twin::replace(&open(Scope::Admin)?, &own_id(id)?).await,
        (Method::Delete, [id, "commands"]) => twin::clear(&open(Scope::Admin)?, &own_id(id)?).await,
        (Method::Delete, [id, "commands", command]) => {
            twin::cancel(&open(Scope::Admin)?, &own_id(id)?, command).await
        }
        (_, [] | [_, "history" | "series"]) => not_allowed("GET, HEAD"),
        (_, [_, "twin"]) => not_allowed("GET, HEAD, PATCH, PUT"),
        (_, [_, "commands"]) => not_allowed("GET, HEAD, POST, PUT, DELETE"),
        (_, [_, "commands", _]) => not_allowed("DELETE"),
        (_, [_]) => not_allowed("GET, HEAD, DELETE"),
        _ => Err(not_found()),
    }
}

/// In a path, an id that could be no device's is one that is unknown.
fn device_id(text: &str) -> Result<DeviceId> {
    DeviceId::parse_any(text)
        .map_err(|_| Problem::new(Code::UnknownDevice, "no device can have this id; see `coreid`"))
}

/// A source that stands in for a device has no twin and no commands.
fn own_id(text: &str) -> Result<DeviceId> {
    DeviceId::parse(text)
        .map_err(|_| Problem::new(Code::UnknownDevice, "no device can have this id; see `coreid`"))
}

/// A bare array, as on Particle; the next page is in `Link`.
async fn list(call: &Call<'_>) -> Result<Answer> {
    let limit = match call.request.query_value("limit") {
        Some(_) => limit(call.request)?,
        None => LIMIT_MAX,
    };
    let filter = Filter::read(call.request)?;
    let after = call.request.query_value("after").unwrap_or_default();
    let mut devices: Devices = Vec::new();
    for shard in 0..call.platform.shard_count().await? {
        devices.extend(
            rpc::fleet(&call.platform.env, &shard_name(shard))?.devices(&after, limit + 1, &filter).await?,
        );
    }
    devices.sort_by(|(a, _), (b, _)| a.cmp(b));
    // On its way from one shard to another, a device stands in both for a moment.
    devices.dedup_by(|(a, _), (b, _)| a == b);
    let more = devices.len() > limit;
    devices.truncate(limit);
    let next = more.then(|| devices.last().map(|(id, _)| id.clone())).flatten();
    let shown: Vec<&str> = devices.iter().map(|(_, shown)| shown.get()).collect();
    let answer = Answer::json(200, format!("[{}]", shown.join(",")));
    Ok(match next {
        Some(next) => answer.with("link", &next_link(call.request, &next)),
        None => answer,
    })
}

async fn describe(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    Ok(Answer::json(200, rpc::device(&call.platform.env, device.as_str()).describe().await?))
}

/// A page; as JSON Lines or CSV without a limit, the whole log.
async fn history(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    let query = Query::read(call.request)?;
    let page = export::page(&call.platform.env, device.as_str(), &query).await?;
    let content_type = query.format.content_type();
    Ok(match page {
        Page { body, next: None } => Answer::text(200, content_type, body),
        // Told nothing else, the runtime would read all of it and send none.
        _ if query.whole && call.request.method == Method::Head => {
            Answer::empty(200).with("content-type", content_type)
        }
        page if query.whole => {
            Answer::stream(200, content_type, export::stream(&call.platform.env, device, query, page))
        }
        Page { body, next: Some(next) } => {
            Answer::text(200, content_type, body).with("link", &next_link(call.request, &next))
        }
    })
}

/// The device's own object first, then every shard that may have a part of its log. Cut off between the two,
/// the same call finishes the work: what is gone already is no error.
async fn delete(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    let env = &call.platform.env;
    let born = rpc::device(env, device.as_str()).forget().await?;
    let mut listed = false;
    for shard in 0..call.platform.shard_count().await? {
        listed |=
            rpc::fleet(env, &shard_name(shard))?.forget(device.as_str(), born.unwrap_or(ANY_LIFE)).await?;
    }
    if born.is_none() && !listed {
        return Err(Problem::new(Code::UnknownDevice, "no event of this device has been accepted"));
    }
    Ok(Answer::json(200, r#"{"ok":true}"#))
}

/// Later than any life of a device began.
const ANY_LIFE: i64 = (1 << 53) - 1;
