//! `POST …/{id}/test`: one event, sent now and shown with its answer. Nothing is kept, nothing is tried again.

use super::{Way, find, own_hosts};
use crate::answer::Answer;
use crate::api::definitions::read_event;
use crate::api::{Call, body_text};
use crate::{fetch, isolate};
use fieldhook_core::delivery::outcome::{Heard, Verdict, judge};
use fieldhook_core::delivery::record::{BODY_MAX, Shown, error_text};
use fieldhook_core::event::Event;
use fieldhook_core::home;
use fieldhook_core::integration::{Listed, Logged, Outgoing, Sending};
use fieldhook_core::json::Members;
use fieldhook_core::log::{Entry, Plan};
use fieldhook_core::problem::Result;
use fieldhook_core::request::{Body, Headers, Request};
use serde::Serialize;

/// What stands in an event that the caller does not name.
const SAMPLE_DEVICE: &str = "0123456789abcdef01234567";
const SAMPLE_DATA: &str = "test";

#[derive(Default, Serialize)]
struct Tried {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Shown>,
}

pub async fn send(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Answer> {
    let listed = Listed::of(find(call, way, id).await?)?;
    let env = &call.platform.env;
    let integration = isolate::integration(env, &listed).await?;
    let row = Entry::new(event(call, &listed)?, Some(Plan::Said(String::new())), false, home::Way::default());
    let logged = Logged {
        seq: 0,
        received_at: call.platform.now,
        event: &row.event,
        data: &row.data,
        details: &row.details,
    };
    let own_hosts = own_hosts(call).await?;
    let rules = call.settings.target_rules(&own_hosts);
    let message_id = integration.message_id(&row.details.coreid, call.platform.now, 0);
    let sending = Sending { message_id: &message_id, now: call.platform.now, replayed: false, rules: &rules };
    let outgoing = match integration.request(&logged, &sending) {
        Ok(outgoing) => outgoing,
        Err(unsendable) => {
            let detail = integration.masking(None).text(&unsendable.detail);
            let error = format!("{}: {detail}", unsendable.name);
            return Ok(shown(&Tried { error: Some(error), ..Tried::default() }));
        }
    };
    let masking = integration.masking(Some(&outgoing));
    let reply = fetch::send(&outgoing, call.settings.delivery_timeout, BODY_MAX).await;
    let status = match &reply.heard {
        Heard::Answer { status, .. } => Some(*status),
        Heard::Failed(_) => None,
    };
    let Outgoing { method, url, headers, body } = &outgoing;
    Ok(shown(&Tried {
        ok: judge(&reply.heard, isolate::now()) == Verdict::Delivered,
        status,
        error: error_text(&reply.heard, integration.host()),
        took_ms: Some(reply.took),
        request: Some(Shown::request(method, url, headers, body.as_deref(), &masking)),
        response: status.map(|_| Shown::response(&reply.headers, &reply.body, reply.truncated, &masking)),
    }))
}

fn shown(tried: &Tried) -> Answer {
    Answer::json(200, serde_json::to_string(tried).unwrap_or_default())
}

/// The event of the body, as `/hook` would read it; what it does not say, a sample does.
fn event(call: &Call<'_>, listed: &Listed) -> Result<Event> {
    let text = body_text(call.request)?;
    let mut members = match Members::parse(text) {
        Some(members) => members,
        None if text.trim().is_empty() => Members::default(),
        None => return read_event(call, call.request),
    };
    let sample = |members: &mut Members, spellings: &[&str], value: &str| {
        if spellings.iter().all(|name| members.get(name).is_none()) {
            members.set(spellings.first().copied().unwrap_or_default(), value);
        }
    };
    let prefix = listed.filter.events.iter().find(|prefix| !prefix.is_empty());
    sample(&mut members, &["event", "name"], prefix.map_or("test", String::as_str));
    sample(&mut members, &["data", "value"], SAMPLE_DATA);
    let device = listed.filter.device.as_deref().unwrap_or(SAMPLE_DEVICE);
    sample(&mut members, &["coreid", "device_id", "deviceID"], device);
    if let Some(product) = &listed.filter.product {
        sample(&mut members, &["product_id", "productID"], product);
    }
    let body = Body::Bytes(members.to_json().into_bytes());
    let headers = Headers::from_pairs([("content-type", "application/json")]);
    read_event(call, &Request { body, headers, ..call.request.clone() })
}
