//! The fields of a body or a query, by name, with what was used marked: the rest is the event's `extra`.

use crate::json;
use crate::problem::{Code, Problem, Result};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::Cell;
use std::fmt;

/// Named values in the order they came; of two with one name the first counts.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    name: String,
    value: Value<'a>,
    used: Cell<bool>,
}

/// A value as it came.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Exact JSON text: digits, spacing and key order as sent.
    Json(&'a RawValue),
    Text(String),
}

impl<'a> Fields<'a> {
    /// The top level of a JSON object. Values are not looked into, so depth costs nothing.
    pub fn from_json(text: &'a str) -> std::result::Result<Self, serde_json::Error> {
        json::read(text)
    }

    /// A urlencoded form or query.
    ///
    /// # Errors
    /// `bad-body` for more fields than an event can mean.
    pub fn from_form(bytes: &[u8]) -> Result<Self> {
        let pairs = form_urlencoded::parse(bytes).take(MAX_FIELDS + 1);
        let entry = |name, value| Entry { name, value: Value::Text(value), used: Cell::new(false) };
        let entries: Vec<_> =
            pairs.map(|(name, value)| entry(name.into_owned(), value.into_owned())).collect();
        if entries.len() > MAX_FIELDS {
            return Err(Problem::new(Code::BadBody, format!("more than {MAX_FIELDS} fields")));
        }
        Ok(Fields { entries })
    }

    /// The first of these spellings that is there, in the order of the spellings. `null` counts as absent.
    pub fn find(&self, spellings: &[&str]) -> Option<&Value<'a>> {
        let found = self.matching(spellings).find(|entry| {
            entry.used.set(true);
            !entry.value.is_null()
        })?;
        Some(&found.value)
    }

    /// The same for a text, number or boolean; an empty one counts as absent.
    ///
    /// # Errors
    /// `bad-field` for an object or array.
    pub fn scalar(&self, field: &str, spellings: &[&str]) -> Result<Option<String>> {
        for entry in self.matching(spellings) {
            entry.used.set(true);
            if let Some(text) = entry.value.scalar(field)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// The same for a field that no event is refused for: what cannot be its value stays unused.
    pub fn optional(&self, spellings: &[&str]) -> Option<String> {
        self.matching(spellings).find_map(|entry| {
            let value = entry.value.scalar("").ok()?;
            if value.as_deref().is_some_and(|text| !is_short(text)) {
                return None;
            }
            entry.used.set(true);
            value
        })
    }

    fn matching<'f, 'n>(
        &'f self,
        spellings: &'n [&'n str],
    ) -> impl Iterator<Item = &'f Entry<'a>> + use<'f, 'n, 'a> {
        spellings.iter().filter_map(|name| self.entries.iter().find(|entry| entry.name == *name))
    }

    /// What nobody asked for, less the names that would carry a secret into the log.
    pub fn unused(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        let rest = self.entries.iter().filter(|entry| !entry.used.get() && !is_secret(&entry.name));
        rest.map(|entry| (entry.name.as_str(), &entry.value))
    }

    /// Whether this looks like JSON that was sent as a form: one field, and its name opens an object.
    pub fn looks_like_json(&self) -> bool {
        self.entries.first().is_some_and(|entry| entry.name.trim_start().starts_with(['{', '[']))
    }
}

/// What a product, a version or an owner may be; anything longer is kept as `extra`.
fn is_short(text: &str) -> bool {
    text.chars().count() <= 256 && !text.chars().any(char::is_control)
}

/// Field names whose values never reach a row (DESIGN.md, "Integrations": what attempts mask).
pub(crate) fn is_secret(name: &str) -> bool {
    ["access_token", "api_key", "authorization", "password", "secret", "token", "x-fieldhook-token"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

impl Value<'_> {
    fn is_null(&self) -> bool {
        matches!(self, Value::Json(raw) if raw.get() == "null")
    }

    /// The exact text: a JSON string decoded, any other JSON value as it was written.
    ///
    /// # Errors
    /// `bad-field` for a string that is not Unicode (a lone surrogate).
    pub fn text(&self, field: &str) -> Result<String> {
        match self {
            Value::Text(text) => Ok(text.clone()),
            Value::Json(raw) if raw.get().starts_with('"') => json::read(raw.get())
                .map_err(|_| Problem::field(Code::BadField, field, "the string is not valid Unicode")),
            Value::Json(raw) => Ok(raw.get().to_owned()),
        }
    }

    /// A text, number or boolean as text; an empty text is `None`.
    ///
    /// # Errors
    /// `bad-field` for an object or array.
    fn scalar(&self, field: &str) -> Result<Option<String>> {
        if self.is_null() {
            return Ok(None);
        }
        if let Value::Json(raw) = self
            && raw.get().starts_with(['{', '['])
        {
            return Err(Problem::field(Code::BadField, field, "a text is expected, not an object or array"));
        }
        self.text(field).map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// As JSON on one line and of a bearable depth: what it was, or a JSON string.
    pub fn to_json(&self) -> Option<Box<RawValue>> {
        match self {
            Value::Json(raw) => Some(json::shown(raw.get())),
            Value::Text(text) => json::quoted(text),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct TopLevel;
        impl<'de> Visitor<'de> for TopLevel {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
                    if fields.entries.len() >= MAX_FIELDS {
                        return Err(A::Error::custom(format!("more than {MAX_FIELDS} fields")));
                    }
                    fields.entries.push(Entry { name, value: Value::Json(raw), used: Cell::new(false) });
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(TopLevel)
    }
}

/// The most fields at the top level of one event. A batch is not an event.
const MAX_FIELDS: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_spacing_stay_as_they_were() {
        let fields = Fields::from_json(r#"{"data": {"t": 21.10, "big":12345678901234567890123}}"#).unwrap();
        let text = fields.find(&["data"]).unwrap().text("data").unwrap();
        assert_eq!(text, r#"{"t": 21.10, "big":12345678901234567890123}"#);
    }

    #[test]
    fn spellings_are_tried_in_their_order_and_null_is_absent() {
        let fields = Fields::from_json(r#"{"id":"b","event_id":null,"x":1}"#).unwrap();
        assert_eq!(fields.find(&["event_id", "id"]).unwrap().text("id").unwrap(), "b");
        assert_eq!(fields.unused().map(|(name, _)| name).collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn a_secret_in_the_query_is_not_kept() {
        let fields = Fields::from_form(b"event=t&token=hush&ttl=60").unwrap();
        assert_eq!(fields.unused().map(|(name, _)| name).collect::<Vec<_>>(), ["event", "ttl"]);
    }

    #[test]
    fn a_lone_surrogate_is_named() {
        let fields = Fields::from_json(r#"{"data":"\ud800"}"#).unwrap();
        let problem = fields.find(&["data"]).unwrap().text("data").unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (Code::BadField, Some("data")));
    }
}
