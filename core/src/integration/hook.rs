//! What a definition says about the request and the answer, in Particle's own JSON, its templates parsed.
//!
//! Not here: which events it is for ([`super::filter`]), and what is done with a secret ([`super::secrets`]). The
//! simulator of the Particle cloud reads its webhooks with this too, so that both understand the same.

use crate::definition::{Properties, bad, document, template};
use crate::json::{self, Members};
use crate::problem::Result;
use crate::template::{Document, Template};
use serde_json::Value;
use serde_json::value::RawValue;

/// A definition's request and what becomes of the answer.
#[derive(Clone)]
pub struct Hook {
    pub url: Template,
    pub method: Method,
    pub payload: Payload,
    /// Whether event, data, published_at and coreid are sent besides.
    pub defaults: bool,
    pub query: Pairs,
    pub headers: Pairs,
    pub auth: Option<Auth>,
    pub response_template: Option<Document>,
    pub response_topic: Option<Template>,
    pub error_topic: Option<Template>,
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
#[derive(Clone)]
pub enum Payload {
    None,
    Form(Pairs),
    /// A JSON object; the defaults are in it already, where they are wanted.
    Json(Document),
    /// JSON written as a string; the defaults go in once it is rendered.
    JsonText(Document),
    Body(Document),
}

#[derive(Clone)]
pub enum Auth {
    Basic { username: Template, password: Template },
    Bearer(Template),
}

impl Method {
    /// Any case, as Particle's own clients write it.
    ///
    /// ```
    /// use fieldhook_core::integration::hook::Method;
    /// assert_eq!(Method::parse("get"), Some(Method::Get));
    /// assert_eq!(Method::parse("PATCH"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "GET" => Some(Method::Get),
            "POST" => Some(Method::Post),
            "PUT" => Some(Method::Put),
            "DELETE" => Some(Method::Delete),
            _ => None,
        }
    }

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

impl Hook {
    /// Takes what is the hook's from a definition's properties. `url` is the name its address goes by, `defaults` says
    /// whether Particle's fields are sent where nothing says `noDefaults`.
    ///
    /// # Errors
    /// `bad-definition` or `bad-template` at the property that cannot be read.
    pub fn read(properties: &mut Properties, url: &str, defaults: bool) -> Result<Self> {
        let defaults = !flag(properties, "noDefaults")?.unwrap_or(false) && defaults;
        let address = properties.text(url)?.ok_or_else(|| bad(url, "is missing"))?;
        let method = match properties.text("requestType")? {
            None => Method::Post,
            Some(text) => {
                Method::parse(&text).ok_or_else(|| bad("requestType", "is one of GET, POST, PUT, DELETE"))?
            }
        };
        Ok(Hook {
            url: template(url, address.trim())?,
            method,
            payload: payload(properties, defaults)?,
            defaults,
            query: pairs(properties, "query")?,
            headers: pairs(properties, "headers")?,
            auth: auth(properties)?,
            response_template: properties
                .take("responseTemplate")
                .map(|value| document("responseTemplate", &value))
                .transpose()?,
            response_topic: text_template(properties, "responseTopic")?,
            error_topic: text_template(properties, "errorResponseTopic")?,
        })
    }
}

/// `event`, or `eventName` as it was once called: "you must have at least one character as the event name"
/// (Particle docs, "Event name").
pub fn event_prefix(properties: &mut Properties) -> Result<String> {
    let (event, old) = (properties.text("event")?, properties.text("eventName")?);
    let event = event.or(old).ok_or_else(|| bad("event", "is missing: a prefix of the events' names"))?;
    match event.is_empty() {
        true => Err(bad("event", "is a prefix of at least one character")),
        false => Ok(event),
    }
}

/// `deviceID`; `mine` and an empty one mean every device of the account, as in older definitions. Particle's own
/// clients write `deviceid` and `deviceId` as well.
pub fn device(properties: &mut Properties) -> Result<Option<String>> {
    let mut found = None;
    for name in ["deviceID", "deviceid", "deviceId"] {
        let device = properties.text(name)?;
        found = found.or(device);
    }
    Ok(found.filter(|id| !id.is_empty() && id != "mine"))
}

/// A property that is `true` or `false`, or says so in a string.
pub fn flag(properties: &mut Properties, name: &str) -> Result<Option<bool>> {
    match properties.take(name).as_deref().map(RawValue::get) {
        None => Ok(None),
        Some("true" | "\"true\"") => Ok(Some(true)),
        Some("false" | "\"false\"") => Ok(Some(false)),
        Some(_) => Err(bad(name, "is true or false")),
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
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            Err(bad("body", "excludes form and json: a definition has one of the three"))
        }
        (Some(_), Some(_), None) => {
            Err(bad("json", "excludes form and body: a definition has one of the three"))
        }
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

/// `{username, password}` as documented, `{user, pass}` and `{bearer}` as particle-api-js describes it.
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
        return json::read(value.get()).map_err(|_| bad(name, "holds a string that is not Unicode"));
    }
    Ok(value.get().to_owned())
}

fn object(name: &str, value: &RawValue) -> Result<Vec<(String, Box<RawValue>)>> {
    let members: Members = json::read(value.get()).map_err(|_| bad(name, "is a JSON object"))?;
    Ok(members.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, field) in [
            ("{}", "url"),
            (r#"{"url":"http://h/","requestType":"PATCH"}"#, "requestType"),
            (r#"{"url":"http://h/","json":{},"body":"x"}"#, "body"),
            (r#"{"url":"http://h/","json":{},"form":{}}"#, "json"),
            (r#"{"url":"http://h/","headers":[]}"#, "headers"),
            (r#"{"url":"{{#x}}"}"#, "url"),
            (r#"{"url":"http://h/","auth":{}}"#, "auth"),
            (r#"{"url":"http://h/","noDefaults":1}"#, "noDefaults"),
        ] {
            let read = Hook::read(&mut Properties::parse(text.as_bytes()).unwrap(), "url", true);
            assert_eq!(read.err().and_then(|problem| problem.field).as_deref(), Some(field), "{text}");
        }
    }

    #[test]
    fn a_device_is_found_under_each_spelling() {
        for (text, expected) in [
            (r#"{"deviceID":"a","deviceid":"b"}"#, Some("a")),
            (r#"{"deviceid":"b"}"#, Some("b")),
            (r#"{"deviceId":"c"}"#, Some("c")),
            (r#"{"deviceID":"mine"}"#, None),
            (r#"{"deviceID":""}"#, None),
        ] {
            let mut properties = Properties::parse(text.as_bytes()).unwrap();
            assert_eq!(device(&mut properties).unwrap().as_deref(), expected, "{text}");
            assert!(properties.finish().is_ok(), "{text}");
        }
    }
}
