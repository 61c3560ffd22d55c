//! Everything under `/v1`: who may, and who answers.

mod definitions;
mod devices;
mod integrations;
mod products;
mod publish;
mod quarantine;
mod series;
mod session;
mod stats;
mod stream;
mod twin;

use crate::answer::Answer;
use crate::isolate::Platform;
use crate::limits;
use crate::registry::Kind;
use crate::router::not_found;
use fieldhook_core::integration::Face;
use fieldhook_core::problem::{Problem, Result};
use fieldhook_core::proof::access::{Opened, Scope, authorize, authorize_stream};
use fieldhook_core::proof::session::ended;
use fieldhook_core::request::{Method, Request};
use fieldhook_core::settings::Settings;
use fieldhook_core::stream::request::Path as StreamPath;
use std::rc::Rc;

/// A call to `/v1` whose token, or session, has been looked at.
pub struct Call<'a> {
    pub platform: &'a Platform,
    pub request: &'a Request,
    pub settings: Rc<Settings>,
}

impl<'a> Call<'a> {
    /// There is no call without a scope, so no route can forget to ask for one.
    fn open(platform: &'a Platform, request: &'a Request, scope: Scope) -> Result<Self> {
        let settings = platform.settings()?;
        let opened = authorize(&settings, request, scope, platform.now)?;
        Call::admitted(platform, request, settings, &opened)
    }

    /// A call that reads a stream: the one place where a token in the query counts.
    fn open_stream(platform: &'a Platform, request: &'a Request) -> Result<Self> {
        let settings = platform.settings()?;
        let opened = authorize_stream(&settings, request, platform.now)?;
        Call::admitted(platform, request, settings, &opened)
    }

    /// Whoever comes with a session has been counted, and asked about, at the door: [`session::admit`].
    fn admitted(
        platform: &'a Platform,
        request: &'a Request,
        settings: Rc<Settings>,
        opened: &Opened,
    ) -> Result<Self> {
        match opened.session {
            None => limits::count(platform, opened.key)?,
            Some(session) if platform.session.get() == Some(session) => {}
            Some(_) => return Err(ended()),
        }
        Ok(Call { platform, request, settings })
    }
}

pub async fn serve(platform: &Platform, request: &Request, path: &[&str]) -> Answer {
    let answered = match session::admit(platform, request, path).await {
        Ok(()) => answer(platform, request, path).await,
        Err(problem) => Err(problem),
    };
    let answer = answered.unwrap_or_else(|problem| match path.first() {
        Some(first) if PARTICLE_PATHS.contains(first) => Answer::particle_problem(&problem),
        _ => Answer::problem(&problem),
    });
    // A browser that has a session sends its cookie with whatever names these paths: it is told to make nothing of an
    // answer but data, and to show it in nobody's page.
    answer
        .with("x-content-type-options", "nosniff")
        .with("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
}

async fn answer(platform: &Platform, request: &Request, path: &[&str]) -> Result<Answer> {
    match (StreamPath::of(path), path) {
        (Some(stream), _) if is_read(request.method) => stream::route(platform, request, &stream).await,
        // To these two, events are published as well.
        (Some(_), path) if !matches!(path, ["devices", "events"] | ["products", _, "events"]) => {
            not_allowed("GET, HEAD")
        }
        (_, ["devices", rest @ ..]) => devices::route(platform, request, rest).await,
        (_, ["products", product, rest @ ..]) => products::route(platform, request, product, rest).await,
        (_, ["sources", rest @ ..]) => definitions::route(platform, request, Kind::Source, rest).await,
        (_, ["transforms", rest @ ..]) => definitions::route(platform, request, Kind::Transform, rest).await,
        (_, ["integrations" | "webhooks", rest @ ..]) => {
            let way = integrations::Way { face: Face::Integration, product: None };
            integrations::route(platform, request, way, rest).await
        }
        (_, ["subscriptions", rest @ ..]) => {
            let way = integrations::Way { face: Face::Subscription, product: None };
            integrations::route(platform, request, way, rest).await
        }
        (_, ["quarantine", rest @ ..]) => quarantine::route(platform, request, rest).await,
        (_, ["session"]) => session::route(platform, request).await,
        (_, ["stats"]) => stats::route(platform, request).await,
        _ => Err(not_found()),
    }
}

/// What stands behind `/v1/` in Particle's own API: errors there have the shape its clients read.
const PARTICLE_PATHS: [&str; 5] = ["devices", "events", "integrations", "products", "webhooks"];

fn is_read(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head)
}

/// 405, for the arm behind the last method.
fn not_allowed(methods: &'static str) -> Result<Answer> {
    Err(Problem::method_not_allowed(methods))
}

/// A list as every list is (DESIGN.md, "Shapes"). `next` is text without need of escaping.
fn list_body(noun: &str, items: &[String], next: Option<&str>) -> String {
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    format!(r#"{{"{noun}":[{}],"next":{next}}}"#, items.join(","))
}

/// `Link: rel="next"` for answers whose body has no room for a cursor (RFC 8288).
fn next_link(request: &Request, next: &str) -> String {
    // Encoded anew, and without the host: what a caller wrote there must not end the link.
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in request.query_fields().filter(|(name, _)| name != "after") {
        query.append_pair(&name, &value);
    }
    query.append_pair("after", next);
    let path = request.path.replace(['<', '>', '"'], "");
    format!("<{path}?{}>; rel=\"next\"", query.finish())
}

/// The text of a request's body.
///
/// # Errors
/// `body-too-large`, `bad-body`.
fn body_text(request: &Request) -> Result<&str> {
    use fieldhook_core::problem::Code;
    use fieldhook_core::request::Body;
    match &request.body {
        Body::TooLarge => Err(Problem::new(Code::BodyTooLarge, "the body is over MAX_BODY")),
        Body::Bytes(bytes) => {
            std::str::from_utf8(bytes).map_err(|_| Problem::new(Code::BadBody, "the body is not UTF-8"))
        }
    }
}
