//! How integrations are shown: in Particle's shapes (PARTICLE.md, "Streams and REST"), and as subscriptions.
//!
//! What a caller sent is shown as it was sent, in its order, secrets masked; what fieldhook knows of it stands in front.

use super::stored::{Face, Stored};
use crate::json::Members;

/// The answer to POST and PUT. `origin` is the one that was called.
pub fn created(stored: &Stored, origin: &str) -> Members {
    let summary = summary(stored);
    let mut shown = Members::default();
    shown.set("ok", &true);
    shown.set("id", &stored.id);
    shown.set("url", &summary.text("url").unwrap_or_default());
    let event = summary.text("event").unwrap_or_default();
    shown.set("event", &event);
    shown.set("name", &summary.text("name").unwrap_or(event));
    shown.set("created_at", &stored.created_at.to_string());
    shown.set("hookUrl", &format!("{origin}/v1/webhooks/{}", stored.id));
    add_status(&mut shown, stored);
    shown
}

/// One of a list.
pub fn line(stored: &Stored) -> Members {
    let mut shown = summary(stored);
    add_status(&mut shown, stored);
    shown
}

/// The whole of it, so that it can be copied elsewhere, or changed and sent back.
pub fn whole(stored: &Stored) -> Members {
    let mut definition = Members::parse(stored.definition.get()).unwrap_or_default();
    // As it is, not as it was sent: what is sent back must not resume what is paused.
    if stored.face == Face::Integration && (stored.paused.is_some() || definition.get("disabled").is_some()) {
        definition.set("disabled", &stored.paused.is_some());
    }
    let mut shown = Members::default();
    shown.set("id", &stored.id);
    shown.set("created_at", &stored.created_at.to_string());
    shown.set("updated_at", &stored.updated_at.to_string());
    add_status(&mut shown, stored);
    shown.with_rest(definition)
}

fn add_status(shown: &mut Members, stored: &Stored) {
    shown.set("status", if stored.paused.is_some() { "paused" } else { "active" });
    if let Some(paused) = &stored.paused {
        let mut why = Members::default();
        why.set("reason", &paused.reason);
        why.set("at", &paused.at.to_string());
        shown.set("paused", &why);
    }
    if let Some(product) = &stored.product {
        shown.set("product", product);
    }
    let url = summary(stored).text("url").unwrap_or_default();
    if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")) {
        shown.set("insecure", &true);
    }
}

/// As Particle lists it. What cannot be read is still listed, so that it can be deleted.
fn summary(stored: &Stored) -> Members {
    let unreadable = || {
        let mut members = Members::default();
        members.set("id", &stored.id);
        for (name, value) in [("event", ""), ("url", ""), ("requestType", "POST")] {
            members.set(name, value);
        }
        members.set("created_at", &stored.created_at.to_string());
        members
    };
    let summary = stored.summary().ok().and_then(|summary| serde_json::to_string(&summary).ok());
    summary.and_then(|json| Members::parse(&json)).unwrap_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn stored(face: &str, definition: &str) -> Stored {
        let text = format!(
            r#"{{"id":"a1","created_at":0,"updated_at":1000,"face":"{face}","definition":{definition},"from":5}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_definition_is_shown_as_it_was_sent_behind_what_is_known_of_it() {
        let stored =
            stored("integration", r#"{"url":"http://x.dev/","eventName":"t","id":"theirs","odd":1.50}"#);
        assert_eq!(
            whole(&stored).to_json(),
            r#"{"id":"a1","created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:01.000Z","status":"active","insecure":true,"url":"http://x.dev/","eventName":"t","odd":1.50}"#
        );
        assert_eq!(
            line(&stored).to_json(),
            r#"{"id":"a1","event":"t","created_at":"1970-01-01T00:00:00.000Z","url":"http://x.dev/","requestType":"POST","status":"active","insecure":true}"#
        );
    }

    #[test]
    fn whether_it_is_disabled_is_said_as_it_is_and_not_as_it_was_sent() {
        let mut stored = stored("integration", r#"{"disabled":true,"event":"t","url":"https://x.dev/"}"#);
        assert_eq!(whole(&stored).get("disabled").map(RawValue::get), Some("false"));
        stored.pause(super::super::stored::Reason::Disabled, stored.from);
        assert_eq!(whole(&stored).get("disabled").map(RawValue::get), Some("true"));
        assert_eq!(line(&stored).get("disabled").map(RawValue::get), Some("true"));
    }

    #[test]
    fn a_subscription_has_an_event_and_a_url_for_those_who_read_integrations() {
        let stored = stored("subscription", r#"{"events":["a","b"],"target_url":"https://x.dev/h"}"#);
        let line = line(&stored);
        assert_eq!(
            (line.text("event"), line.text("url")),
            (Some("a".into()), Some("https://x.dev/h".into()))
        );
    }
}
