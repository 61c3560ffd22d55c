//! The JSON of a section, and JSON Merge Patch (RFC 7396) over it.

use crate::canonical::{self, Invalid, Json, quoted};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a patch says about a key.
#[derive(Debug, Clone)]
pub(super) enum Patch {
    /// `null`: the key goes.
    Delete,
    /// A scalar or an array; it replaces whatever is there.
    Leaf(Json),
    Object(BTreeMap<String, Patch>),
}

impl Patch {
    pub(super) fn read(raw: &RawValue, depth: usize) -> Result<Self, Invalid> {
        match raw.get().bytes().next() {
            Some(b'{') => members(raw.get(), depth).map(Patch::Object),
            Some(b'n') => Ok(Patch::Delete),
            _ => Json::read(raw, depth).map(Patch::Leaf),
        }
    }
}

/// The members of a patch that is an object, with at most `depth` objects and arrays inside one another.
pub(super) fn members(text: &str, depth: usize) -> Result<BTreeMap<String, Patch>, Invalid> {
    let depth = depth.checked_sub(1).ok_or(Invalid::TooDeep)?;
    let read = |(key, raw)| Patch::read(raw, depth).map(|patch| (key, patch));
    canonical::members(text)?.into_iter().map(read).collect()
}

/// The members of a section.
pub(super) type Members = BTreeMap<String, Doc>;

/// A value in a section. It is never `null`, which would be an absent key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Box<RawValue>", into = "Box<RawValue>")]
pub(super) enum Doc {
    Leaf(Json),
    Object(Members),
}

impl Doc {
    pub(super) fn member(&self, key: &str) -> Option<&Doc> {
        match self {
            Doc::Object(members) => members.get(key),
            Doc::Leaf(_) => None,
        }
    }

    /// The length of its text.
    pub(super) fn size(&self) -> usize {
        let mut text = String::new();
        self.write(&mut text);
        text.len()
    }

    fn write(&self, out: &mut String) {
        match self {
            Doc::Leaf(json) => out.push_str(json.text()),
            Doc::Object(members) => write(members, out),
        }
    }
}

fn write(members: &Members, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in members.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        out.push_str(&quoted(key));
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

/// A section as JSON text.
pub(super) fn text(members: &Members) -> String {
    let mut out = String::new();
    write(members, &mut out);
    out
}

/// Applies what a patch says about one key.
pub(super) fn merge(members: &mut Members, key: &str, patch: &Patch) {
    match patch {
        Patch::Delete => {
            members.remove(key);
        }
        Patch::Leaf(json) => {
            members.insert(key.to_owned(), Doc::Leaf(json.clone()));
        }
        Patch::Object(patches) => {
            let there = members.entry(key.to_owned()).or_insert_with(|| Doc::Object(Members::new()));
            if let Doc::Leaf(_) = there {
                *there = Doc::Object(Members::new());
            }
            if let Doc::Object(members) = there {
                for (key, patch) in patches {
                    merge(members, key, patch);
                }
            }
        }
    }
}

/// The value at a path.
pub(super) fn find<'a>(members: &'a Members, path: &[String]) -> Option<&'a Doc> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(members.get(first)?, |doc, key| doc.member(key))
}

/// Removes the value at a path.
pub(super) fn remove(members: &mut Members, path: &[String]) {
    match path.split_first() {
        Some((last, [])) => {
            members.remove(last);
        }
        Some((first, rest)) => {
            if let Some(Doc::Object(members)) = members.get_mut(first) {
                remove(members, rest);
            }
        }
        None => {}
    }
}

impl TryFrom<Box<RawValue>> for Doc {
    type Error = &'static str;

    fn try_from(raw: Box<RawValue>) -> Result<Self, Self::Error> {
        // What is stored was within the bounds when it was written; usize::MAX is not a second bound.
        let patch = Patch::read(&raw, usize::MAX).map_err(|_| "a stored section cannot be read")?;
        let mut section = Members::new();
        merge(&mut section, "", &patch);
        section.remove("").ok_or("a stored section holds null")
    }
}

impl From<Doc> for Box<RawValue> {
    fn from(doc: Doc) -> Self {
        let mut out = String::new();
        doc.write(&mut out);
        RawValue::from_string(out).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> String {
        let mut document = Members::new();
        for patch in [target, patch] {
            let raw: &RawValue = serde_json::from_str(patch).unwrap();
            merge(&mut document, "x", &Patch::read(raw, 9).unwrap());
        }
        let text = text(&document);
        text.strip_prefix("{\"x\":").and_then(|text| text.strip_suffix('}')).unwrap_or_default().to_owned()
    }

    /// RFC 7396, Appendix A, but for the cases whose target holds null, which a section never does.
    #[test]
    fn the_cases_of_the_rfc() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", ""),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            ("{}", r#"{"a":[null,{"b":null}]}"#, r#"{"a":[null,{"b":null}]}"#),
        ] {
            assert_eq!(merged(target, patch), result, "{target} {patch}");
        }
    }
}
