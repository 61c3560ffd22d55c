use super::*;
use crate::proof::Signed;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;

struct Sent {
    request: Request,
    credential: Credential,
}

fn post(content_type: &str, body: &str) -> Sent {
    let headers = Headers::from_pairs([("content-type", content_type)]);
    let request = Request::new("POST", "https://x.dev/hook", headers, Body::Bytes(body.as_bytes().to_vec()));
    Sent { request, credential: Credential { token: true, signed: None } }
}

impl Sent {
    fn to(mut self, url: &str) -> Self {
        let Request { method, headers, body, .. } = self.request;
        self.request = Request::new(method.as_str(), url, headers, body);
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let pairs = self.request.headers.iter().chain([(name, value)]);
        self.request.headers = Headers::from_pairs(pairs.collect::<Vec<_>>());
        self
    }

    fn proven_by(mut self, signed: Signed) -> Self {
        self.credential = Credential { token: false, signed: Some(signed) };
        self
    }

    fn read(&self) -> Result<Ingest> {
        read(&Arrival {
            request: &self.request,
            source: &SourceName::default(),
            credential: &self.credential,
            now: Time::from_millis(NOW),
            dedup_window: 86_400_000,
            unique: &|| "unique".to_owned(),
            is_secret: &|text| text == "hush",
        })
    }

    fn event(&self) -> Event {
        match self.read().unwrap() {
            Ingest::One(event) => *event,
            Ingest::Batch(_) => panic!("a batch"),
        }
    }

    fn refused(&self) -> (Code, Option<String>) {
        let problem = self.read().unwrap_err();
        (problem.code, problem.field)
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn particles_default_form_is_read_as_documented() {
    let event = post(
        FORM,
        "event=demo&data=mydata&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=3f002b000000000000000000",
    )
    .event();
    assert_eq!(event.name.as_str(), "demo");
    assert_eq!(event.data, "mydata");
    assert_eq!(event.device.as_str(), "3f002b000000000000000000");
    assert_eq!(event.published_at.to_string(), "2017-02-01T21:08:05.763Z");
    assert!(event.derived && event.extra.is_none());
}

#[test]
fn the_body_wins_over_the_query_and_the_query_over_headers() {
    let sent = post(JSON, r#"{"event":"body"}"#)
        .to("https://x.dev/hook?event=query&coreid=query-device")
        .with("x-particle-event-name", "header")
        .with("x-particle-device-id", "header-device")
        .with("x-particle-event-id", "header-id")
        .with("x-particle-published-at", "2017-02-01T21:08:05.763Z")
        .with("x-particle-product-id", "17");
    let event = sent.event();
    assert_eq!((event.name.as_str(), event.device.as_str()), ("body", "query-device"));
    assert_eq!((event.id.as_str(), event.derived), ("header-id", false));
    assert_eq!(event.published_at.to_string(), "2017-02-01T21:08:05.763Z");
    assert_eq!(event.product_id.as_deref(), Some("17"));
    // What came second is not lost: it is extra.
    assert_eq!(event.extra.unwrap().get(), r#"{"event":"query"}"#);
}

#[test]
fn every_spelling_is_known() {
    let event = post(
        JSON,
        r#"{"name":"n","value":1.50,"deviceID":"d","id":7,"productID":12,"version":3,"userid":"u","ttl":60}"#,
    )
    .event();
    assert_eq!((event.name.as_str(), event.data.as_str(), event.device.as_str()), ("n", "1.50", "d"));
    assert_eq!((event.id.as_str(), event.product_id.as_deref()), ("7", Some("12")));
    assert_eq!((event.fw_version.as_deref(), event.userid.as_deref()), (Some("3"), Some("u")));
    assert_eq!(event.extra.unwrap().get(), r#"{"ttl":60}"#);
}

#[test]
fn an_empty_or_null_spelling_gives_way_to_the_next() {
    let event =
        post(JSON, r#"{"event":"","name":"n","fw_version":null,"version":3,"userid":{"a":1}}"#).event();
    assert_eq!((event.name.as_str(), event.fw_version.as_deref()), ("n", Some("3")));
    // What cannot be the owner refuses nothing, and is not lost.
    assert_eq!((event.userid, event.extra.unwrap().get()), (None, r#"{"userid":{"a":1}}"#));
}

#[test]
fn a_token_reaches_no_row_wherever_it_was_put() {
    let sent = post(JSON, r#"{"event":"t","note":"hush","a":1}"#)
        .to("https://x.dev/hook?key=hush&hush=1&x-fieldhook-token=x&b=2");
    assert_eq!(sent.event().extra.unwrap().get(), r#"{"a":1,"b":"2"}"#);
}

#[test]
fn extra_is_one_line_of_a_bearable_depth() {
    let deep = format!(r#"{{"event":"t","x":{}{},"y":[{}1]}}"#, "[".repeat(99), "]".repeat(99), "\n");
    let extra = post(JSON, &deep).event().extra.unwrap();
    assert!(extra.get().starts_with(r#"{"x":"[["#) && !extra.get().contains('\n'), "{extra}");
}

#[test]
fn a_signed_event_is_the_same_whatever_path_it_is_sent_to() {
    let sent = post(JSON, r#"{"event":"t"}"#).proven_by(Signed::Standard { id: "m".into() });
    assert_eq!(sent.event().device.as_str(), "source:default");
}

#[test]
fn what_stands_beside_a_batch_is_said_of_every_item_but_for_an_id() {
    let sent = post(JSON, r#"[{"event":"a"},{"event":"b","coreid":"own"}]"#)
        .to("https://x.dev/hook?coreid=common&event_id=1")
        .with("x-particle-event-id", "1");
    let Ok(Ingest::Batch(items)) = sent.read() else { panic!() };
    let events: Vec<&Event> = items.iter().map(|item| &**item.outcome.as_ref().unwrap()).collect();
    assert_eq!((events[0].device.as_str(), events[1].device.as_str()), ("common", "own"));
    assert!(events.iter().all(|event| event.derived));
}

#[test]
fn a_text_body_is_the_data() {
    let event = post("text/plain", "21.5 °C").to("https://x.dev/hook?event=t&coreid=d").event();
    assert_eq!(event.data, "21.5 °C");
    let event = post(JSON, "21.50").to("https://x.dev/hook?event=t").event();
    assert_eq!((event.data.as_str(), event.device.as_str()), ("21.50", "source:default"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    assert_eq!(post(JSON, "{}").refused(), (Code::MissingField, Some("event".into())));
    assert_eq!(post(JSON, r#"{"event":""}"#).refused(), (Code::MissingField, Some("event".into())));
    assert_eq!(post(JSON, r#"{"event":{}}"#).refused(), (Code::BadField, Some("event".into())));
    let long = format!(r#"{{"event":"{}"}}"#, "x".repeat(65));
    assert_eq!(post(JSON, &long).refused(), (Code::BadField, Some("event".into())));
    assert_eq!(
        post(JSON, r#"{"event":"t","coreid":"a/b"}"#).refused(),
        (Code::BadField, Some("coreid".into()))
    );
    assert_eq!(post(JSON, r#"{"event":"t""#).refused(), (Code::BadJson, None));
    let problem = post(FORM, r#"{"event":"t"}"#).read().unwrap_err();
    assert!(problem.detail.contains("looks like JSON"), "{}", problem.detail);
}

#[test]
fn a_derived_id_repeats_only_with_a_time() {
    let timed = r#"{"event":"t","data":"1","published_at":"2017-02-01T21:08:05Z","coreid":"d"}"#;
    assert_eq!(post(JSON, timed).event().key, post(JSON, timed).event().key);
    for untimed in [r#"{"event":"t","data":"1"}"#, r#"{"event":"t","data":"1","published_at":"noon"}"#] {
        let event = post(JSON, untimed).event();
        assert_eq!(event.id, event::derive_id("t", "1", "unique"));
        assert_eq!(event.published_at.millis(), NOW);
        assert!(!event.repeatable);
    }
}

#[test]
fn a_signature_alone_proves_the_body_and_nothing_else() {
    let sent = || {
        post(JSON, r#"{"event":"t","coreid":"d","id":"own"}"#)
            .to("https://x.dev/hook?data=forged&userid=forged")
            .with("x-particle-event-id", "forged")
            .with("x-particle-product-id", "forged")
    };
    let event = sent().proven_by(Signed::Standard { id: "msg_1".into() }).event();
    assert_eq!((event.id.as_str(), event.data.as_str()), ("msg_1", ""));
    assert!(event.product_id.is_none() && event.userid.is_none() && event.extra.is_none());
    assert_eq!(sent().proven_by(Signed::Hub).event().id, "own");
}

#[test]
fn a_hub_signed_event_must_be_recognisable_when_it_comes_back() {
    let hub = |body: &str| post(JSON, body).proven_by(Signed::Hub);
    assert_eq!(hub(r#"{"event":"t"}"#).refused(), (Code::StaleSignature, Some("event_id".into())));
    let old = r#"{"event":"t","id":"1","published_at":"2017-02-01T21:08:05Z"}"#;
    assert_eq!(hub(old).refused(), (Code::StaleSignature, Some("published_at".into())));
    let recent = format!(r#"{{"event":"t","id":"1","published_at":"{}"}}"#, Time::from_millis(NOW - 1000));
    assert!(hub(&recent).read().is_ok());
}

#[test]
fn a_batch_is_read_item_by_item() {
    let sent = post(JSON, r#"[{"event":"a","id":"1"}, 7, {"event":""}, {"event":"b"}]"#);
    let Ok(Ingest::Batch(items)) = sent.proven_by(Signed::Standard { id: "m".into() }).read() else {
        panic!()
    };
    let outcomes: Vec<_> = items
        .iter()
        .map(|item| match &item.outcome {
            Ok(event) => event.id.clone(),
            Err(problem) => problem.code.as_str().to_owned(),
        })
        .collect();
    assert_eq!(outcomes, ["m/0", "bad-json", "missing-field", "m/3"]);
    assert_eq!(items[1].text, "7");
}

#[test]
fn a_batch_has_bounds() {
    let many = format!("[{}]", vec![r#"{"event":"t"}"#; 501].join(","));
    assert_eq!(post(JSON, &many).refused().0, Code::BatchTooLarge);
    let devices: Vec<String> = (0..101).map(|n| format!(r#"{{"event":"t","coreid":"d{n}"}}"#)).collect();
    assert_eq!(post(JSON, &format!("[{}]", devices.join(","))).refused().0, Code::BatchTooLarge);
    assert_eq!(post(JSON, "[]").refused().0, Code::EmptyBatch);
}

#[test]
fn an_event_knows_how_many_deliveries_it_came_through() {
    let event = |hop: &str| post(JSON, r#"{"event":"t"}"#).with("fieldhook-hop", hop).event();
    assert_eq!(post(JSON, r#"{"event":"t"}"#).event().hops, 0);
    assert_eq!((event("2").hops, event("often").hops), (2, 0));
    // Nobody signed it, and it counts all the same: a circle of signed deliveries has to end too.
    let signed = post(JSON, r#"{"event":"t"}"#).proven_by(Signed::Standard { id: "1".into() });
    assert_eq!(signed.with("fieldhook-hop", "3").event().hops, 3);
    assert_eq!(post(JSON, r#"{"event":"t"}"#).with("fieldhook-hop", "4").refused().0, Code::HopLimit);
}

proptest! {
    #[test]
    fn no_input_panics(
        body in ".*",
        query in ".{0,40}",
        declared in "(|application/json|text/plain|application/x-ndjson|application/x-www-form-urlencoded)",
        method in "(GET|POST|PUT|DELETE|PATCH)",
        token: bool,
    ) {
        let mut sent = post(&declared, &body).to(&format!("https://x.dev/hook?{query}"));
        sent.request.method = Method::parse(&method);
        sent.credential.token = token;
        let _ = sent.read();
    }

    #[test]
    fn json_of_every_shape_is_read_or_refused(event in ".{0,80}", data in ".*", id in ".{0,300}", device in ".{0,70}") {
        let body = serde_json::json!({"event": event, "data": data, "id": id, "coreid": device}).to_string();
        if let Ok(Ingest::One(event)) = post(JSON, &body).read() {
            prop_assert_eq!(event.data, data);
        }
    }
}
