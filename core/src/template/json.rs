//! JSON as its writer wrote it: exact digits, keys in their order.
//!
//! `serde_json::Value` sorts keys (its `preserve_order` would be switched on for the whole program), so
//! that `{{{a}}}` would show an object in another order than the device sent. Each level is read through
//! `RawValue`, which never recurses, so that the depth is bounded here and nowhere else.

use crate::json;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Json {
    #[default]
    Null,
    Bool(bool),
    /// As written: `20.50` stays `20.50`. Whether it is zero is found out once: a section asks it of each item, and a
    /// device chooses how many digits there are to look at.
    Number {
        digits: Box<str>,
        is_zero: bool,
    },
    Text(Box<str>),
    Array(Vec<Json>),
    Object(Object),
}

/// An object: found by key, listed in the order of the text. Of a key given twice the last counts, as in
/// JavaScript.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Object {
    members: BTreeMap<Box<str>, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    position: usize,
    value: Json,
}

/// Why a text is no [`Json`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    /// Where, from 1.
    Syntax {
        line: usize,
        column: usize,
    },
    TooDeep,
}

impl From<serde_json::Error> for Invalid {
    fn from(error: serde_json::Error) -> Invalid {
        Invalid::Syntax { line: error.line().max(1), column: error.column().max(1) }
    }
}

impl Json {
    /// Parses a JSON text with at most `depth` objects and arrays inside one another.
    pub(super) fn parse(text: &str, depth: usize) -> Result<Json, Invalid> {
        Json::read(json::read(text)?, depth)
    }

    fn read(raw: &RawValue, depth: usize) -> Result<Json, Invalid> {
        let text = raw.get();
        match text.bytes().next() {
            Some(b'{') => {
                let depth = depth.checked_sub(1).ok_or(Invalid::TooDeep)?;
                let members: Members<'_> = json::read(text)?;
                let members = members.0.into_iter().enumerate().map(|(position, (key, raw))| {
                    Json::read(raw, depth).map(|value| (key.into(), Member { position, value }))
                });
                Ok(Json::Object(Object { members: members.collect::<Result<_, _>>()? }))
            }
            Some(b'[') => {
                let depth = depth.checked_sub(1).ok_or(Invalid::TooDeep)?;
                let items: Vec<&RawValue> = json::read(text)?;
                items.into_iter().map(|raw| Json::read(raw, depth)).collect::<Result<_, _>>().map(Json::Array)
            }
            Some(b'"') => Ok(Json::Text(json::read::<String>(text)?.into())),
            Some(b't' | b'f') => Ok(Json::Bool(text == "true")),
            Some(b'n') => Ok(Json::Null),
            _ => Ok(Json::Number { digits: text.into(), is_zero: is_zero(text) }),
        }
    }

    /// The member of an object, or the item of an array (`c.0.ca`: Particle, "Variable substitution").
    pub(super) fn member(&self, part: &str) -> Option<&Json> {
        match self {
            Json::Object(object) => object.members.get(part).map(|member| &member.value),
            Json::Array(items) if part.bytes().all(|b| b.is_ascii_digit()) => {
                items.get(part.parse::<usize>().ok()?)
            }
            _ => None,
        }
    }

    /// What a section takes for false. The specification asks for `!!data == true`, which in JavaScript,
    /// where Particle renders, leaves out `0` and the empty string as well as `null` and `false`; and an
    /// empty list is no repetition.
    pub(super) fn is_falsy(&self) -> bool {
        match self {
            Json::Null => true,
            Json::Bool(value) => !value,
            Json::Number { is_zero, .. } => *is_zero,
            Json::Text(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(_) => false,
        }
    }
}

/// As JavaScript has it, where `1e-400` is zero too.
fn is_zero(digits: &str) -> bool {
    let plain = digits.strip_prefix('-').unwrap_or(digits).starts_with(|c| matches!(c, '1'..='9'));
    (!plain || digits.contains(['e', 'E'])) && digits.parse::<f64>().is_ok_and(|number| number == 0.0)
}

impl Object {
    /// Keys and values in the order of the text.
    pub(super) fn in_order(&self) -> Vec<(&str, &Json)> {
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(_, member)| member.position);
        members.into_iter().map(|(key, member)| (&**key, &member.value)).collect()
    }
}

/// One level of an object, keys decoded, values still text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Level;

        impl<'de> Visitor<'de> for Level {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_counts_once_and_the_last_time() {
        let json = Json::parse(r#"{"b":1,"a":2,"b":3}"#, 1).unwrap();
        assert!(matches!(json.member("b"), Some(Json::Number { digits, .. }) if &**digits == "3"));
        let Json::Object(object) = json else { panic!("an object") };
        assert_eq!(object.in_order().iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn zero_is_what_javascript_takes_for_zero() {
        let is_zero = |text| Json::parse(text, 1).unwrap().is_falsy();
        for text in ["0", "-0", "0.00", "0e5", "-0.0E-9", "1e-400", "9999e-9999", "0.0e400"] {
            assert!(is_zero(text), "{text}");
        }
        for text in ["1", "-1", "10", "0.1", "1e400", "5e-324", "1e0", "100000000000000000000000"] {
            assert!(!is_zero(text), "{text}");
        }
    }

    #[test]
    fn depth_is_counted_in_objects_and_arrays() {
        assert!(Json::parse("[[1]]", 2).is_ok());
        assert_eq!(Json::parse("[[1]]", 1), Err(Invalid::TooDeep));
        let bomb = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(Json::parse(&bomb, 64), Err(Invalid::TooDeep));
    }

    #[test]
    fn names_that_mean_something_to_serde_json_mean_nothing_here() {
        let json = Json::parse(r#"{"$serde_json::private::Number":"\",\"x"}"#, 1).unwrap();
        assert_eq!(json.member("$serde_json::private::Number"), Some(&Json::Text("\",\"x".into())));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{\"a\":}", "nul", "01", "1 2", "\"\\ud800\"", "{\"\\ud800\":1}"] {
            assert!(matches!(Json::parse(text, 8), Err(Invalid::Syntax { .. })), "{text}");
        }
    }
}
