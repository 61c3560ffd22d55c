//! Faults on purpose, in a build for tests only: `--features inject`.
#![allow(clippy::panic)]

use fieldhook_core::request::Request;
use std::time::Duration;
use worker::Delay;

/// `x-inject: panic` panics; `x-inject: wait` holds the request open for 300 ms.
pub async fn on_request(request: &Request) {
    match request.headers.get("x-inject") {
        Some("panic") => panic!("a panic that a test asked for"),
        Some("wait") => Delay::from(Duration::from_millis(300)).await,
        _ => {}
    }
}

/// An event of this name panics inside its device's object.
pub fn on_event(name: &str) {
    if name == "inject-panic" {
        panic!("a panic in an object that a test asked for");
    }
}
