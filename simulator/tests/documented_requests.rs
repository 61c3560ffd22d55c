//! The requests of Particle's webhook reference, head and body, as they really leave: byte for byte, but for the
//! host name, which is the test's own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use fieldhook_core::clock::Time;
use simulator::definition::Webhook;
use simulator::event::Event;
use simulator::http::client::{Client, LIMIT};
use simulator::render::{Overrides, request};
use std::time::Duration;
use support::Server;

const AGENT: &str = "User-Agent: ParticleBot/1.1 (https://docs.particle.io/webhooks)";

fn event(name: &str, data: &str) -> Event {
    Event {
        id: "7d1c5b2e-1".into(),
        name: name.into(),
        data: data.into(),
        device: "3f002b000000000000000000".into(),
        published_at: Time::parse("2017-02-01T21:08:05.763Z").unwrap(),
        product_id: None,
        user_id: None,
        firmware: None,
    }
}

/// What arrives at a server when this webhook gets this event. `{HOST}` stands for the server.
async fn sent(definition: &str, event: &Event) -> String {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let authority = server.authority.clone();
    let hook = Webhook::parse(&definition.replace("{HOST}", &authority)).unwrap();
    let request = request(&hook, event, &Overrides::default()).unwrap();
    assert_eq!(Client::new(Duration::from_millis(LIMIT)).send(&request).await.unwrap().status, 204);
    server.seen().replace(&authority, "{HOST}")
}

fn lines(lines: &[&str]) -> String {
    lines.join("\r\n")
}

#[tokio::test]
async fn event_and_url_only() {
    let body =
        "event=demo&data=mydata&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=3f002b000000000000000000";
    let expected = lines(&[
        "POST / HTTP/1.1",
        AGENT,
        "host: {HOST}",
        "content-type: application/x-www-form-urlencoded",
        "content-length: 96",
        "",
        body,
    ]);
    let definition = r#"{"eventName": "demo", "url": "http://{HOST}"}"#;
    assert_eq!(sent(definition, &event("demo", "mydata")).await, expected);
}

#[tokio::test]
async fn json_without_defaults() {
    let definition = r#"{
        "event": "Temperature/",
        "url": "http://{HOST}/123456789",
        "json": { "{{PARTICLE_EVENT_NAME}}": "{{{PARTICLE_EVENT_VALUE}}}" },
        "noDefaults": true
    }"#;
    let expected = lines(&[
        "POST /123456789 HTTP/1.1",
        AGENT,
        "host: {HOST}",
        "accept: application/json",
        "content-type: application/json",
        "content-length: 31",
        "",
        r#"{"Temperature/Kitchen":"20.00"}"#,
    ]);
    assert_eq!(sent(definition, &event("Temperature/Kitchen", "20.00")).await, expected);
}

const ELEVATION: &str = r#"{"lat":39.739155, "lng":-104.984703}"#;

#[tokio::test]
async fn a_body_with_its_content_type_by_header() {
    let definition = r#"{
        "event": "Elevation",
        "url": "http://{HOST}/123456789",
        "headers": { "content-type": "application/json" },
        "body": "{ \"coordinates\": { \"lat\": {{{lat}}}, \"lng\": {{{lng}}} } }",
        "noDefaults": true
    }"#;
    let expected = lines(&[
        "POST /123456789 HTTP/1.1",
        "content-type: application/json",
        AGENT,
        "host: {HOST}",
        "content-length: 59",
        "",
        r#"{ "coordinates": { "lat": 39.739155, "lng": -104.984703 } }"#,
    ]);
    assert_eq!(sent(definition, &event("Elevation", ELEVATION)).await, expected);
}

#[tokio::test]
async fn get_with_a_query() {
    let definition = r#"{
        "event": "Elevation",
        "url": "http://{HOST}/maps/api/elevation/json",
        "requestType": "GET",
        "query": { "key": "XXXXXXXXXX", "locations": "{{{lat}}},{{{lng}}}" },
        "responseTemplate": "{{{results.0.elevation}}}",
        "noDefaults": true
    }"#;
    let expected = lines(&[
        "GET /maps/api/elevation/json?key=XXXXXXXXXX&locations=39.7%2C-104.9 HTTP/1.1",
        AGENT,
        "host: {HOST}",
        "",
        "",
    ]);
    assert_eq!(sent(definition, &event("Elevation", r#"{"lat":39.7,"lng":-104.9}"#)).await, expected);
}

#[tokio::test]
async fn defaults_go_where_the_method_and_the_format_put_them() {
    let defaults = "event=demo&data=my%20data%21&published_at=2017-02-01T21%3A08%3A05.763Z&coreid=3f002b000000000000000000";
    let event = event("demo", "my data!");
    let get =
        sent(r#"{"event":"demo","url":"http://{HOST}/a?b=c","requestType":"GET","query":{"x":1}}"#, &event)
            .await;
    assert!(get.starts_with(&format!("GET /a?b=c&{defaults}&x=1 HTTP/1.1\r\n")), "{get}");
    let put = sent(
        r#"{"event":"demo","url":"http://{HOST}/","requestType":"PUT","form":{"f":"{{data}}1"}}"#,
        &event,
    )
    .await;
    assert!(put.starts_with("PUT / ") && put.ends_with(&format!("\r\n\r\n{defaults}&f=1")), "{put}");
    let json = r#"{"event":"demo","data":"my data!","published_at":"2017-02-01T21:08:05.763Z","coreid":"3f002b000000000000000000","n":1}"#;
    for definition in [
        r#"{"event":"demo","url":"http://{HOST}/","json":{"n":1}}"#,
        r#"{"event":"demo","url":"http://{HOST}/","json":"{ \"n\":1 }"}"#,
    ] {
        let post = sent(definition, &event).await;
        assert!(post.ends_with(&format!("\r\n\r\n{json}")), "{post}");
    }
}

#[tokio::test]
async fn a_body_has_no_content_type_of_its_own_and_proof_goes_before_it() {
    for (auth, expected) in [
        (r#"{"username":"u","password":"{{p}}"}"#, "Basic dTpw"),
        (r#"{"user":"u","pass":"p"}"#, "Basic dTpw"),
        (r#"{"bearer":"t"}"#, "Bearer t"),
    ] {
        let definition =
            format!(r#"{{"event":"demo","url":"http://{{HOST}}/","body":"hello","auth":{auth}}}"#);
        let authorization = format!("authorization: {expected}");
        let expected = lines(&[
            "POST / HTTP/1.1",
            AGENT,
            "host: {HOST}",
            &authorization,
            "content-length: 5",
            "",
            "hello",
        ]);
        assert_eq!(sent(&definition, &event("demo", r#"{"p":"p"}"#)).await, expected);
    }
}

#[tokio::test]
async fn the_definition_to_paste_sends_what_the_readme_shows() {
    let text = include_str!("../../particle/integration.json");
    let text = simulator::definition::fill_placeholders(text, "temp", Some("tok"))
        .replace("https://YOUR-WORKER.YOUR-SUBDOMAIN.workers.dev", "http://{HOST}");
    let event = Event { product_id: Some("12345".into()), ..event("temp", r#"{"celsius":21.50}"#) };
    let seen = sent(&text, &event).await;
    let body = r#"{"event_id":"7d1c5b2e-1","event":"temp","data":"{\"celsius\":21.50}","coreid":"3f002b000000000000000000","published_at":"2017-02-01T21:08:05.763Z","product_id":"12345","userid":"","fw_version":""}"#;
    let length = format!("content-length: {}", body.len());
    let expected = lines(&[
        "POST /hook HTTP/1.1",
        "Authorization: Bearer tok",
        AGENT,
        "host: {HOST}",
        "accept: application/json",
        "content-type: application/json",
        &length,
        "",
        body,
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn a_value_cannot_end_a_header() {
    let definition =
        r#"{"event":"demo","url":"http://127.0.0.1/","headers":{"X-Data":"{{{PARTICLE_EVENT_VALUE}}}"}}"#;
    let hook = Webhook::parse(definition).unwrap();
    for data in ["a\r\nx-admin: 1", "a\nb", "日"] {
        let why = request(&hook, &event("demo", data), &Overrides::default()).unwrap_err();
        assert_eq!(why.to_string(), r#"Invalid character in header content ["X-Data"]"#);
    }
}

#[test]
fn what_the_user_says_takes_the_place_of_what_the_definition_says() {
    let definition =
        r#"{"event":"demo","url":"http://h/","headers":{"AUTHORIZATION":"old","X-Key":"{{{KEY}}}"}}"#;
    let overrides = Overrides {
        url: Some("http://127.0.0.1/hook?x=1".into()),
        token: Some("new".into()),
        variables: vec![("KEY".into(), "secret".into())],
    };
    let request = request(&Webhook::parse(definition).unwrap(), &event("demo", ""), &overrides).unwrap();
    let text = String::from_utf8(request.bytes()).unwrap();
    let head = [
        "POST /hook?x=1 HTTP/1.1",
        "AUTHORIZATION: Bearer new",
        "X-Key: secret",
        AGENT,
        "host: 127.0.0.1",
        "",
    ];
    assert!(text.starts_with(&lines(&head)), "{text}");
}
