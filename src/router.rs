//! Who answers which path.

use crate::answer::Answer;
use crate::isolate::Platform;
use crate::{api, cors, edge_cache, hook};
use fieldhook_core::event::SourceName;
use fieldhook_core::problem::{Code, Problem};
use fieldhook_core::request::{Method, Request};

pub async fn serve(platform: &Platform, request: Request) -> Answer {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    #[cfg(feature = "inject")]
    crate::inject::on_request(&request).await;
    match segments.as_slice() {
        ["hook"] | ["hook", ""] => hook::receive(platform, &request, SourceName::default()).await,
        ["hook", name] => match SourceName::parse(name) {
            Ok(source) => hook::receive(platform, &request, source).await,
            Err(problem) => Answer::problem(&problem),
        },
        ["healthz"] => only_get(&request, health),
        ["openapi.json"] => only_get(&request, Answer::description),
        ["v1", rest @ ..] => match cors::preflight(&request) {
            Some(answer) => answer,
            None => cors::readable(api::serve(platform, &request, rest).await),
        },
        _ => Answer::problem(&not_found()),
    }
}

/// That the Worker runs, and what this isolate has counted since it began.
fn health() -> Answer {
    let failed = edge_cache::failed_puts();
    Answer::json(200, format!(r#"{{"status":"ok","kv_put_failures":{failed}}}"#))
}

pub fn not_found() -> Problem {
    Problem::new(Code::NotFound, "see /openapi.json for what there is")
}

fn only_get(request: &Request, answer: impl FnOnce() -> Answer) -> Answer {
    match request.method {
        Method::Get | Method::Head => answer(),
        _ => Answer::problem(&Problem::method_not_allowed("GET, HEAD")),
    }
}
