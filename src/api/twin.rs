//! `/v1/devices/{id}/twin` and `/v1/devices/{id}/commands`: what applications want of a device.

use super::{Call, body_text};
use crate::answer::Answer;
use crate::rpc;
use fieldhook_core::canonical::whole;
use fieldhook_core::event::DeviceId;
use fieldhook_core::history::limit;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::request::Request;

/// `read`, `patch` or `put`. The body is the desired section itself; the ETag is its version only.
pub async fn twin(call: &Call<'_>, device: &DeviceId, operation: &str) -> Result<Answer> {
    let (body, if_match) = match operation {
        "read" => ("", None),
        _ => (body_text(call.request)?, if_match(call.request)?),
    };
    let device = rpc::device(&call.platform.env, device.as_str());
    let (version, twin) = device.twin(operation, body, if_match).await?;
    Ok(Answer::json(200, twin).with("etag", &format!("\"{version}\"")))
}

pub async fn list(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    let limit = limit(call.request)?;
    let after = match call.request.query_value("after") {
        None => 0,
        Some(text) => whole(&text).ok_or_else(|| {
            Problem::field(Code::BadCursor, "after", "take the cursor from `next` of the page before")
        })?,
    };
    send(call, device, "list", &format!("{after} {limit}"), 200).await
}

pub async fn create(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    send(call, device, "create", body_text(call.request)?, 201).await
}

pub async fn replace(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    send(call, device, "replace", body_text(call.request)?, 200).await
}

pub async fn clear(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    send(call, device, "clear", "", 200).await
}

pub async fn cancel(call: &Call<'_>, device: &DeviceId, id: &str) -> Result<Answer> {
    if whole(id).is_none() {
        return Err(Problem::new(Code::UnknownCommand, "a command's id is a number"));
    }
    send(call, device, "cancel", id, 200).await
}

async fn send(
    call: &Call<'_>,
    device: &DeviceId,
    operation: &str,
    body: &str,
    status: u16,
) -> Result<Answer> {
    let answer = rpc::device(&call.platform.env, device.as_str()).commands(operation, body).await?;
    Ok(Answer::json(status, answer))
}

/// The version that a writer has seen: `If-Match: "17"` (RFC 9110, 13.1.1). `*` and none match any; a `W/` is passed
/// over, since proxies that compress make an ETag weak.
fn if_match(request: &Request) -> Result<Option<u64>> {
    let Some(text) = request.headers.get("if-match") else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(whole);
    version.map(Some).ok_or_else(|| {
        Problem::field(Code::BadQuery, "if-match", "If-Match holds the ETag of a twin, such as \"17\"")
    })
}
