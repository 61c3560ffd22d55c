//! The requests that integrations make: those of Particle's reference byte for byte, every property seen in one, and
//! what a subscription is sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod way_out;

use fieldhook_core::clock::Time;
use fieldhook_core::integration::{Face, Sending};
use way_out::{NOW, RULES, compiled, header, particle, sample, sent, subscription};

const ELEVATION: &str = r#"{"lat":39.739155, "lng":-104.984703}"#;
const DEFAULTS: &str =
    "event=demo&data=mydata&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=3f002b000000000000000000";

#[test]
fn event_and_url_only() {
    let outgoing =
        sent(&particle(r#"{"eventName":"demo","url":"https://host.com"}"#), &sample("demo", "mydata"));
    assert_eq!((outgoing.method, outgoing.url.as_str()), ("POST", "https://host.com/"));
    assert_eq!(outgoing.body.as_deref(), Some(DEFAULTS));
    assert_eq!(DEFAULTS.len(), 96, "as the reference's content-length says");
    assert_eq!(header(&outgoing, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(header(&outgoing, "accept"), None);
}

#[test]
fn json_without_defaults() {
    let hook = particle(
        r#"{"event":"Temperature/","url":"https://h.com/1","noDefaults":true,
            "json":{"{{PARTICLE_EVENT_NAME}}":"{{{PARTICLE_EVENT_VALUE}}}"}}"#,
    );
    let outgoing = sent(&hook, &sample("Temperature/Kitchen", "20.00"));
    assert_eq!(outgoing.body.as_deref(), Some(r#"{"Temperature/Kitchen":"20.00"}"#));
    assert_eq!(header(&outgoing, "accept"), Some("application/json"));
    assert_eq!(header(&outgoing, "content-type"), Some("application/json"));
}

#[test]
fn a_body_with_its_content_type_by_header() {
    let hook = particle(
        r#"{"event":"Elevation","url":"https://h.com/1","headers":{"content-type":"application/json"},
            "body":"{ \"coordinates\": { \"lat\": {{{lat}}}, \"lng\": {{{lng}}} } }","noDefaults":true}"#,
    );
    let outgoing = sent(&hook, &sample("Elevation", ELEVATION));
    let body = r#"{ "coordinates": { "lat": 39.739155, "lng": -104.984703 } }"#;
    assert_eq!(outgoing.body.as_deref(), Some(body));
    assert_eq!(header(&outgoing, "content-type"), Some("application/json"));
    let plain = sent(&particle(r#"{"event":"t","url":"https://h.com/","body":"x"}"#), &sample("t", ""));
    assert_eq!(header(&plain, "content-type"), None, "a body has no type of its own");
}

#[test]
fn get_with_a_query() {
    let hook = particle(
        r#"{"event":"Elevation","url":"https://maps.com/maps/api/elevation/json","requestType":"get",
            "query":{"key":"XXXXXXXXXX","locations":"{{{lat}}},{{{lng}}}"},"noDefaults":true}"#,
    );
    let outgoing = sent(&hook, &sample("Elevation", r#"{"lat":39.7,"lng":-104.9}"#));
    let url = "https://maps.com/maps/api/elevation/json?key=XXXXXXXXXX&locations=39.7%2C-104.9";
    assert_eq!((outgoing.method, outgoing.url.as_str()), ("GET", url));
    assert_eq!(outgoing.body, None);
}

#[test]
fn defaults_go_where_the_method_and_the_format_put_them() {
    let event = sample("demo", "mydata");
    let url = |definition: &str| sent(&particle(definition), &event).url;
    let body = |definition: &str| sent(&particle(definition), &event).body.unwrap();
    assert_eq!(
        url(r#"{"event":"demo","url":"https://h.com/a?b=c","requestType":"GET","query":{"x":1}}"#),
        format!("https://h.com/a?b=c&{DEFAULTS}&x=1")
    );
    assert_eq!(
        body(r#"{"event":"demo","url":"https://h.com/","requestType":"PUT","form":{"f":"{{data}}1"}}"#),
        format!("{DEFAULTS}&f=1")
    );
    let json = r#"{"event":"demo","data":"mydata","published_at":"2017-02-01T21:08:05.763Z","coreid":"3f002b000000000000000000","n":1}"#;
    assert_eq!(body(r#"{"event":"demo","url":"https://h.com/","json":{"n":1}}"#), json);
    assert_eq!(body(r#"{"event":"demo","url":"https://h.com/","json":"{ \"n\":1 }"}"#), json);
    assert_eq!(body(r#"{"event":"demo","url":"https://h.com/","noDefaults":true}"#), "");
}

#[test]
fn every_property_is_seen_in_the_request() {
    let mut event = sample("door/front", r#"{"room":"hall & way","open":true}"#);
    event.details.product_id = Some("12".into());
    event.details.hops = 1;
    let hook = particle(
        r#"{"name":"Door","event":"door","url":"https://H.com:8443/log/{{{room}}}/x?y=1#z","requestType":"delete",
            "noDefaults":"true","query":{"q-{{open}}":"{{room}}"},
            "headers":{"X-Room":"{{{room}}}","X-{{open}}":"{{PRODUCT_ID}}","User-Agent":"mine","Webhook-Id":"mine",
                "Host":"other.com","Fieldhook-Hop":"0"},
            "auth":{"username":"u-{{PRODUCT_ID}}","password":"p"}}"#,
    );
    let outgoing = sent(&hook, &event);
    assert_eq!(outgoing.method, "DELETE");
    // `&amp;` of two braces, percent-encoded; a space in the path, too.
    assert_eq!(outgoing.url, "https://h.com:8443/log/hall%20&%20way/x?y=1&q-true=hall%20%26amp%3B%20way");
    let expected = [
        ("X-Room", "hall & way"),
        ("X-true", "12"),
        ("authorization", "Basic dS0xMjpw"),
        ("user-agent", concat!("fieldhook/", env!("CARGO_PKG_VERSION"))),
        ("fieldhook-hop", "2"),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1485983286"),
    ];
    assert_eq!(outgoing.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((hook.host(), hook.host_key().as_str()), ("h.com", "https://h.com:8443"));
}

#[test]
fn proof_is_sent_in_each_of_its_spellings_and_a_header_goes_before_it() {
    for (auth, expected) in [
        (r#"{"username":"u","password":"{{p}}"}"#, "Basic dTpw"),
        (r#"{"user":"u","pass":"p"}"#, "Basic dTpw"),
        (r#"{"bearer":"t"}"#, "Bearer t"),
    ] {
        let hook = particle(&format!(r#"{{"event":"t","url":"https://h.com/","auth":{auth}}}"#));
        let outgoing = sent(&hook, &sample("t", r#"{"p":"p"}"#));
        assert_eq!(header(&outgoing, "Authorization"), Some(expected));
    }
    let both =
        r#"{"event":"t","url":"https://h.com/","auth":{"bearer":"t"},"headers":{"AUTHORIZATION":"own"}}"#;
    assert_eq!(header(&sent(&particle(both), &sample("t", "")), "authorization"), Some("own"));
}

#[test]
fn a_replay_says_so_and_has_the_same_id() {
    let hook = particle(r#"{"event":"t","url":"https://h.com/"}"#);
    let (born, event) = (Time::from_millis(5), sample("t", ""));
    let id = hook.message_id("d", born, 7);
    assert!(id.starts_with("msg_") && id.len() == 47 && !id.contains('.'));
    assert_eq!(hook.message_id("d", born, 7), id);
    for other in [
        hook.message_id("d", born, 8),
        hook.message_id("d", Time::from_millis(6), 7),
        hook.message_id("e", born, 7),
    ] {
        assert_ne!(other, id);
    }
    let now = Time::from_millis(NOW);
    let again =
        hook.request(&event.logged(), &Sending { message_id: &id, now, replayed: true, rules: &RULES });
    assert_eq!(header(&again.unwrap(), "fieldhook-replayed"), Some("true"));
    assert_eq!(header(&sent(&hook, &event), "fieldhook-replayed"), None);
}

#[test]
fn a_subscription_is_sent_what_readers_see() {
    let hook = subscription(r#"{"events":["temp"],"target_url":"https://h.com/in"}"#);
    let outgoing = sent(&hook, &sample("temp/1", r#"{"t":21.50}"#));
    assert_eq!((outgoing.method, outgoing.url.as_str()), ("POST", "https://h.com/in"));
    assert_eq!(header(&outgoing, "content-type"), Some("application/json"));
    assert_eq!(
        outgoing.body.as_deref(),
        Some(
            r#"{"type":"temp/1","timestamp":"2017-02-01T21:08:06.000Z","data":{"seq":12,"id":"7d1c5b2e-1","event":"temp/1","data":{"t":21.50},"coreid":"3f002b000000000000000000","published_at":"2017-02-01T21:08:05.763Z","received_at":"2017-02-01T21:08:06.000Z","source":"default"}}"#
        )
    );
}

#[test]
fn a_subscription_can_say_its_own_body_and_never_has_particles_fields() {
    let body = |more: &str| {
        let definition = format!(r#"{{"events":"t","target_url":"https://h.com/"{more}}}"#);
        let outgoing = sent(&compiled(&definition, Face::Subscription), &sample("t", "1"));
        (outgoing.url, outgoing.body)
    };
    let at_root = |text: &str| ("https://h.com/".to_owned(), Some(text.to_owned()));
    assert_eq!(body(r#","json":{"v":"{{{PARTICLE_EVENT_VALUE}}}"}"#), at_root(r#"{"v":"1"}"#));
    assert_eq!(body(r#","form":{"v":"{{{PARTICLE_EVENT_VALUE}}}"}"#), at_root("v=1"));
    assert_eq!(body(r#","body":"v 1""#), at_root("v 1"));
    let get = body(r#","requestType":"GET","query":{"v":"1"}"#);
    assert_eq!(get, ("https://h.com/?v=1".to_owned(), None));
}

#[test]
fn an_answer_goes_through_the_template_if_it_is_json() {
    let event = sample("demo/1", r#"{"unit":"m"}"#);
    let answer = |template: &str, body: &str| {
        let definition = format!(
            r#"{{"event":"demo","url":"https://h.com/","respond":true,"responseTemplate":{template}}}"#
        );
        let hook = particle(&definition);
        assert!(hook.respond);
        hook.response(&event.logged(), body).unwrap()
    };
    let json = r#"{"results":[{"elevation":1608.637939453125,"resolution":4.7}]}"#;
    assert_eq!(answer(r#""{{{results.0.elevation}}}""#, json), "1608.637939453125");
    assert_eq!(
        answer(r#"{"at":"{{results.0.elevation}}","for":"{{PARTICLE_EVENT_NAME}}","unit":"{{unit}}"}"#, json),
        r#"{"at":"1608.637939453125","for":"demo/1","unit":""}"#
    );
    assert_eq!(answer(r#""{{{results.0.elevation}}}""#, "plain"), "plain");
    let none = particle(r#"{"event":"demo","url":"https://h.com/"}"#);
    assert_eq!(none.response(&event.logged(), json).unwrap(), json);
    let bomb = particle(
        r#"{"event":"demo","url":"https://h.com/","responseTemplate":"{{#a}}{{#a}}{{b}}{{/a}}{{/a}}"}"#,
    );
    let large = format!(r#"{{"a":[{}0],"b":"{}"}}"#, "0,".repeat(99), "x".repeat(1000));
    assert!(bomb.response(&event.logged(), &large).is_err());
}

#[test]
fn topics_are_particles_unless_they_are_defined() {
    let mut event = sample("demo/1", "a\nb");
    let topics = |more: &str, event: &way_out::Sample| {
        let hook = particle(&format!(r#"{{"event":"demo","url":"https://h.com/"{more}}}"#));
        (hook.response_topic(&event.logged()), hook.error_topic(&event.logged()))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(topics("", &event), pair("hook-response/demo/1", "hook-error/demo/1"));
    let own = r#","responseTopic":"{{PARTICLE_DEVICE_ID}}/r","errorResponseTopic":"failed_{{PARTICLE_EVENT_NAME}}""#;
    assert_eq!(topics(own, &event), pair("3f002b000000000000000000/r", "failed_demo/1"));
    // A line break would end the line of a stream; an empty one, as consoles export it, is none.
    let unusable = r#","responseTopic":"{{{PARTICLE_EVENT_VALUE}}}","errorResponseTopic":"""#;
    assert_eq!(topics(unusable, &event), pair("hook-response/demo/1", "hook-error/demo/1"));
    event.details.product_id = Some("7".into());
    assert_eq!(
        topics("", &event),
        pair("3f002b000000000000000000/hook-response/demo/1", "hook-error/demo/1")
    );
}
