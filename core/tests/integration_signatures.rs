//! Deliveries signed as Standard Webhooks wants it, verified by the code that verifies what comes in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod way_out;

use fieldhook_core::clock::Time;
use fieldhook_core::integration::{Definition, Face, Outgoing, subscription::is_shaken};
use fieldhook_core::proof::signature::{Secret, StandardHeaders, Verdict, check_hub, check_standard};
use proptest::prelude::*;
use way_out::{NOW, RULES, at, header, particle, read, sample, sent, with_secrets};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn verdict(outgoing: &Outgoing, secret: &str, now: i64) -> Verdict {
    let headers = StandardHeaders {
        id: header(outgoing, "webhook-id").unwrap(),
        timestamp: header(outgoing, "webhook-timestamp").unwrap(),
        signature: header(outgoing, "webhook-signature").unwrap_or_default(),
    };
    let body = outgoing.body.as_deref().unwrap_or_default().as_bytes();
    check_standard(&[Secret::parse(secret).unwrap()], headers, body, now / 1000)
}

fn signed(secret: &str) -> Definition {
    let definition = format!(r#"{{"events":"t","target_url":"https://h.com/","secret":"{secret}"}}"#);
    read(&definition, Face::Subscription)
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let outgoing = sent(&particle(r#"{"event":"t","url":"https://h.com/"}"#), &sample("t", "1"));
    assert_eq!(header(&outgoing, "webhook-signature"), None);
}

#[test]
fn during_a_rotation_both_secrets_verify_and_afterwards_the_new_one() {
    let definition = signed(SECRET);
    let until = Time::from_millis(NOW + 1000);
    let rotated = definition.masked().1.rotated(NEXT, until);
    let hook = with_secrets(&definition, &rotated);
    let event = sample("t", "1");
    let during = at(&hook, &event, NOW + 999).unwrap();
    assert_eq!(header(&during, "webhook-signature").unwrap().split(' ').count(), 2);
    assert_eq!([SECRET, NEXT].map(|secret| verdict(&during, secret, NOW)), [Verdict::Valid; 2]);
    let after = at(&hook, &event, NOW + 1000).unwrap();
    let verdicts = [SECRET, NEXT].map(|secret| verdict(&after, secret, NOW));
    assert_eq!(verdicts, [Verdict::Invalid, Verdict::Valid]);
}

#[test]
fn a_rotation_outlives_a_put_that_keeps_the_secret_and_ends_with_one_that_does_not() {
    let (shown, secrets) = signed(SECRET).masked();
    let rotated = secrets.rotated(NEXT, Time::from_millis(NOW + 1000));
    let kept = Definition::read(shown.get().as_bytes(), Face::Subscription, Some(&rotated)).unwrap();
    assert_eq!(kept.masked().1, rotated);
    let replaced = shown.get().replace("********", SECRET);
    let replaced = Definition::read(replaced.as_bytes(), Face::Subscription, Some(&rotated)).unwrap();
    assert_eq!(replaced.masked().1.previous(), None);
}

#[test]
fn a_secret_that_is_no_whsec_signs_as_hubs_do_too() {
    let hook = particle(
        r#"{"event":"t","url":"https://h.com/","secret":"plain","headers":{"X-Hub-Signature-256":"forged"}}"#,
    );
    let outgoing = sent(&hook, &sample("t", "1"));
    let signature = header(&outgoing, "x-hub-signature-256").unwrap();
    let body = outgoing.body.as_deref().unwrap().as_bytes();
    assert!(check_hub(&[Secret::parse("plain").unwrap()], signature, body));
    assert!(header(&outgoing, "webhook-signature").unwrap().starts_with("v1,"));
}

#[test]
fn a_secret_can_be_made_for_a_definition() {
    let definition = read(r#"{"events":"t","target_url":"https://h.com/"}"#, Face::Subscription);
    assert_eq!(definition.secret(), None);
    let definition = definition.signed_with(SECRET).unwrap();
    assert_eq!(definition.secret().as_deref(), Some(SECRET));
    let (shown, secrets) = definition.masked();
    assert_eq!(shown.get(), r#"{"events":"t","target_url":"https://h.com/","secret":"********"}"#);
    let outgoing = sent(&with_secrets(&definition, &secrets), &sample("t", "1"));
    assert_eq!(verdict(&outgoing, SECRET, NOW), Verdict::Valid);
}

#[test]
fn a_handshake_sends_the_secret_and_wants_it_back() {
    let definition = r#"{"events":"t","target_url":"https://h.com/in","handshake":true}"#;
    let definition = read(definition, Face::Subscription);
    assert_eq!(definition.handshake(&RULES).unwrap_err().field.as_deref(), Some("secret"));
    let asked = definition.signed_with(SECRET).unwrap().handshake(&RULES).unwrap().unwrap();
    assert_eq!((asked.method, asked.url.as_str()), ("POST", "https://h.com/in"));
    assert!(is_shaken(200, header(&asked, "X-Hook-Secret"), SECRET));
    assert!(!is_shaken(200, Some("other"), SECRET));
    assert_eq!(signed(SECRET).handshake(&RULES).unwrap(), None);
}

proptest! {
    #[test]
    fn whatever_the_event_its_delivery_verifies(event in "[^\\x00-\\x1f\\x7f]{1,64}", data in ".*") {
        let definition = signed(SECRET);
        let hook = with_secrets(&definition, &definition.masked().1);
        let outgoing = sent(&hook, &sample(&event, &data));
        prop_assert_eq!(verdict(&outgoing, SECRET, NOW), Verdict::Valid);
        let changed = Outgoing { body: Some(format!("{} ", outgoing.body.as_deref().unwrap())), ..outgoing };
        prop_assert_eq!(verdict(&changed, SECRET, NOW), Verdict::Invalid);
    }
}
