//! Properties that hold for every template and every event.

#![allow(clippy::unwrap_used)]

use fieldhook_core::template::{Context, Document, Fields, Parts, Template, Variables};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Text full of what templates and JSON are made of.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[{}#^/=!>&.<%\"'\\\\\\[\\]:, \t\r\nab01é😀\u{1}]{0,6}",
        1 => any::<String>(),
        1 => Just("{{=<% %>=}}".to_owned()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Templates that parse, most of the time with something to show.
fn template() -> impl Strategy<Value = String> {
    let name = || {
        prop_oneof![Just("a"), Just("b"), Just("a.b"), Just("a.0"), Just("."), Just("PARTICLE_EVENT_VALUE")]
    };
    let leaf = prop_oneof![
        "[^{}=]{0,5}",
        name().prop_map(|name| format!("{{{{{name}}}}}")),
        name().prop_map(|name| format!("{{{{{{{name}}}}}}}")),
    ];
    leaf.prop_recursive(3, 16, 3, move |inner| {
        (name(), any::<bool>(), prop::collection::vec(inner, 0..3)).prop_map(|(name, inverted, body)| {
            let sign = if inverted { '^' } else { '#' };
            format!("{{{{{sign}{name}}}}}{}{{{{/{name}}}}}", body.concat())
        })
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop_oneof!["[ab01]", hostile()], inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// An object whose strings and keys are templates.
fn document() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(template(), part(), 0..4).prop_map(|members| members.into_iter().collect())
}

fn part() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        template().prop_map(Value::from),
        template().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(template(), inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Whether `shown` is `parts` with other strings and, where keys met, fewer members.
fn same_shape(parts: &Value, shown: &Value) -> bool {
    match (parts, shown) {
        (Value::String(_), Value::String(_)) => true,
        (Value::Array(parts), Value::Array(shown)) => {
            parts.len() == shown.len() && parts.iter().zip(shown).all(|(part, shown)| same_shape(part, shown))
        }
        (Value::Object(parts), Value::Object(shown)) => {
            shown.len() <= parts.len()
                && shown.values().all(|shown| parts.values().any(|part| same_shape(part, shown)))
        }
        _ => parts == shown,
    }
}

fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_or_exceeds_the_limit(text in hostile(), data in hostile(), limit in 0_usize..64) {
        let fields = Fields::parse(&data).unwrap_or_default();
        let variables = Variables::new(Parts { event_value: &data, ..Parts::default() });
        let context = Context::new(&variables, &fields);
        match Template::parse(&text) {
            Ok(template) => {
                if let Ok(shown) = template.render(&context, limit) {
                    prop_assert!(shown.len() <= limit);
                }
            }
            Err(error) => {
                let line = text.split('\n').nth(error.line - 1);
                prop_assert!(line.is_some_and(|line| error.column <= line.chars().count() + 1), "{error}");
            }
        }
        if let Ok(document) = Document::parse_json(&text) {
            let _ = document.render(&context, limit);
        }
    }

    #[test]
    fn a_text_without_tags_is_its_own_rendering(text in "[^{]*") {
        let shown = Template::parse(&text).unwrap().render(&Context::of(&Fields::default()), text.len());
        prop_assert_eq!(shown, Ok(text));
    }

    #[test]
    fn the_limit_is_the_only_thing_a_limit_changes(text in template(), data in value(), limit in 0_usize..64) {
        let fields = Fields::parse(&data.to_string()).unwrap();
        let context = Context::of(&fields);
        let template = Template::parse(&text).unwrap();
        if let Ok(whole) = template.render(&context, 1 << 20) {
            let cut = template.render(&context, limit);
            prop_assert_eq!(cut.is_ok(), whole.len() <= limit);
            prop_assert!(cut.is_err() || cut == Ok(whole));
        }
    }

    #[test]
    fn a_document_of_json_renders_to_json(parts in document(), data in value(), text in hostile()) {
        let fields = Fields::parse(&data.to_string()).unwrap();
        let variables = Variables::new(Parts { event_value: &text, ..Parts::default() });
        let document = Document::parse(&parts).unwrap();
        let shown = document.render(&Context::new(&variables, &fields), 1 << 20).unwrap();
        let read: Value = serde_json::from_str(&shown).unwrap();
        prop_assert!(same_shape(&parts, &read), "{shown}");
    }

    #[test]
    fn a_leaf_shows_the_value_and_nothing_else(text in any::<String>()) {
        let fields = Fields::parse(&json!({ "a": text }).to_string()).unwrap();
        let document = Document::parse(&json!({ "x": "{{{a}}}", "y": "{{a}}" })).unwrap();
        let read: Value = serde_json::from_str(&document.render(&Context::of(&fields), 1 << 20).unwrap()).unwrap();
        prop_assert_eq!(&read["x"], &text);
        prop_assert_eq!(unescaped(read["y"].as_str().unwrap()), text);
    }

    #[test]
    fn two_braces_let_no_markup_through(data in value(), text in hostile()) {
        let fields = Fields::parse(&json!({ "a": data }).to_string()).unwrap();
        let variables = Variables::new(Parts { event_value: &text, ..Parts::default() });
        let template = Template::parse("{{a}}{{PARTICLE_EVENT_VALUE}}{{PARTICLE_EVENT_JSON}}").unwrap();
        let shown = template.render(&Context::new(&variables, &fields), 1 << 20).unwrap();
        prop_assert!(!shown.contains(['<', '>', '"', '\'']));
        let entities = ["amp;", "lt;", "gt;", "quot;", "#39;"];
        for after in shown.split('&').skip(1) {
            prop_assert!(entities.iter().any(|entity| after.starts_with(entity)), "{shown}");
        }
    }

    #[test]
    fn a_value_shown_whole_is_the_value(data in value()) {
        let data = json!([data]);
        let fields = Fields::parse(&data.to_string()).unwrap();
        let shown = Template::parse("{{{.}}}").unwrap().render(&Context::of(&fields), 1 << 20).unwrap();
        prop_assert_eq!(shown, data.to_string());
    }
}
