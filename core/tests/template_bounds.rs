//! Bombs: whatever a template and its data do, the answer comes soon, small and without a panic.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use fieldhook_core::template::{
    Context, Document, Fields, MAX_DOCUMENT_DEPTH, MAX_FIELD_DEPTH, MAX_NAME_BYTES, MAX_SECTION_DEPTH,
    MAX_TEMPLATE_BYTES, Parts, Problem, RenderError, Template, Variables,
};

/// Generous: an unoptimised build on a busy machine. What is not bounded takes hours.
const SOON: Duration = Duration::from_secs(10);

fn soon<T>(act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    result
}

fn nested(depth: usize, inside: &str) -> String {
    "{{#a}}".repeat(depth) + inside + &"{{/a}}".repeat(depth)
}

fn many(item: &str, count: usize) -> String {
    vec![item; count].join(",")
}

#[test]
fn sections_nested_over_a_long_list_stop() {
    let fields = Fields::parse(&format!(r#"{{"a":[{}]}}"#, many("1", 100_000))).unwrap();
    let context = Context::of(&fields);
    let silent = Template::parse(&nested(MAX_SECTION_DEPTH, "")).unwrap();
    assert_eq!(soon(|| silent.render(&context, 100_000)), Err(RenderError::TooManySteps));
    let loud = Template::parse(&nested(MAX_SECTION_DEPTH, "{{a}}")).unwrap();
    assert_eq!(soon(|| loud.render(&context, 100_000)), Err(RenderError::TooLarge));
}

#[test]
fn all_templates_of_a_document_share_the_steps() {
    let fields = Fields::parse(&format!(r#"{{"a":[{}]}}"#, many("1", 10_000))).unwrap();
    let document = format!("[{}]", many(r#""{{#a}}{{/a}}""#, 1_000));
    let document = Document::parse_json(&document).unwrap();
    let text = soon(|| document.render(&Context::of(&fields), 100_000));
    assert_eq!(text, Err(RenderError::TooManySteps));
}

#[test]
fn a_big_value_shown_often_stops_at_the_limit() {
    let fields = Fields::parse(&format!(r#"{{"a":[{}]}}"#, many(r#""\u0001""#, 30_000))).unwrap();
    let tags = "{{{a}}}".repeat(9_000);
    let text = soon(|| Template::parse(&tags).unwrap().render(&Context::of(&fields), 100_000));
    assert_eq!(text, Err(RenderError::TooLarge));
    let document = Document::parse(&serde_json::json!({ "x": tags })).unwrap();
    assert_eq!(soon(|| document.render(&Context::of(&fields), 100_000)), Err(RenderError::TooLarge));
}

#[test]
fn keys_that_are_left_out_count_against_the_limit() {
    let fields = Fields::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(50_000))).unwrap();
    let document = format!(
        "{{{}}}",
        (0..1_000).map(|n| format!(r#""{{{{a}}}}{{{{! {n}}}}}":0"#)).collect::<Vec<_>>().join(",")
    );
    let document = Document::parse_json(&document).unwrap();
    assert_eq!(soon(|| document.render(&Context::of(&fields), 100_000)), Err(RenderError::TooLarge));
}

#[test]
fn costly_variables_are_computed_once() {
    let value = "x".repeat(1_000_000);
    let variables = Variables::new(Parts { event_value: &value, ..Parts::default() });
    let fields = Fields::default();
    let tags = "{{#PARTICLE_EVENT_BASE64}}{{/PARTICLE_EVENT_BASE64}}{{^PARTICLE_EVENT_JSON}}{{/PARTICLE_EVENT_JSON}}";
    let template = Template::parse(&tags.repeat(600)).unwrap();
    assert_eq!(soon(|| template.render(&Context::new(&variables, &fields), 0)), Ok(String::new()));
}

/// A section over a list asks for each item whether the number is zero.
#[test]
fn a_long_number_is_looked_at_once() {
    for digits in
        ["7".repeat(150_000), format!("0.{}1", "0".repeat(150_000)), format!("{}e-9", "7".repeat(150_000))]
    {
        let fields = Fields::parse(&format!(r#"{{"a":[{}],"n":{digits}}}"#, many("1", 33_000))).unwrap();
        let template = Template::parse("{{#a}}{{#n}}{{/n}}{{/a}}").unwrap();
        assert_eq!(soon(|| template.render(&Context::of(&fields), 0)), Ok(String::new()));
    }
}

#[test]
fn a_limit_is_exact() {
    let fields = Fields::parse(r#"{"a":"é\"<"}"#).unwrap();
    let cases =
        [("\"{{a}}\"", 12), ("\"{{{a}}}\"", 4), ("{\"k\":\"{{{a}}}\"}", 13), ("[\"{{{a}}}\",null]", 14)];
    for (document, bytes) in cases {
        let document = Document::parse_json(document).unwrap();
        let context = Context::of(&fields);
        assert_eq!(document.render(&context, bytes).map(|text| text.len()), Ok(bytes), "{document:?}");
        for limit in 0..bytes {
            assert_eq!(document.render(&context, limit), Err(RenderError::TooLarge), "{document:?}");
        }
    }
}

#[test]
fn sections_are_nested_to_the_bound_and_not_deeper() {
    let problem = |depth| Template::parse(&nested(depth, "x")).map_err(|error| error.problem).err();
    assert_eq!(problem(MAX_SECTION_DEPTH), None);
    assert_eq!(problem(MAX_SECTION_DEPTH + 1), Some(Problem::TooManySections));
    assert_eq!(soon(|| problem(5_000)), Some(Problem::TooManySections));
}

#[test]
fn documents_are_nested_to_the_bound_and_not_deeper() {
    let json = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let problem = |depth| Document::parse_json(&json(depth)).map_err(|error| error.problem).err();
    assert_eq!(problem(MAX_DOCUMENT_DEPTH), None);
    assert_eq!(problem(MAX_DOCUMENT_DEPTH + 1), Some(Problem::TooDeep));
    assert_eq!(soon(|| problem(30_000)), Some(Problem::TooDeep));
    assert!(Fields::parse(&json(MAX_FIELD_DEPTH)).is_some());
    assert!(Fields::parse(&json(MAX_FIELD_DEPTH + 1)).is_none());
    assert!(soon(|| Fields::parse(&json(200_000))).is_none());
}

#[test]
fn texts_and_names_are_as_long_as_the_bound_and_not_longer() {
    let problem = |text: &str| Template::parse(text).map_err(|error| error.problem).err();
    assert_eq!(problem(&"x".repeat(MAX_TEMPLATE_BYTES)), None);
    assert_eq!(problem(&"x".repeat(MAX_TEMPLATE_BYTES + 1)), Some(Problem::TooLong));
    assert_eq!(problem(&format!("{{{{{}}}}}", "x".repeat(MAX_NAME_BYTES))), None);
    assert_eq!(problem(&format!("{{{{{}}}}}", "x".repeat(MAX_NAME_BYTES + 1))), Some(Problem::BadName));
    let long = serde_json::json!(["x".repeat(MAX_TEMPLATE_BYTES)]);
    assert_eq!(Document::parse(&long).map_err(|error| error.problem), Err(Problem::TooLong));
}

#[test]
fn hostile_texts_are_parsed_in_linear_time() {
    let full = |piece: &str| piece.repeat(MAX_TEMPLATE_BYTES / piece.len());
    for piece in [
        "{",
        "{{",
        "{{{",
        "{{!",
        "{{!}}",
        "{{!\n}} ",
        " {{!}}",
        "{{=",
        "{{={ {=}}",
        "{{#a}}{{/a}}",
        "{{a",
        "\t",
    ] {
        let _ = soon(|| Template::parse(&full(piece)));
    }
}
