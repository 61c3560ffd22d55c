//! JSON in one spelling, so that two values can be told apart by what they say and not by how they are written.
//!
//! Not here: JSON that is only passed on ([`crate::json`]) and JSON that templates read ([`crate::template`]).
//!
//! Each level is read through `RawValue`: `serde_json::Value` would take an object with a certain private
//! key for a number, and recurse before its depth is known.

use crate::json;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A JSON value without space between tokens, keys sorted, strings with as few escapes as there can be. A
/// number keeps its digits: what an application wrote as `20.50` reaches the device as `20.50`.
///
/// ```
/// use fieldhook_core::canonical::Json;
/// let json = Json::parse(r#" { "b" : 20.50, "a" : ["\u0041", null] } "#, 8).unwrap();
/// assert_eq!(json.text(), r#"{"a":["A",null],"b":20.50}"#);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

/// Why a text is no [`Json`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    Syntax,
    TooDeep,
}

impl From<serde_json::Error> for Invalid {
    fn from(_: serde_json::Error) -> Self {
        Invalid::Syntax
    }
}

impl Json {
    /// Parses a text with at most `depth` objects and arrays inside one another.
    ///
    /// ```
    /// use fieldhook_core::canonical::{Invalid, Json};
    /// assert!(Json::parse("[[1]]", 2).is_ok());
    /// assert_eq!(Json::parse("[[1]]", 1).unwrap_err(), Invalid::TooDeep);
    /// assert_eq!(Json::parse("[1", 8).unwrap_err(), Invalid::Syntax);
    /// ```
    pub fn parse(text: &str, depth: usize) -> Result<Self, Invalid> {
        Json::read(json::read(text)?, depth)
    }

    pub(crate) fn read(raw: &RawValue, depth: usize) -> Result<Self, Invalid> {
        let mut text = String::with_capacity(raw.get().len());
        write(raw, depth, &mut text)?;
        Ok(Json(RawValue::from_string(text)?))
    }

    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Whether two values say the same: `1`, `1.0` and `10e-1` are one number.
    ///
    /// A device that keeps a number in a `float` reports `1.0` for a desired `1`; if that were a difference,
    /// it would be told again for ever. Numbers are compared by their decimal value and not as `f64`, which
    /// would take two large ids for one.
    ///
    /// ```
    /// use fieldhook_core::canonical::Json;
    /// let same = |a, b| Json::parse(a, 8).unwrap().same(&Json::parse(b, 8).unwrap());
    /// assert!(same(r#"{"a":[1,2.50]}"#, r#"{"a":[1.0,25e-1]}"#));
    /// assert!(same("-0", "0"));
    /// assert!(!same("9007199254740993", "9007199254740992"));
    /// assert!(!same("[1,2]", "[2,1]"));
    /// assert!(!same("1", "\"1\""));
    /// ```
    pub fn same(&self, other: &Json) -> bool {
        same(self.text(), other.text())
    }
}

/// A whole number in its one spelling: digits alone, and no zero before others.
///
/// ```
/// use fieldhook_core::canonical::whole;
/// assert_eq!([whole("0"), whole("17")], [Some(0), Some(17)]);
/// for text in ["", "+1", "-1", "01", "1.0", " 1", "18446744073709551616"] {
///     assert_eq!(whole(text), None);
/// }
/// ```
pub fn whole(text: &str) -> Option<u64> {
    let spelled = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| spelled)
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The members of a JSON object, values not yet read. Of a key given twice the last counts, as in JavaScript.
pub(crate) fn members(text: &str) -> Result<BTreeMap<String, &RawValue>, Invalid> {
    Ok(json::read(text)?)
}

fn write(raw: &RawValue, depth: usize, out: &mut String) -> Result<(), Invalid> {
    let text = raw.get();
    match text.bytes().next() {
        Some(b'{') => {
            let depth = depth.checked_sub(1).ok_or(Invalid::TooDeep)?;
            out.push('{');
            for (index, (key, value)) in members(text)?.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&quoted(&key));
                out.push(':');
                write(value, depth, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let depth = depth.checked_sub(1).ok_or(Invalid::TooDeep)?;
            let items: Vec<&RawValue> = json::read(text)?;
            out.push('[');
            for (index, item) in items.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write(item, depth, out)?;
            }
            out.push(']');
        }
        Some(b'"') => out.push_str(&quoted(&json::read::<String>(text)?)),
        _ => out.push_str(text),
    }
    Ok(())
}

fn same(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (a.bytes().next(), b.bytes().next()) {
        (Some(b'['), Some(b'[')) => {
            let items = |text| json::read::<Vec<&RawValue>>(text).unwrap_or_default();
            let (a, b) = (items(a), items(b));
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(a.get(), b.get()))
        }
        (Some(b'{'), Some(b'{')) => {
            let (a, b) = (members(a).unwrap_or_default(), members(b).unwrap_or_default());
            let equal = |((ka, a), (kb, b)): ((&String, &&RawValue), (&String, &&RawValue))| {
                ka == kb && same(a.get(), b.get())
            };
            a.len() == b.len() && a.iter().zip(&b).all(equal)
        }
        _ => matches!((Decimal::read(a), Decimal::read(b)), (Some(a), Some(b)) if a == b),
    }
}

/// A number as `digits * 10^exponent`, without zeros at either end; zero has no digits.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `None` for what is no number, and for an exponent that nobody means.
    fn read(text: &str) -> Option<Self> {
        if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return None;
        }
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len() - digits.len()).ok()?;
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        let exponent = exponent + dropped - i64::try_from(fraction.len()).ok()?;
        Some(Decimal { negative, digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Json {
        Json::parse(text, 64).unwrap()
    }

    #[test]
    fn names_that_mean_something_to_serde_json_mean_nothing_here() {
        let text = r#"{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"[1]"}"#;
        assert_eq!(json(text).text(), text);
    }

    #[test]
    fn what_is_too_deep_or_no_json_is_refused() {
        let bomb = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(Json::parse(&bomb, 64).unwrap_err(), Invalid::TooDeep);
        for text in ["", "{", "nul", "01", "1 2", "\"\\ud800\"", "[\"\\ud800\"]", "{\"\\ud800\":1}"] {
            assert_eq!(Json::parse(text, 8).unwrap_err(), Invalid::Syntax, "{text}");
        }
    }

    #[test]
    fn an_exponent_nobody_means_is_only_ever_the_same_as_itself() {
        assert!(json("1e99999999999").same(&json("1e99999999999")));
        assert!(!json("1e99999999999").same(&json("10e99999999998")));
        assert!(json("1e400").same(&json("10E+399")));
    }

    proptest! {
        #[test]
        fn integers_and_their_other_spellings_are_the_same(n in any::<i64>(), m in any::<i64>()) {
            let plain = json(&n.to_string());
            for other in [format!("{n}.00"), format!("{n}0e-1"), format!("{n}.0E+0")] {
                prop_assert!(plain.same(&json(&other)), "{}", other);
            }
            prop_assert_eq!(plain.same(&json(&m.to_string())), n == m);
        }

        #[test]
        fn a_spelling_is_its_own_spelling(text in r#"[\[\]{}:,"a1. e\\-]{0,24}"#) {
            if let Ok(json) = Json::parse(&text, 8) {
                let again = Json::parse(json.text(), 8).unwrap();
                prop_assert_eq!(again.text(), json.text());
            }
        }
    }
}
