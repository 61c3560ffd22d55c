//! A webhook's definition in Particle's own JSON, read and its templates parsed.
//!
//! Properties that only concern Particle's console (`name`, `id`, `created_at`) are passed over: a definition
//! that was exported works as it is.

use fieldhook_core::definition::{Properties, bad, document, template};
use fieldhook_core::problem::Result;
use fieldhook_core::template::{Document, Template};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// What `particle/` asks its user to replace: the prefix and the token. The URL is `--url`.
const PLACEHOLDERS: [&str; 2] = ["YOUR-EVENT-PREFIX", "YOUR-INGEST-TOKEN"];

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    /// The webhook is for events whose name starts with this.
    pub event: String,
    pub url: Template,
    pub method: Method,
    pub payload: Payload,
    /// Whether event, data, published_at and coreid are sent besides.
    pub defaults: bool,
    pub query: Pairs,
    pub headers: Pairs,
    pub auth: Option<Auth>,
    /// Only for this device.
    pub device: Option<String>,
    pub disabled: bool,
    pub response_template: Option<Document>,
    pub response_topic: Option<Template>,
    pub error_topic: Option<Template>,
    /// Whether the server's certificate is checked.
    pub verify: bool,
}

/// Names and values in the order they were written in, both templates.
pub type Pairs = Vec<(Template, Template)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// What the request says besides the defaults. `form`, `json` and `body` exclude one another.
#[derive(Debug)]
pub enum Payload {
    None,
    Form(Pairs),
    /// A JSON object; the defaults are in it already, where they are wanted.
    Json(Document),
    /// JSON written as a string; the defaults go in once it is rendered.
    JsonText(Document),
    Body(Document),
}

#[derive(Debug)]
pub enum Auth {
    Basic { username: Template, password: Template },
    Bearer(Template),
}

/// Why an event goes to no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    Disabled,
    Prefix,
    Device,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }

    /// "GET and DELETE do not have a request body" (Particle docs, "Request Format").
    pub fn has_body(self) -> bool {
        matches!(self, Method::Post | Method::Put)
    }
}

impl Webhook {
    /// # Errors
    /// The property that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self> {
        let mut properties = Properties::parse(text.as_bytes())?;
        let event = match properties.text("event")? {
            Some(event) => event,
            None => properties.text("eventName")?.unwrap_or_default(),
        };
        if event.is_empty() {
            return Err(bad("event", "is a prefix of at least one character"));
        }
        let defaults = !flag(&mut properties, "noDefaults")?.unwrap_or(false);
        let url = properties.text("url")?.ok_or_else(|| bad("url", "is missing"))?;
        let method = match properties.text("requestType")?.as_deref().map(str::to_ascii_uppercase).as_deref()
        {
            None | Some("POST") => Method::Post,
            Some("GET") => Method::Get,
            Some("PUT") => Method::Put,
            Some("DELETE") => Method::Delete,
            Some(_) => return Err(bad("requestType", "is one of GET, POST, PUT, DELETE")),
        };
        Ok(Webhook {
            event,
            url: template("url", &url)?,
            method,
            payload: payload(&mut properties, defaults)?,
            defaults,
            query: pairs(&mut properties, "query")?,
            headers: pairs(&mut properties, "headers")?,
            auth: auth(&mut properties)?,
            device: device(&mut properties)?,
            disabled: flag(&mut properties, "disabled")?.unwrap_or(false),
            response_template: properties
                .take("responseTemplate")
                .map(|value| document("responseTemplate", &value))
                .transpose()?,
            response_topic: text_template(&mut properties, "responseTopic")?,
            error_topic: text_template(&mut properties, "errorResponseTopic")?,
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

fn payload(properties: &mut Properties, defaults: bool) -> Result<Payload> {
    let (form, json, body) = (properties.take("form"), properties.take("json"), properties.take("body"));
    match (form, json, body) {
        (None, None, None) => Ok(Payload::None),
        (Some(form), None, None) => Ok(Payload::Form(read_pairs("form", &form)?)),
        (None, Some(json), None) if json.get().starts_with('{') && defaults => {
            let members = DEFAULT_TEMPLATES.iter().map(|member| (*member).to_owned());
            let custom = object("json", &json)?;
            let custom =
                custom.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), value.get()));
            let whole = format!("{{{}}}", members.chain(custom).collect::<Vec<_>>().join(","));
            let whole = RawValue::from_string(whole).map_err(|_| bad("json", "cannot be read"))?;
            Ok(Payload::Json(document("json", &whole)?))
        }
        (None, Some(json), None) if json.get().starts_with('"') => {
            Ok(Payload::JsonText(document("json", &json)?))
        }
        (None, Some(json), None) => Ok(Payload::Json(document("json", &json)?)),
        (None, None, Some(body)) => Ok(Payload::Body(document("body", &body)?)),
        _ => Err(bad("json", "excludes form and body: a webhook has one of the three")),
    }
}

/// The defaults as members of a JSON object, in the order of the documented form. The reference gives them
/// as these templates ("Default data").
const DEFAULT_TEMPLATES: [&str; 4] = [
    r#""event":"{{{PARTICLE_EVENT_NAME}}}""#,
    r#""data":"{{{PARTICLE_EVENT_VALUE}}}""#,
    r#""published_at":"{{{PARTICLE_PUBLISHED_AT}}}""#,
    r#""coreid":"{{{PARTICLE_DEVICE_ID}}}""#,
];

fn auth(properties: &mut Properties) -> Result<Option<Auth>> {
    let Some(value) = properties.take("auth") else { return Ok(None) };
    let entries = object("auth", &value)?;
    let find = |names: [&str; 2]| {
        let found = entries.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| scalar("auth", value).and_then(|text| template("auth", &text))).transpose()
    };
    if let Some(bearer) = find(["bearer", "bearer"])? {
        return Ok(Some(Auth::Bearer(bearer)));
    }
    let username = find(["username", "user"])?;
    let password = find(["password", "pass"])?;
    let empty = || template("auth", "");
    match username {
        None => Err(bad("auth", "has username and password, user and pass, or bearer")),
        Some(username) => Ok(Some(Auth::Basic { username, password: password.map_or_else(empty, Ok)? })),
    }
}

/// `deviceID`; `mine` and an empty one mean every device of the account, as in older definitions.
fn device(properties: &mut Properties) -> Result<Option<String>> {
    let first = properties.text("deviceID")?;
    let other = properties.text("deviceid")?;
    Ok(first.or(other).filter(|id| !id.is_empty() && id != "mine"))
}

fn flag(properties: &mut Properties, name: &str) -> Result<Option<bool>> {
    match properties.take(name).as_deref().map(RawValue::get) {
        None => Ok(None),
        Some("true" | "\"true\"") => Ok(Some(true)),
        Some("false" | "\"false\"") => Ok(Some(false)),
        Some(_) => Err(bad(name, "is true or false")),
    }
}

fn text_template(properties: &mut Properties, name: &str) -> Result<Option<Template>> {
    let text = properties.text(name)?.filter(|text| !text.is_empty());
    text.map(|text| template(name, &text)).transpose()
}

fn pairs(properties: &mut Properties, name: &str) -> Result<Pairs> {
    properties.take(name).map_or_else(|| Ok(Vec::new()), |value| read_pairs(name, &value))
}

fn read_pairs(name: &str, value: &RawValue) -> Result<Pairs> {
    let entries = object(name, value)?;
    let entries = entries.iter().filter(|(_, value)| value.get() != "null");
    entries.map(|(key, value)| Ok((template(name, key)?, template(name, &scalar(name, value)?)?))).collect()
}

/// A string decoded; anything else as it was written.
fn scalar(name: &str, value: &RawValue) -> Result<String> {
    if value.get().starts_with('"') {
        return serde_json::from_str(value.get())
            .map_err(|_| bad(name, "holds a string that is not Unicode"));
    }
    Ok(value.get().to_owned())
}

fn object(name: &str, value: &RawValue) -> Result<Vec<(String, Box<RawValue>)>> {
    let members: Members = serde_json::from_str(value.get()).map_err(|_| bad(name, "is a JSON object"))?;
    Ok(members.0)
}

/// The members of a JSON object in their order, values still text.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
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
    fn what_cannot_be_read_is_named() {
        for (text, field) in [
            (r#"{"url":"http://h/"}"#, "event"),
            (r#"{"event":"t"}"#, "url"),
            (r#"{"event":"t","url":"http://h/","requestType":"PATCH"}"#, "requestType"),
            (r#"{"event":"t","url":"http://h/","json":{},"body":"x"}"#, "json"),
            (r#"{"event":"t","url":"http://h/","headers":[]}"#, "headers"),
            (r#"{"event":"t","url":"{{#x}}"}"#, "url"),
            (r#"{"event":"t","url":"http://h/","auth":{}}"#, "auth"),
            (r#"{"event":"t","url":"http://h/","noDefaults":1}"#, "noDefaults"),
        ] {
            assert_eq!(Webhook::parse(text).unwrap_err().field.as_deref(), Some(field), "{text}");
        }
    }

    #[test]
    fn the_definitions_to_paste_are_read_as_they_are() {
        for text in [
            include_str!("../../particle/integration.json"),
            include_str!("../../particle/integration-text.json"),
        ] {
            let hook = Webhook::parse(&fill_placeholders(text, "te\"mp", Some("tok"))).unwrap();
            assert_eq!(hook.event, "te\"mp");
            assert!(!hook.defaults && hook.verify && hook.response_topic.is_some());
        }
    }
}
