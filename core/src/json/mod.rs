//! JSON text that is passed on rather than parsed: device data shown where it is valid JSON, as it was sent.

mod read;

pub use read::read;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// How deep data may nest and still be shown as JSON: what readers' parsers commonly allow.
pub const DEPTH_MAX: usize = 64;

/// The text as it is shown: itself where it is valid JSON (digits kept), else a JSON string.
///
/// ```
/// use fieldhook_core::json::shown;
/// assert_eq!(shown("21.50").get(), "21.50");
/// assert_eq!(shown("{\"t\":\n1}").get(), "{\"t\": 1}"); // one line, so that it fits JSON Lines
/// assert_eq!(shown("hello").get(), "\"hello\"");
/// assert_eq!(shown("").get(), "\"\"");
/// ```
pub fn shown(text: &str) -> Box<RawValue> {
    parsed(text).or_else(|| quoted(text)).unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// The text as JSON, if it is JSON of a bearable depth.
pub fn parsed(text: &str) -> Option<Box<RawValue>> {
    if depth(text) > DEPTH_MAX {
        return None;
    }
    let raw: &RawValue = read(text).ok()?;
    if !raw.get().contains(['\n', '\r']) {
        return Some(raw.to_owned());
    }
    // Inside JSON strings a line break is always escaped, so what is left is space between tokens.
    RawValue::from_string(raw.get().replace(['\n', '\r'], " ")).ok()
}

/// Any text as a JSON string.
pub fn quoted(text: &str) -> Option<Box<RawValue>> {
    serde_json::to_string(text).ok().and_then(|json| RawValue::from_string(json).ok())
}

/// The members of a JSON object in the order they were written in, values still text.
///
/// ```
/// use fieldhook_core::json::Members;
/// let Members(members) = serde_json::from_str(r#"{"b": 1.50, "a": {"c": null}}"#).unwrap();
/// assert_eq!((members[0].0.as_str(), members[0].1.get()), ("b", "1.50"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Members(pub Vec<(String, Box<RawValue>)>);

impl Members {
    /// `None` for what is no JSON object.
    ///
    /// ```
    /// use fieldhook_core::json::Members;
    /// let mut members = Members::parse(r#"{"z": 1.50, "a": "x"}"#).unwrap();
    /// members.set("z", &2);
    /// members.set("b", &true);
    /// assert_eq!(members.text("a").as_deref(), Some("x"));
    /// assert_eq!(members.to_json(), r#"{"z":2,"a":"x","b":true}"#);
    /// ```
    pub fn parse(json: &str) -> Option<Self> {
        read(json).ok()
    }

    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// A member that is a text and not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        let text: String = read(self.get(name)?.get()).ok()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// In the place where it stands already, else as the last.
    pub fn set(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        let Ok(value) = serde_json::to_string(value).and_then(RawValue::from_string) else { return };
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, kept)) => *kept = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// What the other has and this has not, behind what there is.
    pub fn with_rest(mut self, other: Members) -> Self {
        for (name, value) in other.0 {
            if self.get(&name).is_none() {
                self.0.push((name, value));
            }
        }
        self
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
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

/// The deepest nesting of brackets outside of strings. An upper bound where the text is not JSON.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_too_deep_is_shown_as_text() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        assert!(shown(&deep).get().starts_with("\"[["));
        let fine = "[".repeat(64) + &"]".repeat(64);
        assert_eq!(shown(&fine).get(), fine);
        assert_eq!(shown(r#""[[[\"[[[""#).get(), r#""[[[\"[[[""#);
    }

    proptest! {
        #[test]
        fn every_text_is_shown_on_one_line_of_json(text in ".*") {
            let shown = shown(&text);
            prop_assert!(!shown.get().contains('\n'));
            prop_assert!(serde_json::from_str::<serde_json::Value>(shown.get()).is_ok());
        }
    }
}
