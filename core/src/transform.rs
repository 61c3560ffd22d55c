//! A transform rewrites events before they are kept (DESIGN.md, "Sources and transforms").
//!
//! Nothing is lost to a template: what it replaces stays as `raw`, and where it fails the data stays as it
//! came and the event says so.

use crate::definition::{Properties, bad, document, template, text_document};
use crate::event::{self, Event, EventName};
use crate::problem::Result;
use crate::source::{render, with_context};
use crate::template::{Document, Template};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The largest data a transform makes, bytes: what Particle itself carries in an event from Device OS 6.3,
/// four times over for the longer names that transforms are made for.
pub const OUTPUT_MAX: usize = 65_536;

/// A transform as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// A prefix of the names of the events it applies to.
    pub event: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A template for the event's new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
}

impl Definition {
    /// # Errors
    /// `bad-definition` or `bad-template`, naming the property.
    pub fn read(body: &[u8]) -> Result<Self> {
        let mut properties = Properties::parse(body)?;
        properties.take("name");
        let event = properties.text("event")?.ok_or_else(|| bad("event", "is missing: a name's prefix"))?;
        EventName::parse(&event).map_err(|problem| bad("event", &problem.detail))?;
        let definition = Definition {
            event,
            json: properties.take("json"),
            body: properties.text("body")?,
            rename: properties.text("rename")?,
        };
        properties.finish()?;
        match (&definition.json, &definition.body, &definition.rename) {
            (Some(_), Some(_), _) => Err(bad("body", "and json exclude one another")),
            (None, None, None) => Err(bad("json", "is missing: give json, body or rename")),
            _ => Transform::compile("", &definition).map(|_| definition),
        }
    }

    /// As `GET` shows it, JSON.
    pub fn show(&self, name: &str) -> String {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: &'a str,
            #[serde(flatten)]
            definition: &'a Definition,
        }
        serde_json::to_string(&Shown { name, definition: self }).unwrap_or_default()
    }
}

/// A transform ready for use.
#[derive(Debug)]
pub struct Transform {
    pub name: String,
    event: String,
    data: Option<Document>,
    rename: Option<Template>,
}

impl Transform {
    pub fn compile(name: &str, definition: &Definition) -> Result<Self> {
        let data = match (&definition.json, &definition.body) {
            (Some(value), _) => Some(document("json", value)?),
            (None, Some(text)) => Some(text_document("body", text)?),
            (None, None) => None,
        };
        let rename = definition.rename.as_deref().map(|text| template("rename", text)).transpose()?;
        Ok(Transform { name: name.to_owned(), event: definition.event.clone(), data, rename })
    }

    /// Whether it is for events of this name: a case-sensitive prefix, as in Particle's own filters.
    pub fn matches(&self, name: &EventName) -> bool {
        name.as_str().starts_with(&self.event)
    }

    /// The event with new data and name, or unchanged and flagged.
    pub fn apply(&self, mut event: Event) -> Event {
        match self.render(&event) {
            Ok((name, data)) => {
                event.name = name;
                if let Some(data) = data {
                    event.media_type = event::media_type(&data);
                    event.raw = Some(std::mem::replace(&mut event.data, data));
                }
            }
            Err(why) => event.transform_error = Some(format!("{}: {why}", self.name)),
        }
        event
    }

    fn render(&self, event: &Event) -> std::result::Result<(EventName, Option<String>), String> {
        let data = match &self.data {
            Some(document) => Some(render(document, event, OUTPUT_MAX).map_err(|error| error.to_string())?),
            None => None,
        };
        let name = match &self.rename {
            Some(template) => {
                let text = with_context(event, |context| template.render(context, 4 * event::NAME_MAX))
                    .map_err(|error| format!("rename: {error}"))?;
                EventName::parse(&text).map_err(|problem| format!("rename: {}", problem.detail))?
            }
            None => event.name.clone(),
        };
        Ok((name, data))
    }
}

/// Applies the first transform, in order of creation, that is for this event.
pub fn apply_first(transforms: &[Transform], event: Event) -> Event {
    match transforms.iter().find(|transform| transform.matches(&event.name)) {
        Some(transform) => transform.apply(event),
        None => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::event::{DedupKey, DeviceId, SourceName};

    fn event(name: &str, data: &str) -> Event {
        let device = DeviceId::parse("d").unwrap();
        Event {
            key: DedupKey::of(&device, "1"),
            id: "1".into(),
            derived: false,
            repeatable: true,
            name: EventName::parse(name).unwrap(),
            data: data.into(),
            device,
            published_at: Time::from_millis(0),
            source: SourceName::default(),
            product_id: None,
            fw_version: None,
            userid: None,
            media_type: None,
            extra: None,
            raw: None,
            transform_error: None,
            hops: 0,
        }
    }

    fn transform(text: &str) -> Transform {
        Transform::compile("t", &Definition::read(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_short_name_becomes_a_long_one_and_the_original_stays() {
        let transform = transform(r#"{"event":"t","body":"{\"temperature\":{{{t}}}}"}"#);
        let after = transform.apply(event("temp", r#"{"t":21.10}"#));
        assert_eq!(after.data, r#"{"temperature":21.10}"#);
        assert_eq!(after.raw.as_deref(), Some(r#"{"t":21.10}"#));
    }

    #[test]
    fn a_quote_in_a_value_cannot_break_a_json_template() {
        let transform = transform(r#"{"event":"t","json":{"note":"{{{note}}}"}}"#);
        let after = transform.apply(event("t", r#"{"note":"say \"hi\""}"#));
        assert_eq!(after.data, r#"{"note":"say \"hi\""}"#);
    }

    #[test]
    fn a_transform_that_fails_leaves_the_event_as_it_came() {
        let rename = transform(r#"{"event":"t","json":{"a":"b"},"rename":"{{missing}}"}"#);
        let after = rename.apply(event("t", "21"));
        assert_eq!((after.data.as_str(), after.name.as_str(), after.raw), ("21", "t", None));
        assert!(after.transform_error.unwrap().starts_with("t: rename"));
        let bomb = transform(r#"{"event":"t","body":"{{#a}}{{b}}{{/a}}"}"#);
        let data = format!(r#"{{"a":[{}0],"b":"{}"}}"#, "0,".repeat(2000), "x".repeat(1000));
        let after = bomb.apply(event("t", &data));
        assert_eq!(after.data, data);
        assert!(after.transform_error.is_some());
    }

    #[test]
    fn the_first_by_creation_applies_and_no_other() {
        let first = transform(r#"{"event":"te","body":"first"}"#);
        let second = transform(r#"{"event":"t","body":"second"}"#);
        let transforms = [first, second];
        assert_eq!(apply_first(&transforms, event("temp", "x")).data, "first");
        assert_eq!(apply_first(&transforms, event("t", "x")).data, "second");
        assert_eq!(apply_first(&transforms, event("T", "x")).data, "x");
    }

    #[test]
    fn an_error_stands_at_its_property() {
        for (text, field) in [
            ("{}", "event"),
            (r#"{"event":"t"}"#, "json"),
            (r#"{"event":"t","json":{},"body":"x"}"#, "body"),
            (r#"{"event":"t","json":5}"#, "json"),
            (r#"{"event":"t","body":"{{"}"#, "body"),
            (r#"{"event":"t","rename":"{{/x}}"}"#, "rename"),
            (r#"{"event":"t","body":"x","to":"y"}"#, "to"),
        ] {
            let problem = Definition::read(text.as_bytes()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{text}");
        }
    }
}
