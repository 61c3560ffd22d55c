//! Whatever an event says, its request keeps its host and its lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod way_out;

use fieldhook_core::integration::Outgoing;
use fieldhook_core::target::Target;
use proptest::prelude::*;
use serde_json::json;
use way_out::{NOW, RULES, at, header, particle, sample, sent};

/// Data in every place that is templated.
fn everywhere(path: &str) -> String {
    json!({
        "event": "t",
        "url": format!("https://api.example.com{path}"),
        "headers": {"X-A": "{{{v}}}", "X-{{{n}}}": "b", "Authorization": "Bearer mine"},
        "query": {"q{{{n}}}": "{{{v}}}"},
        "auth": {"username": "{{{n}}}", "password": "{{{v}}}"},
        "json": {"{{{n}}}": "{{{v}}}"},
    })
    .to_string()
}

fn check(outgoing: &Outgoing) -> Result<(), TestCaseError> {
    prop_assert!(outgoing.url.starts_with("https://api.example.com/"), "{}", outgoing.url);
    prop_assert!(outgoing.url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'), "{}", outgoing.url);
    let target = Target::check(&outgoing.url, &RULES).unwrap();
    prop_assert_eq!((target.host.as_str(), target.port), ("api.example.com", 443));
    for (name, value) in &outgoing.headers {
        prop_assert!(!name.contains([':', '\r', '\n', '\0', ' ']) && !value.contains(['\r', '\n', '\0']));
        let same = outgoing.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
        prop_assert_eq!(same, 1, "{}", name);
    }
    prop_assert_eq!(header(outgoing, "authorization"), Some("Bearer mine"));
    prop_assert_eq!(header(outgoing, "webhook-id"), Some("msg_1"));
    prop_assert_eq!(header(outgoing, "host"), None);
    let body = outgoing.body.as_deref().unwrap();
    prop_assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{}", body);
    Ok(())
}

/// What somebody who controls a device would try.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[@:/?#\\\\%\\[\\]. a\r\n\t\0]{0,12}",
        Just("@evil.example/".to_owned()),
        Just("\r\nHost: evil.example".to_owned()),
        Just("//evil.example/".to_owned()),
        Just("\\\\evil.example\\".to_owned()),
        Just("/../../@evil.example".to_owned()),
        Just(".evil.example".to_owned()),
        Just(":80@evil.example".to_owned()),
        Just("%0d%0aX: y".to_owned()),
        Just("Authorization".to_owned()),
        Just("x-a".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_event_moves_a_request(
        v in hostile(),
        n in hostile(),
        path in prop_oneof![Just("/{{{v}}}"), Just("?x={{{v}}}"), Just("#{{{v}}}"), Just("/a/{{v}}/{{{n}}}?{{{n}}}={{{v}}}")],
    ) {
        let data = json!({"v": v, "n": n}).to_string();
        match at(&particle(&everywhere(path)), &sample("t", &data), NOW) {
            Ok(outgoing) => check(&outgoing)?,
            Err(why) => prop_assert!(["bad-header", "bad-url", "template"].contains(&why.name)),
        }
    }

    #[test]
    fn a_control_character_is_refused_not_stripped(c in "[\x00-\x1f\x7f]", around in "[a-z]{0,4}") {
        prop_assume!(c != "\t");
        let data = json!({"v": format!("{around}x{c}x{around}")}).to_string();
        let name = |definition: &str| at(&particle(definition), &sample("t", &data), NOW).unwrap_err().name;
        prop_assert_eq!(name(r#"{"event":"t","url":"https://h.com/{{{v}}}"}"#), "bad-url");
        prop_assert_eq!(name(r#"{"event":"t","url":"https://h.com/","headers":{"a":"{{{v}}}"}}"#), "bad-header");
        prop_assert_eq!(name(r#"{"event":"t","url":"https://h.com/","headers":{"a{{{v}}}":"b"}}"#), "bad-header");
        prop_assert_eq!(name(r#"{"event":"t","url":"https://h.com/","auth":{"bearer":"{{{v}}}"}}"#), "bad-header");
    }

    #[test]
    fn no_definition_panics(text in ".*", more in "[{}\\[\\]\":,a-z#?&=*/]{0,60}") {
        use fieldhook_core::integration::{Definition, Face};
        for body in [text.clone(), format!(r#"{{"event":"t","url":"https://h.com/{more}","x":{more}}}"#)] {
            let _ = Definition::read(body.as_bytes(), Face::Integration, None);
            let _ = Definition::read(body.as_bytes(), Face::Subscription, None);
        }
    }
}

#[test]
fn what_renders_to_too_much_is_not_sent() {
    let hook = particle(
        r##"{"event":"t","url":"https://h.com/","body":"{{#a}}{{#a}}{{#a}}{{b}}{{/a}}{{/a}}{{/a}}"}"##,
    );
    let data = format!(r#"{{"a":[{}0],"b":"{}"}}"#, "0,".repeat(99), "x".repeat(1000));
    assert_eq!(at(&hook, &sample("t", &data), NOW).unwrap_err().name, "template");
}

#[test]
fn all_pairs_of_a_request_share_the_bytes_and_steps_of_one_template() {
    let pairs = |count: usize, template: &str| -> serde_json::Value {
        (0..count).map(|n| (format!("k{n}"), json!(template))).collect::<serde_json::Map<_, _>>().into()
    };
    let length = |place: &str, pairs: serde_json::Value, data: &str| {
        let hook = json!({"event": "t", "url": "https://h.com/", place: pairs}).to_string();
        let outgoing = at(&particle(&hook), &sample("t", data), NOW);
        outgoing.map(|outgoing| outgoing.body.unwrap_or_default().len()).map_err(|why| why.name)
    };
    let large = json!({"v": "x".repeat(16_000)}).to_string();
    let list = json!({"a": vec![0; 300]}).to_string();
    for place in ["form", "headers", "query"] {
        assert_eq!(length(place, pairs(200, "{{{v}}}"), &large), Err("template"), "{place}");
        assert_eq!(length(place, pairs(50, "{{#a}}{{#a}}{{/a}}{{/a}}"), &list), Err("template"), "{place}");
    }
    assert!(length("form", pairs(50, "{{{v}}}"), &large).is_ok_and(|length| length > 50 * 16_000));
}

#[test]
fn what_an_event_names_takes_no_written_headers_place() {
    let hook = particle(
        r#"{"event":"t","url":"https://h.com/","headers":{"{{{n}}}":"theirs","X-Role":"reader","Host":"evil.example"}}"#,
    );
    for name in ["X-Role", "x-role", "webhook-id", "WEBHOOK-SIGNATURE", "Content-Length", "host"] {
        let outgoing = sent(&hook, &sample("t", &json!({"n": name}).to_string()));
        assert!(outgoing.headers.iter().all(|(_, value)| value != "theirs"), "{name}: {outgoing:?}");
    }
}
