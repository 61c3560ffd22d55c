//! What a definition may say: Particle's own as they are, and each mistake told at its property.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod way_out;

use fieldhook_core::integration::{Definition, Face, Listed, Reason, Stored, definition::DEFINITION_MAX};
use fieldhook_core::problem::Code;
use fieldhook_core::target::Rules;
use way_out::{RULES, particle, read, refused, sample, sent, stored};

#[test]
fn definitions_as_particle_has_them_work_unchanged() {
    for definition in [
        // The reference, and what its console exports: settings that mean nothing here, empty topics.
        r#"{"name":"Record my metric","eventName":"t","url":"https://example.com/","auth":{"username":"USERNAME","password":"API_KEY"},"json":{"created_at":"{{SPARK_PUBLISHED_AT}}"}}"#,
        r#"{"event":"t","responseTopic":"","errorResponseTopic":"","url":"https://example.com/a+b'c/A","requestType":"GET","noDefaults":false,"rejectUnauthorized":true,"responseTemplate":"{{{result.0}}}"}"#,
        r#"{"integration_type":"Webhook","template":"webhook","name":"x","event":"t","url":"https://example.com/","requestType":"POST","unchunked":false,"dataUrlResponseEvent":false,"deviceID":null,"form":null,"json":{"a":1},"mydevices":true}"#,
        // As particle-api-js and the CLI send it.
        r#"{"event":"t","url":"https://example.com/","deviceId":"3f002b000000000000000000","rejectUnauthorized":false,"noDefaults":true,"requestType":"POST","auth":{"user":"me","pass":"1234"}}"#,
        r#"{"event":"t","url":"https://example.com/","deviceid":"3f002b000000000000000000","requestType":"post","eventName":"t"}"#,
        // A single webhook as Particle shows it.
        r#"{"webhook":{"event":"t","url":"https://example.com/","id":"0123456789abcdef01234567","created_at":"2016-04-28T17:06:33.123Z","counters":[{"date":"2016-07-16","success":"1"}],"logs":[{"event":{},"request":"…","response":"…"}]}}"#,
    ] {
        let outgoing = sent(&particle(definition), &sample("t", "1"));
        assert!(outgoing.url.starts_with("https://example.com/"), "{definition}");
    }
}

#[test]
fn what_is_shown_has_current_spellings_and_all_that_was_said() {
    let shown = |text: &str, face| read(text, face).masked().0.get().to_owned();
    assert_eq!(
        shown(
            r#"{"z": 1.50, "deviceid":"a", "eventName":"t","url":"https://h.com/ ", "requestType":"put","name":null,
                "unchunked": {"b":[1, 2], "a":"x"}, "id":"1", "created_at":"…", "access_token":"t", "logs":[], "status":"active"}"#,
            Face::Integration
        ),
        r#"{"z":1.50,"deviceID":"a","event":"t","url":"https://h.com/ ","requestType":"PUT","unchunked":{"b":[1,2],"a":"x"}}"#
    );
    assert_eq!(
        shown(r#"{"event":"new","eventName":"old","url":"https://h.com/"}"#, Face::Integration),
        r#"{"event":"new","url":"https://h.com/"}"#
    );
    assert_eq!(
        shown(
            r#"{"events":["a","b"],"target_url":"https://h.com/","status":"paused","id":"1"}"#,
            Face::Subscription
        ),
        r#"{"events":["a","b"],"target_url":"https://h.com/","status":"paused"}"#
    );
}

#[test]
fn a_mistake_is_told_at_its_property() {
    let at = |text: &str, face| {
        let (code, field) = refused(text, face);
        (code.as_str(), field.unwrap_or_default())
    };
    let base = |more: &str| format!(r#"{{"event":"t","url":"https://h.com/"{more}}}"#);
    for (more, code, field) in [
        (r#","requestType":"PATCH""#, "bad-definition", "requestType"),
        (r#","requestType":1"#, "bad-definition", "requestType"),
        (r#","form":{},"json":{}"#, "bad-definition", "json"),
        (r#","json":{},"body":"""#, "bad-definition", "body"),
        (r#","json":7"#, "bad-definition", "json"),
        (r#","json":"{{#a}}""#, "bad-template", "json"),
        (r#","form":"a=b""#, "bad-definition", "form"),
        (r#","query":[1]"#, "bad-definition", "query"),
        (r#","query":{"a":"{{"}"#, "bad-template", "query"),
        (r#","headers":{"a b":"c"}"#, "bad-definition", "headers"),
        (r#","headers":{"a":"b\r\nc: d"}"#, "bad-definition", "headers"),
        (r#","headers":{"a":"日"}"#, "bad-definition", "headers"),
        (r#","auth":{"password":"p"}"#, "bad-definition", "auth"),
        (r#","auth":"u:p""#, "bad-definition", "auth"),
        (r#","noDefaults":"yes""#, "bad-definition", "noDefaults"),
        (r#","disabled":0"#, "bad-definition", "disabled"),
        (r#","rejectUnauthorized":"no""#, "bad-definition", "rejectUnauthorized"),
        (r#","respond":"maybe""#, "bad-definition", "respond"),
        (r#","replyBudget":102400"#, "bad-definition", "replyBudget"),
        (r#","replyFraming":"boxed""#, "bad-definition", "replyFraming"),
        (r#","responseTemplate":5"#, "bad-definition", "responseTemplate"),
        (r#","responseTopic":{}"#, "bad-definition", "responseTopic"),
        (r#","errorResponseTopic":"{{/x}}""#, "bad-template", "errorResponseTopic"),
        (r#","deviceID":7"#, "bad-definition", "deviceID"),
        (r#","name":7"#, "bad-definition", "name"),
        (r#","secret":"""#, "bad-definition", "secret"),
        (r#","secret":"whsec_!""#, "bad-definition", "secret"),
        (r#","secret":"a b""#, "bad-definition", "secret"),
        (r#","secret":"********""#, "bad-definition", "secret"),
        (r#","headers":{"Authorization":"********"}"#, "bad-definition", "headers"),
    ] {
        assert_eq!(at(&base(more), Face::Integration), (code, field.to_owned()), "{more}");
    }
    for (text, field) in [
        (r#"{"url":"https://h.com/"}"#, "event"),
        (r#"{"event":"","url":"https://h.com/"}"#, "event"),
        (r#"{"event":"t"}"#, "url"),
        (r#"{"event":"t","url":5}"#, "url"),
    ] {
        assert_eq!(at(text, Face::Integration), ("bad-definition", field.to_owned()), "{text}");
    }
    for (text, field) in [
        (r#"{"target_url":"https://h.com/"}"#, "events"),
        (r#"{"events":[""],"target_url":"https://h.com/"}"#, "events"),
        (r#"{"events":"t"}"#, "target_url"),
        (r#"{"events":"t","target_url":"https://h.com/","status":"off"}"#, "status"),
        (r#"{"events":"t","target_url":"https://h.com/{{x}}","handshake":true}"#, "handshake"),
    ] {
        assert_eq!(at(text, Face::Subscription), ("bad-definition", field.to_owned()), "{text}");
    }
    assert_eq!(refused("{", Face::Integration).0, Code::BadJson);
    assert_eq!(refused("[]", Face::Integration).0, Code::BadDefinition);
    let deep = format!(r#"{{"event":"t","url":"https://h.com/","x":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    assert_eq!(refused(&deep, Face::Integration).0, Code::BadDefinition);
    let long = base(&format!(r#","x":"{}""#, "x".repeat(DEFINITION_MAX)));
    assert_eq!(refused(&long, Face::Integration).0, Code::BadDefinition);
}

#[test]
fn the_host_is_written_out() {
    for url in [
        "{{{host}}}",
        "https://{{{host}}}/",
        "https://{{sub}}.example.com/",
        "https://example.com{{{path}}}",
        "https://example.com\\\\{{{x}}}/",
        "{{{scheme}}}://example.com/",
        "https:{{{x}}}//example.com/",
        "{{=<% %>=}}https://<%host%>/",
        "https://{{=<% %>=}}<%host%>/",
        "ftp://example.com/",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user@example.com/",
    ] {
        let definition = format!(r#"{{"event":"t","url":"{url}"}}"#);
        assert_eq!(refused(&definition, Face::Integration), (Code::BadUrl, Some("url".into())), "{url}");
    }
    for url in
        ["https://h.com", "HTTPS://h.com?{{x}}", "https://h.com#{{x}}", "https://h.com/{{=<% %>=}}<%x%>"]
    {
        read(&format!(r#"{{"event":"t","url":"{url}"}}"#), Face::Integration);
    }
}

#[test]
fn what_may_be_called_is_the_deployments_to_say() {
    let definition = read(r#"{"event":"t","url":"http://h.com/{{x}}"}"#, Face::Integration);
    let problem = definition.target(&RULES).unwrap_err();
    assert_eq!((problem.code, problem.field.as_deref()), (Code::BadUrl, Some("url")));
    let lax = Rules { require_https: false, ..RULES };
    assert!(definition.target(&lax).unwrap().insecure);
}

#[test]
fn what_is_listed_needs_no_secret() {
    let definition = read(
        r#"{"eventName":"temp","deviceID":"d","url":"https://h.com/?token=wxyz","respond":true,"disabled":true,"secret":"hush","name":"N"}"#,
        Face::Integration,
    );
    let kept = Stored { product: Some("7".into()), ..stored(&definition) };
    assert_eq!(kept.paused.as_ref().map(|paused| paused.reason), Some(Reason::Disabled));
    let text = serde_json::to_string(&kept).unwrap();
    assert!(!text.contains("hush") && !text.contains("wxyz"), "{text}");
    let listed = Listed::of(Stored::parse(&text).unwrap()).unwrap();
    assert!(listed.respond && listed.filter.matches("temperature", "d", Some("7")));
    assert!(!listed.filter.matches("temperature", "d", None));
    assert_eq!(
        serde_json::to_string(&listed.stored.summary().unwrap()).unwrap(),
        r#"{"id":"0123456789abcdef01234567","event":"temp","created_at":"2017-02-01T21:08:06.000Z","url":"https://h.com/?token=********","requestType":"POST","name":"N","deviceID":"d","disabled":true}"#
    );
    assert!(Stored::is_id("0123456789abcdef01234567"));
    assert!(!Stored::is_id("0123456789ABCDEF01234567") && !Stored::is_id("01"));
}

#[test]
fn what_was_shown_of_one_can_be_made_into_another_once_its_secrets_are_filled_in() {
    let definition =
        read(r#"{"event":"t","url":"https://h.com/","auth":{"user":"u","pass":"p"}}"#, Face::Integration);
    let (shown, _) = definition.masked();
    assert_eq!(refused(shown.get(), Face::Integration).1.as_deref(), Some("auth"));
    let filled = shown.get().replace("********", "p");
    let again = Definition::read(filled.as_bytes(), Face::Integration, None).unwrap();
    assert_eq!(again.masked().1, definition.masked().1);
}
