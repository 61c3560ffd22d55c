//! Particle's documented templates, from the vectors that the documentation shows too.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use fieldhook_core::template::{Context, Document, Fields, Parts, Variables};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    variables: Event,
    data: String,
    template: Box<RawValue>,
    expected: String,
    bytes: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    device_id: String,
    event_name: String,
    published_at: String,
}

#[test]
fn particles_examples_render_as_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/particle-templates.json");
    let vectors: Vectors = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(vectors.cases.len(), 22);
    for case in vectors.cases {
        let variables = Variables::new(Parts {
            device_id: &case.variables.device_id,
            event_name: &case.variables.event_name,
            event_value: &case.data,
            published_at: &case.variables.published_at,
            ..Parts::default()
        });
        let fields = Fields::parse(&case.data).unwrap_or_default();
        let document = Document::parse_json(case.template.get()).unwrap();
        let text = document.render(&Context::new(&variables, &fields), 1_000).unwrap();
        assert_eq!(text, case.expected, "{}", case.name);
        assert!(case.bytes.is_none_or(|bytes| bytes == text.len()), "{}", case.name);
    }
}
