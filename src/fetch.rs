//! A request out of the Worker, in time and size no larger than it may be. It is the only `fetch` there is: every
//! target has passed `fieldhook_core::target` before.

use fieldhook_core::delivery::outcome::{Failure, Heard};
use fieldhook_core::integration::request::Outgoing;
use fieldhook_core::json;
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Promise};

#[wasm_bindgen(module = "/src/fetch.mjs")]
extern "C" {
    #[wasm_bindgen(js_name = send)]
    fn send_js(
        method: &str,
        url: &str,
        headers: Array,
        body: Option<String>,
        timeout: f64,
        cap: f64,
    ) -> Promise;
}

/// What came back, as far as it was read.
pub struct Reply {
    pub heard: Heard,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The body went on behind what was read.
    pub truncated: bool,
    /// Milliseconds.
    pub took: i64,
}

impl Reply {
    /// A request that was not sent, or not answered.
    pub fn failed(failure: Failure, took: i64) -> Self {
        Reply {
            heard: Heard::Failed(failure),
            headers: Vec::new(),
            body: String::new(),
            truncated: false,
            took,
        }
    }
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    reading: bool,
    took: i64,
}

/// Sends within `timeout` milliseconds, the reading of the answer included, and reads `cap` bytes of it.
pub async fn send(outgoing: &Outgoing, timeout: i64, cap: usize) -> Reply {
    let headers = Array::new();
    for (name, value) in &outgoing.headers {
        headers.push(&name.into());
        headers.push(&value.into());
    }
    let (method, url, body) = (outgoing.method, outgoing.url.as_str(), outgoing.body.clone());
    let answered = JsFuture::from(send_js(method, url, headers, body, timeout as f64, cap as f64)).await;
    let text = answered.ok().and_then(|text| text.as_string()).unwrap_or_default();
    let Ok(told) = json::read::<Told>(&text) else { return Reply::failed(Failure::Other, 0) };
    if let Some(error) = told.error {
        let failure = Failure::read(&error);
        return Reply::failed(if told.reading { failure.in_body() } else { failure }, told.took);
    }
    let header =
        |name: &str| told.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    Reply {
        heard: Heard::Answer { status: told.status, retry_after: header("retry-after") },
        headers: told.headers,
        body: told.body,
        truncated: told.truncated,
        took: told.took,
    }
}
