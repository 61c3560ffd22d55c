//! What Particle calls the ways in which a server can fail to answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use fieldhook_core::clock::Time;
use simulator::definition::Webhook;
use simulator::event::Event;
use simulator::http::client::Client;
use simulator::http::request::Request;
use simulator::render::{Overrides, request};
use std::net::TcpListener;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(200);

fn to(url: &str) -> Request {
    let hook = Webhook::parse(&format!(r#"{{"event":"demo","url":"{url}"}}"#)).unwrap();
    let event = Event {
        id: "1".into(),
        name: "demo".into(),
        data: String::new(),
        device: "d".into(),
        published_at: Time::from_millis(0),
        product_id: None,
        user_id: None,
        firmware: None,
    };
    request(&hook, &event, &Overrides::default()).unwrap()
}

async fn failure(url: &str) -> String {
    Client::new(SHORT).send(&to(url)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_that_takes_the_request_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(failure(&format!("http://{address}/")).await, "ESOCKETTIMEDOUT");
}

#[tokio::test]
async fn a_connection_that_is_never_secured() {
    // The listener takes the TCP connection, but TLS is never agreed on: nothing could be sent.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(failure(&format!("https://{address}/")).await, "ETIMEDOUT");
}

/// Where the queue of a listener that accepts nothing is full, Linux lets further attempts wait for an answer.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_never_answers_a_connection() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 100, "the queue is never full");
    }
    let began = std::time::Instant::now();
    assert_eq!(failure(&format!("http://{address}/")).await, "ETIMEDOUT");
    assert!((SHORT..10 * SHORT).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_hangs_up() {
    let server = support::Server::answering("");
    let url = format!("http://{}/", server.authority);
    let answer = Client::new(Duration::from_secs(5)).send(&to(&url)).await;
    assert_eq!(answer.unwrap_err().to_string(), "read ECONNRESET");
}

#[tokio::test]
async fn a_port_nobody_listens_at() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failure(&format!("http://{address}/")).await, format!("connect ECONNREFUSED {address}"));
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle() {
    let server = support::Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let url = format!("http://{}/", server.authority);
    let answer = Client::new(Duration::from_secs(5)).send(&to(&url)).await;
    assert_eq!(answer.unwrap_err().to_string(), "read ECONNRESET");
}
