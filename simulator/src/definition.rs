//! A webhook's definition in Particle's own JSON.
//!
//! What it says about the request and the answer is read by the code that fieldhook's own integrations use
//! ([`fieldhook_core::integration::hook`]). Properties that only concern Particle's console (`name`, `id`,
//! `created_at`) are passed over: a definition that was exported works as it is.

use fieldhook_core::definition::Properties;
use fieldhook_core::integration::hook::{Hook, device, event_prefix, flag};
use fieldhook_core::problem::Result;
use serde_json::Value;
use std::fmt;

/// What `particle/` asks its user to replace: the prefix and the token. The URL is `--url`.
const PLACEHOLDERS: [&str; 2] = ["YOUR-EVENT-PREFIX", "YOUR-INGEST-TOKEN"];

/// A webhook.
pub struct Webhook {
    /// The webhook is for events whose name starts with this.
    pub event: String,
    /// Only for this device.
    pub device: Option<String>,
    pub disabled: bool,
    /// Whether the server's certificate is checked.
    pub verify: bool,
    pub hook: Hook,
}

/// Why an event goes to no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    Disabled,
    Prefix,
    Device,
}

impl Webhook {
    /// # Errors
    /// The property that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self> {
        let mut properties = Properties::parse(text.as_bytes())?;
        Ok(Webhook {
            event: event_prefix(&mut properties)?,
            hook: Hook::read(&mut properties, "url", true)?,
            device: device(&mut properties)?,
            disabled: flag(&mut properties, "disabled")?.unwrap_or(false),
            verify: flag(&mut properties, "rejectUnauthorized")?.unwrap_or(true),
        })
    }

    /// Whether the webhook is for this event.
    ///
    /// # Errors
    /// Why it is not.
    pub fn matches(&self, event: &str, device: &str) -> std::result::Result<(), Unmatched> {
        if self.disabled {
            return Err(Unmatched::Disabled);
        }
        if !event.starts_with(&self.event) {
            return Err(Unmatched::Prefix);
        }
        match &self.device {
            Some(only) if only != device => Err(Unmatched::Device),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unmatched::Disabled => "the webhook is disabled",
            Unmatched::Prefix => "the event's name does not start with the webhook's event prefix",
            Unmatched::Device => "the webhook is for another device (deviceID)",
        })
    }
}

/// Fills in what the definitions in `particle/` leave to their user, so that they can be tried unedited.
pub fn fill_placeholders(text: &str, prefix: &str, token: Option<&str>) -> String {
    let [event_place, token_place] = PLACEHOLDERS;
    let quoted = |text: &str| {
        let json = Value::from(text).to_string();
        json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned()
    };
    let text = text.replace(event_place, &quoted(prefix));
    match token {
        Some(token) => text.replace(token_place, &quoted(token)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_to_match_prefix_device_and_switch() {
        let hook = Webhook::parse(r#"{"event":"temp","url":"http://h/","deviceID":"a"}"#).unwrap();
        assert_eq!(hook.matches("temperature", "a"), Ok(()));
        assert_eq!(hook.matches("Temp", "a"), Err(Unmatched::Prefix));
        assert_eq!(hook.matches("temp", "b"), Err(Unmatched::Device));
        let hook = Webhook::parse(r#"{"eventName":"t","url":"http://h/","disabled":true}"#).unwrap();
        assert_eq!(hook.matches("t", "a"), Err(Unmatched::Disabled));
    }

    #[test]
    fn the_definitions_to_paste_are_read_as_they_are() {
        for text in [
            include_str!("../../particle/integration.json"),
            include_str!("../../particle/integration-text.json"),
        ] {
            let hook = Webhook::parse(&fill_placeholders(text, "te\"mp", Some("tok"))).unwrap();
            assert_eq!(hook.event, "te\"mp");
            assert!(!hook.hook.defaults && hook.verify && hook.hook.response_topic.is_some());
        }
    }
}
