//! Masks: what is shown holds no secret, and what comes back masked is the same definition.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod way_out;

use fieldhook_core::integration::{Definition, Face, MASK, Secrets};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use way_out::{at, compiled, read, sample, with_secrets};

fn shown(definition: &str) -> String {
    read(definition, Face::Integration).masked().0.get().to_owned()
}

#[test]
fn secrets_are_found_by_name_and_place() {
    let definition = json!({
        "event": "t",
        "url": "https://h.com/a?x=1&Api_Key=s1&y={{{y}}}",
        "auth": {"username": "me", "password": "s2"},
        "headers": {"AUTHORIZATION": "Bearer s3", "X-AIO-Key": "s4", "X-Room": "lab"},
        "query": {"key": "s5", "appid": "s6", "q": "a"},
        "json": {"a": [{"accessToken": "s7", "key": "shown"}], "token": {"deep": ["s8", 90210, true, null, ""]}},
        "secret": "s9",
        "template": {"client_secret": "s10"},
        "responseTemplate": {"token": "s11"},
    });
    let shown = shown(&definition.to_string());
    for n in 1..=11 {
        assert!(!shown.contains(&format!("\"s{n}\"")) && !shown.contains(&format!("=s{n}")), "s{n}: {shown}");
    }
    assert!(!shown.contains("90210") && !shown.contains("Bearer"));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["url"], format!("https://h.com/a?x=1&Api_Key={MASK}&y={{{{{{y}}}}}}"));
    assert_eq!(shown["auth"], json!({"username": "me", "password": MASK}));
    assert_eq!(shown["json"]["token"]["deep"], json!([MASK, MASK, true, null, ""]));
    assert_eq!((&shown["json"]["a"][0]["key"], &shown["query"]["q"]), (&json!("shown"), &json!("a")));
}

#[test]
fn each_spelling_of_proof_is_hidden_but_not_who_proves() {
    assert_eq!(
        shown(r#"{"event":"t","url":"https://h.com/","auth":{"user":"me","pass":"p"}}"#),
        r#"{"event":"t","url":"https://h.com/","auth":{"user":"me","pass":"********"}}"#
    );
    assert!(
        shown(r#"{"event":"t","url":"https://h.com/","auth":{"bearer":"p"}}"#)
            .contains(r#""bearer":"********""#)
    );
}

#[test]
fn of_a_name_given_twice_nothing_is_left_over() {
    let definition = r#"{"event":"t","url":"https://h.com/?token=a1&token=a2","headers":{"token":"a3","x":"1","token":"a4"}}"#;
    let definition = read(definition, Face::Integration);
    let (shown, secrets) = definition.masked();
    assert_eq!(
        shown.get(),
        r#"{"event":"t","url":"https://h.com/?token=********&token=********","headers":{"x":"1","token":"********"}}"#
    );
    let outgoing = at(&with_secrets(&definition, &secrets), &sample("t", ""), 0).unwrap();
    assert_eq!(outgoing.url, "https://h.com/?token=a1&token=a2");
    assert_eq!(way_out::header(&outgoing, "token"), Some("a4"));
}

#[test]
fn a_secret_keeps_its_type() {
    let definition = r#"{"event":"t","url":"https://h.com/","json":{"token":1.50},"noDefaults":true}"#;
    let outgoing = at(&compiled(definition, Face::Integration), &sample("t", ""), 0).unwrap();
    assert_eq!(outgoing.body.as_deref(), Some(r#"{"token":1.50}"#));
}

#[test]
fn a_url_that_is_a_secret_comes_back_whole() {
    for url in [
        "https://hooks.slack.com/services/T0/B0/abcdef",
        "https://discord.com/api/webhooks/1/abcdef?wait=true",
        "https://api.telegram.org/bot1:abcdef/sendMessage",
        "https://maker.ifttt.com/trigger/e/with/key/abcdef",
    ] {
        let definition =
            read(&format!(r#"{{"event":"t","url":"{url}","noDefaults":true}}"#), Face::Integration);
        let (shown, secrets) = definition.masked();
        assert!(!shown.get().contains("abcdef"), "{}", shown.get());
        let again = Definition::read(shown.get().as_bytes(), Face::Integration, Some(&secrets)).unwrap();
        assert_eq!(again.masked().1, secrets);
        assert_eq!(
            at(&with_secrets(&again, &secrets), &sample("t", ""), 0).unwrap().url.split('?').next(),
            url.split('?').next()
        );
    }
}

#[test]
fn neither_secrets_nor_definitions_show_themselves_by_accident() {
    let definition = read(r#"{"event":"t","url":"https://h.com/","secret":"hushhush"}"#, Face::Integration);
    let debug = format!("{definition:?} {:?}", definition.masked().1);
    assert!(!debug.contains("hushhush"), "{debug}");
    assert!(Secrets::parse("[]").is_none());
}

#[test]
fn a_secret_is_looked_for_with_and_without_its_scheme() {
    let definition = read(
        r#"{"event":"t","url":"https://h.com/","headers":{"Authorization":"Bearer abcd"}}"#,
        Face::Integration,
    );
    let texts: Vec<String> = definition.masked().1.texts().collect();
    assert_eq!(texts, ["Bearer abcd", "abcd"]);
}

/// A text that stands for a secret and cannot come about otherwise.
const HUSH: &str = "hUsH5";

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        Just("Authorization".to_owned()),
        Just("x-api-key".to_owned()),
        Just("apiToken".to_owned()),
        Just("password".to_owned()),
        Just("a/b~c_secret".to_owned()),
        Just("********".to_owned()),
    ]
}

/// A value whose strings are secrets wherever a secret name is above them.
fn value(hidden: bool) -> BoxedStrategy<Value> {
    let leaf = if hidden {
        prop_oneof![
            Just(json!(HUSH)),
            Just(json!(format!("Bearer {HUSH}"))),
            Just(json!(12)),
            Just(Value::Null)
        ]
        .boxed()
    } else {
        prop_oneof!["[a-z {}\"\\\\é]{0,8}".prop_map(Value::from), Just(json!(1.5)), Just(json!(false))]
            .boxed()
    };
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
    .boxed()
}

/// Members of which those with a secret name hold the secret.
fn members() -> impl Strategy<Value = Value> {
    let secret = |name: &str| fieldhook_core::integration::names::is_secret(name);
    let member =
        name().prop_flat_map(move |name| value(secret(&name)).prop_map(move |value| (name.clone(), value)));
    prop::collection::vec(member, 0..5)
        .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>()))
}

proptest! {
    #[test]
    fn nothing_secret_is_shown_and_all_of_it_comes_back(
        extra in members(), more in members(), query in "[a-z]{1,4}", secret in "[a-zA-Z0-9]{8,12}",
    ) {
        let definition = json!({
            "event": "t",
            "url": format!("https://h.com/{query}?{query}=1&access_token={HUSH}&{query}#x"),
            "auth": {"username": "u", "password": HUSH},
            "headers": {"X-Secret": HUSH},
            "secret": secret,
            "console": extra,
            "more": more,
        });
        let definition = Definition::read(definition.to_string().as_bytes(), Face::Integration, None).unwrap();
        let (shown, secrets) = definition.masked();
        prop_assert!(!shown.get().contains(HUSH) && !shown.get().contains(&secret), "{}", shown.get());
        // Sealed and opened, shown and sent back: the same.
        let secrets = Secrets::parse(&secrets.to_json()).unwrap();
        let again = Definition::read(shown.get().as_bytes(), Face::Integration, Some(&secrets)).unwrap();
        let (shown_again, secrets_again) = again.masked();
        prop_assert_eq!(shown_again.get(), shown.get());
        prop_assert_eq!(secrets_again, secrets);
    }
}
