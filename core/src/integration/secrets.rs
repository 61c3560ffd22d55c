//! The secrets of a definition, apart from it: what is shown and stored has masks in their place (DESIGN.md, "URL
//! guard": sealed and shown masked; a masked value that comes back keeps the stored one).
//!
//! Not here: sealing, which needs a key and happens where the definition is stored.

use super::names::{MASK, Piece, is_secret, is_secret_in_query, url_pieces};
use crate::clock::Time;
use crate::definition::bad;
use crate::json::{self, Members};
use crate::problem::{Code, Problem, Result};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// Where the secret that signs stands.
const SIGNING: &str = "/secret";
/// Beside it, the one that is on its way out, and until when it signs too.
const PREVIOUS: &str = "/secret#previous";
const UNTIL: &str = "/secret#until";

/// Values by JSON pointer (RFC 6901) into their definition: `/auth/password`, `/headers/Authorization`; inside a URL
/// by the field's name, `/url#token`. Its `Debug` shows nothing of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// JSON, so that a number stays one.
    values: BTreeMap<String, String>,
}

impl Secrets {
    /// What is sealed.
    ///
    /// ```
    /// use fieldhook_core::integration::{Definition, Face, Secrets};
    /// let body = br#"{"event":"t","url":"https://h.dev/?token=a","auth":{"bearer":"b"}}"#;
    /// let (_, secrets) = Definition::read(body, Face::Integration, None).unwrap().masked();
    /// assert_eq!(secrets.to_json(), r#"{"/auth/bearer":"b","/url#token":"a"}"#);
    /// assert_eq!(Secrets::parse(&secrets.to_json()), Some(secrets));
    /// ```
    pub fn to_json(&self) -> String {
        let member = |(name, value): (&String, &String)| format!("{}:{value}", Value::from(name.as_str()));
        format!("{{{}}}", self.values.iter().map(member).collect::<Vec<_>>().join(","))
    }

    /// Reads what [`Secrets::to_json`] wrote.
    pub fn parse(json: &str) -> Option<Self> {
        let values: BTreeMap<String, Box<RawValue>> = json::read(json).ok()?;
        let text = |(name, value): (String, Box<RawValue>)| (name, value.get().to_owned());
        Some(Secrets { values: values.into_iter().map(text).collect() })
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The texts themselves, for masking them wherever else they stand: each secret as it is, and what follows the
    /// scheme in one such as `Bearer abc`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let texts = self.values.iter().filter(|(name, _)| *name != UNTIL).map(|(_, json)| text_of(json));
        texts.flat_map(|text| {
            let last = text.rsplit_once(' ').map(|(_, last)| last.to_owned());
            std::iter::once(text).chain(last)
        })
    }

    /// The secret that signs.
    pub fn signing(&self) -> Option<String> {
        self.values.get(SIGNING).map(|json| text_of(json))
    }

    /// The secret that signs beside it, and until when.
    pub fn previous(&self) -> Option<(String, Time)> {
        let until = self.values.get(UNTIL)?.parse().ok().map(Time::from_millis)?;
        Some((text_of(self.values.get(PREVIOUS)?), until))
    }

    /// Signs with `secret` from now on, and with the one before it until `until`. Not for a definition that signs
    /// nothing: its JSON has no place for a secret.
    #[must_use]
    pub fn rotated(mut self, secret: &str, until: Time) -> Self {
        if let Some(before) = self.values.insert(SIGNING.to_owned(), Value::from(secret).to_string()) {
            self.values.insert(PREVIOUS.to_owned(), before);
            self.values.insert(UNTIL.to_owned(), until.millis().to_string());
        }
        self
    }

    /// A rotation that is under way goes on when the definition is replaced by one that keeps its secret.
    pub(super) fn carry_rotation(&mut self, before: &Secrets) {
        if self.values.contains_key(SIGNING) && self.values.get(SIGNING) == before.values.get(SIGNING) {
            for name in [PREVIOUS, UNTIL] {
                if let Some(value) = before.values.get(name) {
                    self.values.insert(name.to_owned(), value.clone());
                }
            }
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} …)", self.values.len())
    }
}

/// The definition with masks, and what they mask. Its objects have each key once: the last counts.
pub(super) fn mask(definition: &RawValue) -> Result<(Box<RawValue>, Secrets)> {
    let mut secrets = Secrets::default();
    let masked = rewrite(definition, &mut |place, json| {
        secrets.values.insert(place.to_owned(), json.to_owned());
        Ok(Some(Value::from(MASK).to_string()))
    })?;
    Ok((masked, secrets))
}

/// The definition with what its masks stand for.
///
/// # Errors
/// `bad-definition` at the property whose mask masks nothing that is kept.
pub(super) fn unmask(definition: &RawValue, kept: Option<&Secrets>) -> Result<Box<RawValue>> {
    let mask = Value::from(MASK).to_string();
    rewrite(definition, &mut |place, json| {
        if json != mask {
            return Ok(None);
        }
        let property = place.split(['/', '#']).nth(1).unwrap_or_default();
        let found = kept.and_then(|kept| kept.values.get(place));
        found
            .cloned()
            .map(Some)
            .ok_or_else(|| bad(property, "holds a masked value that masks nothing stored"))
    })
}

/// Gives every secret to `replace`, by its place and as JSON, and writes what comes back in its place.
type Replace<'a> = dyn FnMut(&str, &str) -> Result<Option<String>> + 'a;

fn rewrite(definition: &RawValue, replace: &mut Replace<'_>) -> Result<Box<RawValue>> {
    let mut out = String::with_capacity(definition.get().len());
    let mut walk = Walk { place: String::new(), out: &mut out, replace };
    walk.value(definition, false)?;
    RawValue::from_string(out).map_err(|_| Problem::new(Code::Internal, "a definition cannot be written"))
}

struct Walk<'a, 'r> {
    place: String,
    out: &'a mut String,
    replace: &'a mut Replace<'r>,
}

impl Walk<'_, '_> {
    /// Recurses as deep as the definition, which is bounded before anything else is done with it.
    fn value(&mut self, value: &RawValue, hidden: bool) -> Result<()> {
        let text = value.get();
        match text.bytes().next() {
            Some(b'{') => {
                self.out.push('{');
                for (index, (name, member)) in last_of_each_name(text)?.iter().enumerate() {
                    self.out.push_str(if index == 0 { "" } else { "," });
                    self.out.push_str(&Value::from(name.as_str()).to_string());
                    self.out.push(':');
                    self.below(name, |walk| match walk.place.as_str() {
                        "/url" | "/target_url" if member.get().starts_with('"') => walk.url(member.get()),
                        place => {
                            let hides = hidden || hides(place, name);
                            walk.value(member, hides)
                        }
                    })?;
                }
                self.out.push('}');
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = read(text)?;
                self.out.push('[');
                for (index, item) in items.into_iter().enumerate() {
                    self.out.push_str(if index == 0 { "" } else { "," });
                    self.below(&index.to_string(), |walk| walk.value(item, hidden))?;
                }
                self.out.push(']');
            }
            // There is nothing to hide in true, false, null and "".
            Some(b'"' | b'-' | b'0'..=b'9') if hidden && text != "\"\"" => {
                let replaced = (self.replace)(&self.place, text)?;
                self.out.push_str(replaced.as_deref().unwrap_or(text));
            }
            _ => self.out.push_str(text),
        }
        Ok(())
    }

    fn url(&mut self, json: &str) -> Result<()> {
        let url: String = read(json)?;
        let mut whole = String::with_capacity(url.len());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for piece in url_pieces(&url) {
            match piece {
                Piece::Plain(text) => whole.push_str(text),
                Piece::Secret { name, text } => {
                    let count = seen.entry(name).and_modify(|count| *count += 1).or_insert(1);
                    let place = match count {
                        1 => format!("{}#{name}", self.place),
                        count => format!("{}#{name}#{count}", self.place),
                    };
                    let replaced = (self.replace)(&place, &Value::from(text).to_string())?;
                    whole.push_str(&replaced.map_or_else(|| text.to_owned(), |json| text_of(&json)));
                }
            }
        }
        self.out.push_str(&Value::from(whole).to_string());
        Ok(())
    }

    fn below(&mut self, step: &str, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let here = self.place.len();
        self.place.push('/');
        self.place.push_str(&step.replace('~', "~0").replace('/', "~1"));
        act(self)?;
        self.place.truncate(here);
        Ok(())
    }
}

/// Whether what stands at this place, under this name, is a secret.
fn hides(place: &str, name: &str) -> bool {
    match place.split('/').nth(1) {
        // Whatever proves, by whatever name; only who proves it is shown.
        Some("auth") if place != "/auth" => !matches!(name, "username" | "user"),
        Some("query") => is_secret_in_query(name),
        _ => is_secret(name),
    }
}

/// Of a name given twice the last counts, in its own place: so each place is one value.
fn last_of_each_name(text: &str) -> Result<Vec<(String, Box<RawValue>)>> {
    let Members(members) = read(text)?;
    let last: BTreeMap<String, usize> =
        members.iter().enumerate().map(|(position, (name, _))| (name.clone(), position)).collect();
    let kept =
        members.into_iter().enumerate().filter(|(position, (name, _))| last.get(name) == Some(position));
    Ok(kept.map(|(_, member)| member).collect())
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T> {
    let why = "a definition's strings are Unicode";
    json::read(text).map_err(|_| Problem::new(Code::BadDefinition, why))
}

/// A string decoded; anything else as it was written.
fn text_of(json: &str) -> String {
    json::read::<String>(json).unwrap_or_else(|_| json.to_owned())
}
