//! Pages of any origin may call `/v1` (Fetch standard, "CORS protocol").
//!
//! What opens `/v1` to them is a token that the page itself must know, never a cookie that a browser would add: so an
//! origin proves nothing, and none is refused. Credentials of the browser's own are never allowed: the dashboard's
//! session is for its own origin ([`fieldhook_core::proof::session`]).

use crate::answer::Answer;
use fieldhook_core::request::{Method, Request};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// `*` stands for every name but `authorization`; browsers that do not know it as a wildcard have the names.
const HEADERS: &str = "authorization, content-type, accept, if-match, last-event-id, x-fieldhook-token, *";
/// What a page may read of an answer beside the few headers that are safe for all.
const EXPOSED: &str = "etag, link, retry-after, allow, www-authenticate, fieldhook-duplicate";
/// A day; browsers cut it to what they allow.
const MAX_AGE: &str = "86400";

/// The answer to a browser that asks before it calls. It carries no token, and learns nothing but this.
pub fn preflight(request: &Request) -> Option<Answer> {
    let asks = request.method == Method::Options
        && request.headers.get("origin").is_some()
        && request.headers.get("access-control-request-method").is_some();
    asks.then(|| {
        Answer::empty(204)
            .with("access-control-allow-origin", "*")
            .with("access-control-allow-methods", METHODS)
            .with("access-control-allow-headers", HEADERS)
            .with("access-control-max-age", MAX_AGE)
    })
}

/// Lets a page of any origin read an answer.
pub fn readable(answer: Answer) -> Answer {
    answer.with("access-control-allow-origin", "*").with("access-control-expose-headers", EXPOSED)
}
