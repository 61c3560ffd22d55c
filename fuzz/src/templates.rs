//! Templates. Parts: the most bytes it may render to, a template or JSON document, an event's data.

use super::json::{PRIVATE, read};
use super::{parts, text};
use fieldhook_core::template::{Context, Document, Fields, MAX_TEMPLATE_BYTES, Parts, Template, Variables};
use serde_json::{Value, json};

/// More than what is rendered here needs in most cases.
const ROOM: usize = 1 << 16;

pub fn check(data: &[u8]) {
    let [limit, template, data] = parts(data);
    let limit = text(limit).parse::<u16>().map_or(511, usize::from);
    let (template, data) = (text(template), text(data));
    let fields = Fields::parse(&data);
    if let Some(fields) = &fields {
        shows_the_value(&data, fields);
    }
    let fields = fields.unwrap_or_default();
    let parts = Parts { event_name: "name", event_value: &data, ..Parts::default() };
    let variables = Variables::new(parts).with("FIELDHOOK_DUE", r#"{"v":1}"#);
    let context = Context::new(&variables, &fields);
    is_rendered_within(&template, &context, limit);
    keeps_its_shape(&template, &context, limit);
    shows_text(&data);
}

fn is_rendered_within(text: &str, context: &Context<'_>, limit: usize) {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            let line = text.split('\n').nth(error.line.saturating_sub(1));
            assert!(
                line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&error.column)),
                "{error}"
            );
            return;
        }
    };
    assert!(text.len() <= MAX_TEMPLATE_BYTES);
    let whole = template.render(context, ROOM.max(limit));
    let cut = template.render(context, limit);
    if let Ok(whole) = &whole {
        assert_eq!(cut.is_ok(), whole.len() <= limit);
        assert!(cut.as_ref().is_err() || cut.as_ref() == Ok(whole));
        if template.is_literal() && !text.contains("{{") {
            assert_eq!(whole, text);
        }
    } else {
        assert!(cut.is_err());
    }
}

/// What was JSON before it was rendered is JSON of the same shape, whatever the values.
fn keeps_its_shape(text: &str, context: &Context<'_>, limit: usize) {
    let document = match Document::parse_json(text) {
        Ok(document) => document,
        Err(error) => return assert!(error.line >= 1 && error.column >= 1),
    };
    let Ok(shown) = document.render(context, ROOM.max(limit)) else { return };
    if let Ok(cut) = document.render(context, limit) {
        assert!(cut.len() <= limit);
        assert_eq!(cut, shown);
    }
    let Some(parts) = read(text).filter(|parts| !parts.is_string()) else { return };
    let Some(read) = read(&shown) else {
        return assert!(shown.contains(PRIVATE), "no JSON: {shown}");
    };
    assert!(same_shape(&parts, &read), "{parts} {read}");
}

/// Whether `shown` is `parts` with other strings and, where keys met, fewer members.
fn same_shape(parts: &Value, shown: &Value) -> bool {
    match (parts, shown) {
        (Value::String(_), Value::String(_)) => true,
        (Value::Array(parts), Value::Array(shown)) => {
            parts.len() == shown.len() && parts.iter().zip(shown).all(|(part, shown)| same_shape(part, shown))
        }
        (Value::Object(parts), Value::Object(shown)) => {
            let literal = parts.keys().all(|key| !key.contains("{{"));
            let kept = match literal {
                true => shown.len() == parts.len() && shown.keys().eq(parts.keys()),
                false => shown.len() <= parts.len() && shown.is_empty() == parts.is_empty(),
            };
            kept && shown.values().all(|shown| parts.values().any(|part| same_shape(part, shown)))
        }
        _ => parts == shown,
    }
}

/// Three braces show JSON as it is, digits and all.
fn shows_the_value(data: &str, fields: &Fields) {
    let template = Template::parse("{{{.}}}").expect("a template");
    let Ok(shown) = template.render(&Context::of(fields), ROOM) else { return };
    match read(data) {
        Some(Value::Null) => assert_eq!(shown, ""),
        Some(Value::String(text)) => assert_eq!(shown, text),
        Some(value) => assert_eq!(read(&shown), Some(value)),
        None => {}
    }
}

/// A string's text, and nothing that could end the string or be taken for markup.
fn shows_text(data: &str) {
    let fields = Fields::parse(&json!({ "a": data }).to_string()).expect("JSON");
    let document = Document::parse(&json!({ "x": "{{{a}}}", "y": "{{a}}" })).expect("a document");
    let Ok(shown) = document.render(&Context::of(&fields), ROOM) else { return };
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["x"], data);
    let escaped = shown["y"].as_str().expect("a text");
    assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    assert_eq!(entities.iter().fold(escaped.to_owned(), |text, (from, to)| text.replace(from, to)), data);
}
