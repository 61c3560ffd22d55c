//! A body and what becomes of it. Parts: proof (`t`oken, `h`ub or `s`tandard signature), Content-Type, query, body.

use super::{parts, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fieldhook_core::clock::Time;
use fieldhook_core::event::{Event, ID_MAX, NAME_MAX, SourceName};
use fieldhook_core::ingest::batch::{DEVICES_MAX, EVENTS_MAX, Item};
use fieldhook_core::ingest::body::{self, Content};
use fieldhook_core::ingest::fields::{Fields, Value};
use fieldhook_core::ingest::{self, Arrival, Ingest};
use fieldhook_core::integration::encoding::form;
use fieldhook_core::problem::Result;
use fieldhook_core::proof::{Credential, Signed};
use fieldhook_core::request::{Body, Headers, Request};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

const NOW: i64 = 1_700_000_000_000;
/// A secret of the deployment: no row may have it, but in the data itself.
const SECRET: &str = "hush";

pub fn check(data: &[u8]) {
    let [proof, declared, query, body] = parts(data);
    let (declared, query) = (text(declared), text(query));
    let headers = typed(&declared);
    for vouched in [true, false] {
        if let Ok(content) = body::read(&headers, body, vouched) {
            holds_the_body(&content, body);
        }
    }
    has_one_reading(body);

    let request = |headers| {
        let url = format!("https://x.dev/hook?{query}");
        Request::new("POST", &url, headers, Body::Bytes(body.to_vec()))
    };
    let token = Credential { token: true, signed: None };
    let credential = match proof.first() {
        Some(b'h') => Credential { token: false, signed: Some(Signed::Hub) },
        Some(b's') => Credential { token: false, signed: Some(Signed::Standard { id: "msg_1".to_owned() }) },
        _ => token.clone(),
    };
    match read(&request(headers), &credential) {
        Ok(Ingest::One(event)) => is_sound(&event),
        Ok(Ingest::Batch(items)) => {
            are_sound(&items);
            if credential == token && query.is_empty() {
                items.iter().for_each(is_the_same_alone);
            }
        }
        Err(problem) => {
            assert!((400..500).contains(&problem.status()), "{problem:?}");
            assert!(serde_json::from_str::<serde_json::Value>(&problem.to_json()).is_ok());
        }
    }
}

fn typed(declared: &str) -> Headers {
    Headers::from_pairs([("content-type", declared)])
}

fn read(request: &Request, credential: &Credential) -> Result<Ingest> {
    ingest::read(&Arrival {
        request,
        source: &SourceName::default(),
        credential,
        now: Time::from_millis(NOW),
        dedup_window: 86_400_000,
        unique: &|| "unique".to_owned(),
        is_secret: &|text| text == SECRET,
    })
}

fn posted(declared: &str, body: &str) -> Result<Ingest> {
    let body = Body::Bytes(body.as_bytes().to_vec());
    let request = Request::new("POST", "https://x.dev/hook", typed(declared), body);
    read(&request, &Credential { token: true, signed: None })
}

/// What was read is what was sent: written again, it is read as the same.
fn holds_the_body(content: &Content<'_>, body: &[u8]) {
    let sent = std::str::from_utf8(body).map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    match (content, sent) {
        (Content::Empty, Ok(sent)) => assert!(sent.trim().is_empty()),
        (Content::Data(data), Ok(sent)) => {
            let decoded = serde_json::from_str::<String>(sent).is_ok_and(|text| text == *data);
            assert!(decoded || sent == data || sent.trim() == data, "{data:?}");
        }
        (Content::Data(data), Err(_)) => {
            let (_, encoded) = data.split_once(";base64,").expect("a data: URL");
            assert_eq!(BASE64.decode(encoded).as_deref(), Ok(body));
        }
        (Content::Batch(items), Ok(sent)) => {
            let (declared, again) = match sent.trim_start().starts_with('[') && sent.trim_end().ends_with(']')
            {
                true if serde_json::from_str::<Vec<&RawValue>>(sent)
                    .is_ok_and(|all| all.len() == items.len()) =>
                {
                    ("application/json", format!("[{}]", items.join(",")))
                }
                _ => ("application/x-ndjson", format!("\n{}", items.join("\n"))),
            };
            let read = body::read(&typed(declared), again.as_bytes(), true);
            assert!(matches!(&read, Ok(Content::Batch(read)) if read == items), "{items:?} {read:?}");
        }
        (Content::Fields(fields), Ok(_)) => {
            let named: Vec<(&str, &Value<'_>)> = fields.unused().collect();
            let texts: Option<Vec<(&str, &str)>> = named
                .iter()
                .map(|(name, value)| match value {
                    Value::Text(text) => Some((*name, text.as_str())),
                    Value::Json(_) => None,
                })
                .collect();
            let object = || {
                let members = named.iter().map(|(name, value)| match value {
                    Value::Json(raw) => format!("{}:{raw}", serde_json::Value::from(*name)),
                    Value::Text(_) => unreachable!("a form has no JSON, and JSON no text"),
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            };
            let again = texts.map_or_else(object, form);
            let read = match again.starts_with('{') {
                true => Fields::from_json(&again).expect("JSON"),
                false => Fields::from_form(again.as_bytes()).expect("a form"),
            };
            let shown = |value: &Value<'_>| value.to_json().map(|json| json.get().to_owned());
            assert!(
                read.unused()
                    .map(|(name, value)| (name, shown(value)))
                    .eq(named.iter().map(|(name, value)| (*name, shown(value))))
            );
        }
        (Content::Empty | Content::Batch(_) | Content::Fields(_), Err(_)) => {
            panic!("{content:?} of what is not UTF-8")
        }
    }
}

/// Where only the body is signed, nothing beside it changes what JSON says.
fn has_one_reading(body: &[u8]) {
    let Ok(sent) = std::str::from_utf8(body) else { return };
    let sent = sent.strip_prefix('\u{feff}').unwrap_or(sent);
    if !sent.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(['{', '[']) {
        return;
    }
    let types =
        ["", "application/json", "application/x-www-form-urlencoded", "application/x-ndjson", "text/plain"];
    let readings: BTreeSet<String> =
        types.iter().map(|declared| format!("{:?}", body::read(&typed(declared), body, false))).collect();
    assert_eq!(readings.len(), 1, "{readings:?}");
}

fn is_sound(event: &Event) {
    let name = event.name.as_str();
    assert!((1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(char::is_control));
    let device = event.device.as_str();
    let bare = device.strip_prefix("source:").unwrap_or(device);
    assert!((1..=NAME_MAX).contains(&bare.len()));
    assert!(bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)), "{device}");
    assert!(event.id.chars().count() <= ID_MAX && !event.id.contains(char::is_control));
    for short in [&event.product_id, &event.fw_version, &event.userid].into_iter().flatten() {
        assert!(short != SECRET && !short.contains(char::is_control));
    }
    if let Some(extra) = &event.extra {
        assert!(!extra.get().contains(['\n', '\r']), "{extra}");
        let members: fieldhook_core::json::Members = serde_json::from_str(extra.get()).expect("an object");
        let names: BTreeSet<&str> = members.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), members.0.len(), "a name given twice: {extra}");
        for (name, value) in &members.0 {
            assert!(!["token", "password", "authorization", SECRET].contains(&name.to_lowercase().as_str()));
            assert_ne!(value.get(), "\"hush\"");
        }
    }
    // As Particle would send it, it is the same event.
    let mut whole = serde_json::json!({
        "event": name, "data": event.data, "event_id": event.id, "published_at": event.published_at.to_string(),
    });
    if event.device.is_device() {
        whole["coreid"] = device.into();
    }
    match posted("application/json", &whole.to_string()) {
        Ok(Ingest::One(again)) => {
            assert_eq!((&again.name, &again.data, &again.id), (&event.name, &event.data, &event.id));
            assert_eq!((&again.device, again.published_at), (&event.device, event.published_at));
        }
        // Escaped, it may be larger than one event may be.
        other => assert!(event.data.len() > 50_000, "{other:?}"),
    }
}

fn are_sound(items: &[Item]) {
    assert!((1..=EVENTS_MAX).contains(&items.len()));
    let events: Vec<&Event> = items.iter().filter_map(|item| item.outcome.as_deref().ok()).collect();
    events.iter().copied().for_each(is_sound);
    let devices: BTreeSet<&str> = events.iter().map(|event| event.device.as_str()).collect();
    assert!(devices.len() <= DEVICES_MAX);
}

/// One item of a batch that nothing is said of beside it is what it would be by itself.
fn is_the_same_alone(item: &Item) {
    if !item.text.starts_with('{') {
        return;
    }
    match (&item.outcome, posted("application/json", &item.text)) {
        (Ok(event), Ok(Ingest::One(alone))) => assert_eq!(format!("{event:?}"), format!("{alone:?}")),
        (Err(problem), Err(alone)) => assert_eq!(problem.code, alone.code, "{}", item.text),
        (outcome, alone) => panic!("{}: {outcome:?} {alone:?}", item.text),
    }
}
