//! The number at a path in an event's data.

use crate::json::{self, DEPTH_MAX, depth};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The number in `data` at a dotted path such as `a.b.0.c`, array indexes included; at an empty path, data that
/// is itself a number. A text that is a number counts as one: templates make texts of numbers (PARTICLE.md,
/// "What its users suffer from most"). What no double can hold is `None`.
///
/// A name with dots in it is found where it is the rest of the path: `b.c` in `{"a":{"b.c":1}}` at `a.b.c`.
///
/// ```
/// use fieldhook_core::series::number_at;
/// assert_eq!(number_at("21.50", ""), Some(21.5));
/// assert_eq!(number_at(r#"{"t":[1,{"c":"-2e3"}]}"#, "t.1.c"), Some(-2000.0));
/// assert_eq!(number_at(r#"{"t":[1]}"#, "t"), None);
/// assert_eq!(number_at("1e400", ""), None);
/// ```
pub fn number_at(data: &str, path: &str) -> Option<f64> {
    let json = if depth(data) > DEPTH_MAX { None } else { json::read::<&RawValue>(data).ok() };
    let Some(mut value) = json else {
        return if path.is_empty() { number(data) } else { None };
    };
    let mut rest = Some(path).filter(|path| !path.is_empty());
    while let Some(path) = rest {
        let (found, behind) = step(value, path)?;
        (value, rest) = (found, behind);
    }
    let text = value.get();
    match text.bytes().next()? {
        b'"' => number(&json::read::<String>(text).ok()?),
        b'-' | b'0'..=b'9' => finite(text),
        _ => None,
    }
}

/// One step down: the value, and the path that is left.
fn step<'a, 'p>(value: &'a RawValue, path: &'p str) -> Option<(&'a RawValue, Option<&'p str>)> {
    let (name, behind) = match path.split_once('.') {
        Some((name, behind)) => (name, Some(behind)),
        None => (path, None),
    };
    let text = value.get();
    let mut json = serde_json::Deserializer::from_str(text);
    match text.bytes().next()? {
        b'{' => {
            let (whole, first) = json.deserialize_map(Member { path, name }).ok()?;
            whole.map(|value| (value, None)).or_else(|| first.map(|value| (value, behind)))
        }
        b'[' => Some((json.deserialize_seq(Item(index(name)?)).ok()??, behind)),
        _ => None,
    }
}

/// An array's index as it is written without ornament.
fn index(name: &str) -> Option<usize> {
    let plain = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|_| plain)
}

/// Finds the member named as the whole path, and the one named as its first part. Of a name given twice the last
/// counts, as in JavaScript.
struct Member<'p> {
    path: &'p str,
    name: &'p str,
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = (Option<&'de RawValue>, Option<&'de RawValue>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut whole, mut first) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            if name == self.path {
                whole = Some(value);
            } else if name == self.name {
                first = Some(value);
            }
        }
        Ok((whole, first))
    }
}

/// Finds an item of an array.
struct Item(usize);

impl<'de> Visitor<'de> for Item {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = items.next_element()?;
        // serde_json wants an array read to its end.
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// A text that is a number and nothing else, space around it aside: what `printf` makes, not `inf` or `0x1f`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.bytes().all(plain) { finite(text) } else { None }
}

/// Without the sign of a zero, which no chart shows.
fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number + 0.0)
}
