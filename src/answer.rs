//! What goes back to the caller, built into a `Response` in one crossing.

use fieldhook_core::event::DedupKey;
use fieldhook_core::problem::Problem;
use fieldhook_core::reply::{PART, Reply};
use wasm_bindgen::prelude::*;
use worker::js_sys::Uint8Array;

#[wasm_bindgen(module = "/src/answer.mjs")]
extern "C" {
    fn respond(status: u16, headers: &str, body: JsValue, part: usize) -> JsValue;
    fn respond_live(status: u16, headers: &str, live: &JsValue) -> JsValue;
}

/// Marks the answer to an event that was known already.
pub const DUPLICATE_HEADER: &str = "fieldhook-duplicate";

/// An answer, before it is a `Response`.
pub struct Answer {
    status: u16,
    headers: String,
    body: Body,
    /// Bytes of a chunk; 0 for a body of known length.
    part: usize,
}

enum Body {
    Empty,
    Bytes(Vec<u8>),
    /// A `ReadableStream`, passed on as it is.
    Stream(JsValue),
    /// A client's stream, as `stream.mjs` opened it: a body or a WebSocket.
    Live(JsValue),
    /// `src/openapi.json`, which `entry.mjs` has: in wasm it would lie in every isolate's memory.
    Description,
}

impl Answer {
    pub fn empty(status: u16) -> Self {
        Answer { status, headers: String::new(), body: Body::Empty, part: 0 }
    }

    /// A body that is made while it is read.
    pub fn stream(status: u16, content_type: &str, stream: JsValue) -> Self {
        let answer = Answer { body: Body::Stream(stream), ..Answer::empty(status) };
        answer.with("content-type", content_type).with("cache-control", "no-store")
    }

    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = Answer { body: Body::Bytes(body.into()), ..Answer::empty(status) };
        answer.with("content-type", content_type).with("cache-control", "no-store")
    }

    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer::text(status, "application/json", body)
    }

    /// What describes the routes.
    pub fn description() -> Self {
        Answer { body: Body::Description, ..Answer::empty(200) }
    }

    /// A stream that is open already.
    pub fn live(status: u16, live: JsValue) -> Self {
        Answer { body: Body::Live(live), ..Answer::empty(status) }
    }

    /// A body that is problem JSON already.
    pub fn problem_json(status: u16, body: String) -> Self {
        Answer::text(status, "application/problem+json", body)
    }

    /// Problem JSON (RFC 9457) with the headers that go with its status.
    pub fn problem(problem: &Problem) -> Self {
        Answer::refusal(problem, problem.to_json())
    }

    /// A problem as Particle's own clients read it too.
    pub fn particle_problem(problem: &Problem) -> Self {
        Answer::refusal(problem, problem.to_particle_json())
    }

    /// A problem in a body of its own, with the headers that go with its status.
    pub fn refusal(problem: &Problem, body: String) -> Self {
        let answer = Answer::problem_json(problem.status(), body);
        let answer = match problem.retry_after() {
            Some(seconds) => answer.with("retry-after", &seconds.to_string()),
            None => answer,
        };
        let answer = match problem.allow {
            Some(methods) => answer.with("allow", methods),
            None => answer,
        };
        match problem.status() {
            426 => answer.with("upgrade", "websocket"),
            401 => answer.with("www-authenticate", "Bearer realm=\"fieldhook\""),
            _ => answer,
        }
    }

    /// What the device hears: 204 where there is nothing to say, else a body in parts.
    pub fn reply(reply: &Reply, key: &DedupKey, duplicate: bool) -> Self {
        let body = reply.parts(key).concat();
        let answer = match body.is_empty() {
            true => Answer::empty(204),
            false => Answer { body: Body::Bytes(body), part: PART, ..Answer::empty(200) }
                .with("content-type", "text/plain; charset=utf-8")
                .with("cache-control", "no-store"),
        };
        if duplicate { answer.with(DUPLICATE_HEADER, "true") } else { answer }
    }

    /// Adds a header. A value that could not be one (a line feed in it) is left out.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if value.contains(['\n', '\r', '\0']) {
            return self;
        }
        if !self.headers.is_empty() {
            self.headers.push('\n');
        }
        self.headers.push_str(name);
        self.headers.push('\n');
        self.headers.push_str(value);
        self
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// The `Response`; undefined for the description.
    pub fn into_response(self) -> JsValue {
        let body = match self.body {
            Body::Empty => JsValue::UNDEFINED,
            Body::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
            Body::Stream(stream) => stream,
            Body::Description => return JsValue::UNDEFINED,
            Body::Live(live) => return respond_live(self.status, &self.headers, &live),
        };
        respond(self.status, &self.headers, body, self.part)
    }
}
