//! The RESThooks face of an integration: `events`, `target_url`, `status`, `handshake`, and the body that is its default
//! (DESIGN.md, "Integrations: the way out").

use super::hook::Method;
use super::logged::Logged;
use super::request::{Outgoing, USER_AGENT};
use crate::definition::{Properties, bad};
use crate::event::NAME_MAX;
use crate::json;
use crate::problem::Result;
use crate::target::Target;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;

/// The most prefixes of one subscription.
const EVENTS_MAX: usize = 50;
/// Stands for every event. Particle has no such thing; a service that subscribes to all of a fleet needs it.
const EVERY: &str = "*";

/// Carries the secret there and back (RESThooks, "Immediate confirmation"; X-Hook-Secret).
pub const HANDSHAKE_HEADER: &str = "x-hook-secret";

/// `events`, or `event`: a prefix or a list of them.
pub(super) fn events(properties: &mut Properties) -> Result<Vec<String>> {
    let (events, event) = (properties.take("events"), properties.take("event"));
    let given =
        events.or(event).ok_or_else(|| bad("events", "is missing: a prefix of events' names, or a list"))?;
    let why = || bad("events", &format!("is a prefix of 1 to {NAME_MAX} characters, or a list of them"));
    let events = match given.get().starts_with('[') {
        true => json::read::<Vec<String>>(given.get()).map_err(|_| why())?,
        false => vec![json::read::<String>(given.get()).map_err(|_| why())?],
    };
    if events.is_empty() || events.len() > EVENTS_MAX {
        return Err(bad("events", &format!("has 1 to {EVENTS_MAX} prefixes")));
    }
    let is_prefix = |text: &String| (1..=NAME_MAX).contains(&text.chars().count());
    if !events.iter().all(is_prefix) {
        return Err(why());
    }
    Ok(events.into_iter().map(|event| if event == EVERY { String::new() } else { event }).collect())
}

/// Whether `status` says paused.
pub(super) fn is_paused(properties: &mut Properties) -> Result<bool> {
    match properties.text("status")?.as_deref() {
        None | Some("active") => Ok(false),
        Some("paused") => Ok(true),
        Some(_) => Err(bad("status", "is active or paused")),
    }
}

/// The default body (Standard Webhooks, "Payload structure"): what happened, when, and the event as readers see it.
pub(super) fn payload(event: &Logged<'_>) -> String {
    #[derive(Serialize)]
    struct Payload<'a> {
        r#type: &'a str,
        timestamp: String,
        data: crate::log::View,
    }
    let timestamp = event.received_at.to_string();
    let payload = Payload { r#type: event.event, timestamp, data: event.view() };
    serde_json::to_string(&payload).unwrap_or_default()
}

/// An empty POST with the secret.
pub(super) fn handshake(target: Target, secret: String) -> Outgoing {
    let headers = [("user-agent", USER_AGENT.to_owned()), (HANDSHAKE_HEADER, secret)];
    Outgoing {
        method: Method::Post.as_str(),
        url: target.url,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body: Some(String::new()),
    }
}

/// Whether the answer to a handshake has the secret that was sent.
///
/// ```
/// use fieldhook_core::integration::subscription::is_shaken;
/// assert!(is_shaken(204, Some("whsec_x"), "whsec_x"));
/// assert!(!is_shaken(204, None, "whsec_x") && !is_shaken(404, Some("whsec_x"), "whsec_x"));
/// ```
pub fn is_shaken(status: u16, echoed: Option<&str>, secret: &str) -> bool {
    let same = echoed.is_some_and(|text| bool::from(text.trim().as_bytes().ct_eq(secret.as_bytes())));
    (200..300).contains(&status) && same
}

/// A definition's members with the secret that was made for it.
pub(super) fn with_secret(members: &mut Vec<(String, Box<RawValue>)>, secret: &str) {
    members.retain(|(name, _)| name != "secret");
    if let Ok(value) = RawValue::from_string(Value::from(secret).to_string()) {
        members.push(("secret".to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        events(&mut Properties::parse(text.as_bytes()).unwrap()).ok()
    }

    #[test]
    fn events_are_a_prefix_or_a_list() {
        let one = Some(vec!["temp".to_owned()]);
        assert_eq!(read(r#"{"events":"temp"}"#), one);
        assert_eq!(read(r#"{"event":"temp"}"#), one);
        assert_eq!(read(r#"{"events":["temp","door/"]}"#).unwrap().len(), 2);
        assert_eq!(read(r#"{"events":["*"]}"#), Some(vec![String::new()]));
        for text in ["{}", r#"{"events":[]}"#, r#"{"events":[""]}"#, r#"{"events":[1]}"#, r#"{"events":{}}"#]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
