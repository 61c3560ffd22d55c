//! The small readers. Parts: a text, another.

use super::json::{PRIVATE, read, same};
use super::{parts, text};
use fieldhook_core::canonical::{Json, whole};
use fieldhook_core::clock::Time;
use fieldhook_core::commands::Request as Command;
use fieldhook_core::delivery::retry_after::{self, RETRY_AFTER_MAX};
use fieldhook_core::ingest::fields::{Fields, Value};
use fieldhook_core::integration::encoding::{form, request_line};
use fieldhook_core::json::{Members, shown};
use fieldhook_core::request::{Body, Headers, Request};
use fieldhook_core::series::number_at;
use serde_json::value::RawValue;

const NOW: i64 = 784_111_740_000;
const DEEP: usize = 32;

pub fn check(data: &[u8]) {
    let [given, other] = parts(data);
    let (given, other) = (text(given), text(other));
    waits_within_bounds(&given);
    if let Some(time) = Time::parse(&given) {
        assert_eq!(Time::parse(&time.to_string()), Some(time));
    }
    says_the_same(&given, &other);
    is_shown_on_one_line(&given);
    has_a_number(&given, &other);
    is_a_form(&given, &other);
    is_a_url(&given);
    let _ = (Command::read(&given), Command::read_all(&given));
    if let Some(number) = whole(&given) {
        assert_eq!(number.to_string(), *given);
    }
}

fn waits_within_bounds(given: &str) {
    let now = Time::from_millis(NOW);
    let wait = retry_after::read(given, now);
    assert!(wait.is_none_or(|wait| (0..=RETRY_AFTER_MAX).contains(&wait)));
    if let Ok(seconds) = given.parse::<u16>()
        && given.bytes().all(|byte| byte.is_ascii_digit())
    {
        assert_eq!(wait, Some(i64::from(seconds) * 1_000));
    }
}

fn says_the_same(given: &str, other: &str) {
    let Ok(json) = Json::parse(given, DEEP) else { return };
    let again = Json::parse(json.text(), DEEP).expect("its own spelling is JSON");
    assert_eq!(again.text(), json.text());
    if let Some(value) = read(given) {
        assert_eq!(read(json.text()), Some(value.clone()));
        assert!(same(&value, &value));
    }
    let Ok(other) = Json::parse(other, DEEP) else { return };
    assert_eq!(json.same(&other), other.same(&json));
    assert!(json.text() != other.text() || json.same(&other));
}

fn is_shown_on_one_line(given: &str) {
    let shown = shown(given);
    assert!(!shown.get().contains(['\n', '\r']));
    let as_json = read(given).is_some_and(|value| read(shown.get()) == Some(value));
    let as_text = serde_json::from_str::<String>(shown.get()).is_ok_and(|text| text == given);
    // Half a character is grammatical JSON (RFC 8259, 8.2) and stays what it is; serde_json reads none.
    let unread = [PRIVATE, "\\ud", "\\uD"].iter().any(|text| given.contains(text));
    assert!(as_json || as_text || unread, "{shown}");
    if let Some(members) = Members::parse(given) {
        let again = Members::parse(&members.to_json()).expect("members are written");
        let all = |members: &Members| -> Vec<(String, String)> {
            members
                .0
                .iter()
                .map(|(name, value): &(String, Box<RawValue>)| (name.clone(), value.get().to_owned()))
                .collect()
        };
        assert_eq!(all(&again), all(&members));
    }
}

fn has_a_number(data: &str, path: &str) {
    assert!(number_at(data, path).is_none_or(f64::is_finite));
    let Some(json) = read(data) else { return };
    if let Some(number) = json.get(path).filter(|_| !path.contains('.')) {
        let expected = number.as_f64().filter(|number| number.is_finite());
        if number.is_number() && !path.is_empty() {
            assert_eq!(number_at(data, path), expected);
        }
    }
}

fn is_a_form(name: &str, value: &str) {
    let written = form([(name, value), ("a", name)]);
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
    let fields = Fields::from_form(written.as_bytes()).expect("two fields");
    let read: Vec<(&str, &Value<'_>)> = fields.unused().collect();
    let is = |(found, text): &(&str, &Value<'_>), name: &str, value: &str| {
        *found == name && matches!(text, Value::Text(text) if text == value)
    };
    assert!(read.last().is_some_and(|last| is(last, "a", name)), "{read:?}");
    assert!(read.len() < 2 || is(&read[0], name, value), "{read:?}");
    assert!(request_line(name).bytes().all(|byte| byte.is_ascii_graphic()));
}

fn is_a_url(given: &str) {
    let request = Request::new("GET", given, Headers::new(given.to_owned()), Body::TooLarge);
    assert!(
        request.path.starts_with('/') && !request.path.contains(['?', '#']) && !request.query.contains('#')
    );
    assert_eq!(request.segments().len(), request.path.matches('/').count());
    let _ = (request.query_fields().count(), request.headers.iter().count(), request.headers.get(given));
}
