//! Reading a definition that a caller wrote: each property by name, errors at the property they are in.

use crate::json;
use crate::problem::{Code, Problem, Result};
use crate::template::{Document, ParseError, Template};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The properties of a JSON object, taken one by one; what is left over is refused. Values keep their exact
/// text, so that a template's keys stay in the order they were written in.
///
/// ```
/// use fieldhook_core::definition::Properties;
/// let mut properties = Properties::parse(br#"{"limit": 3, "oops": 1}"#).unwrap();
/// assert_eq!(properties.number("limit", 1, 10).unwrap(), Some(3));
/// assert_eq!(properties.finish().unwrap_err().field.as_deref(), Some("oops"));
/// ```
#[derive(Debug)]
pub struct Properties {
    map: BTreeMap<String, Box<RawValue>>,
}

impl Properties {
    pub fn parse(body: &[u8]) -> Result<Self> {
        let raw: &RawValue = serde_json::from_slice(body)
            .map_err(|error| Problem::new(Code::BadJson, format!("not valid JSON: {error}")))?;
        let map = json::read(raw.get())
            .map_err(|_| Problem::new(Code::BadDefinition, "a definition is a JSON object"))?;
        Ok(Properties { map })
    }

    /// The value; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.map.remove(name).filter(|value| value.get() != "null")
    }

    fn value(&mut self, name: &str) -> Result<Option<Value>> {
        let parse = |raw: Box<RawValue>| json::read(raw.get());
        self.take(name).map(parse).transpose().map_err(|_| bad(name, "cannot be read"))
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(name, "must be a string")),
        }
    }

    pub fn number(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(bad(name, &format!("must be a whole number from {least} to {most}"))),
        }
    }

    /// A list of strings, at most `most` of them.
    pub fn texts(&mut self, name: &str, most: usize) -> Result<Vec<String>> {
        let why = || bad(name, &format!("must be a list of at most {most} strings"));
        match self.value(name)? {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= most => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(why()),
                })
                .collect(),
            Some(_) => Err(why()),
        }
    }

    /// Refuses what nobody took: a property that does nothing is a mistake worth telling.
    pub fn finish(self) -> Result<()> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(bad(name, "is not a property of this definition")),
        }
    }
}

/// `bad-definition` at a property.
pub fn bad(name: &str, why: &str) -> Problem {
    Problem::field(Code::BadDefinition, name, format!("{name} {why}"))
}

/// A property that is a template: text, or a JSON object or array whose strings are templates.
pub fn document(name: &str, value: &RawValue) -> Result<Document> {
    if !value.get().starts_with(['"', '{', '[']) {
        return Err(bad(name, "must be a string, an object or an array"));
    }
    Document::parse_json(value.get()).map_err(|error| bad_template(name, &error))
}

/// A property that is a text template for a whole document.
pub fn text_document(name: &str, text: &str) -> Result<Document> {
    Document::text(text).map_err(|error| bad_template(name, &error))
}

/// A property that is a text template.
pub fn template(name: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|error| bad_template(name, &error))
}

fn bad_template(name: &str, error: &ParseError) -> Problem {
    Problem::field(Code::BadTemplate, name, format!("{name}: {error}"))
}
