//! The Worker: it reads, asks, stores and answers; what to do is decided in `fieldhook-core`.
//!
//! A request's way: `entry.mjs` hands it over in one call to [`Edge::serve`]; [`router`] finds who answers;
//! [`hook`] takes events in, [`api`] is everything under `/v1`. Three Durable Objects keep what must last:
//! [`device`], [`fleet`] and [`registry`]; [`rpc`] is how they are called.

pub mod answer;
mod api;
mod cors;
mod device;
mod edge_cache;
mod export;
mod fetch;
mod fleet;
mod hook;
#[cfg(feature = "inject")]
mod inject;
mod isolate;
mod limits;
mod parts;
mod registry;
mod router;
mod rows;
mod rpc;
mod seal;
mod sqlite;
mod stream;
mod tally;

use fieldhook_core::problem::{Code, Problem};
use fieldhook_core::request::{Body, Headers, Request};
use futures_util::FutureExt;
use isolate::Platform;
use std::panic::AssertUnwindSafe;
use wasm_bindgen::prelude::*;
use worker::worker_sys::Context as JsContext;
use worker::{Context, Env};

/// The way in from `entry.mjs`. A class with one static method, since worker-build passes classes on as they
/// are and binds free functions to an entrypoint of its own.
#[wasm_bindgen]
pub struct Edge;

#[wasm_bindgen]
impl Edge {
    /// How many bytes of a body are read. None, where a setting cannot be read: nothing is served then.
    #[wasm_bindgen(js_name = maxBody)]
    pub fn max_body(env: &Env) -> f64 {
        isolate::settings(env).map_or(0.0, |settings| settings.max_body as f64)
    }

    /// The answer to a request whose body had to give way to others (`body.mjs`).
    #[wasm_bindgen(js_name = bodyGivenUp)]
    pub fn body_given_up() -> JsValue {
        let detail = "the body came too slowly, and too many others were waiting for theirs";
        answer::Answer::problem(&Problem::new(Code::Unavailable, detail)).into_response()
    }

    /// Serves a whole request. `body` is `undefined` where it was longer than `MAX_BODY`.
    ///
    /// A panic becomes one 500 here; with `panic=unwind` nothing else in the isolate notices.
    pub async fn serve(
        method: String,
        url: String,
        headers: String,
        body: Option<Vec<u8>>,
        env: Env,
        context: JsContext,
    ) -> JsValue {
        let body = body.map_or(Body::TooLarge, Body::Bytes);
        let request = Request::new(&method, &url, Headers::new(headers), body);
        let platform = Platform::new(env, Context::new(context));
        let served = AssertUnwindSafe(router::serve(&platform, request)).catch_unwind().await;
        let answer = served.unwrap_or_else(|_| {
            let detail = "the request was not served; nothing of it was acknowledged";
            answer::Answer::problem(&Problem::new(Code::Internal, detail))
        });
        answer.into_response()
    }
}
