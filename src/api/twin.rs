//! `/v1/devices/{id}/twin` and `/v1/devices/{id}/commands`: what applications want of a device.

use super::{Call, body_text};
use crate::answer::Answer;
use crate::rpc;
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
        Some(text) => text.parse::<u64>().map_err(|_| {
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
    if id.parse::<u64>().is_err() {
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

/// The version that a writer has seen: `If-Match: "17"` (RFC 9110, 13.1.1). `*` and none match any.
fn if_match(request: &Request) -> Result<Option<u64>> {
    let Some(text) = request.headers.get("if-match") else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_start_matches("W/").trim_matches('"').parse();
    version.map(Some).map_err(|_| {
        Problem::field(Code::BadQuery, "if-match", "If-Match holds the ETag of a twin, such as \"17\"")
    })
}
