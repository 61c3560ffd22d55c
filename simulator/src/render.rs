//! The request that Particle makes of a webhook and an event, byte for byte where its documentation shows it.

use crate::definition::Webhook;
use crate::event::Event;
use crate::http::request::Request;
use crate::target::{BadUrl, Target};
use fieldhook_core::integration::render::{Body, JSON, LIMIT, is_header_name};
use fieldhook_core::template::{Context, Fields, RenderError};
use std::fmt;

/// How Particle's cloud names itself.
pub const USER_AGENT: &str = "ParticleBot/1.1 (https://docs.particle.io/webhooks)";

/// What the user of this command says over the definition.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Instead of the definition's `url`, its query included.
    pub url: Option<String>,
    /// `Authorization: Bearer`, instead of what the definition has.
    pub token: Option<String>,
    /// Variables of the user's own, as Particle's custom variables.
    pub variables: Vec<(String, String)>,
}

/// Why there is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRequest {
    Template(RenderError),
    Url(BadUrl),
    /// A header's name or value cannot stand in a request.
    Header(String),
    /// The server is another machine, and nobody said that it may be called.
    Remote(String),
}

impl fmt::Display for NoRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRequest::Template(error) => write!(f, "{error}"),
            NoRequest::Url(error) => write!(f, "{error}"),
            // As Node says it, in which Particle's webhooks are written by the look of their errors.
            NoRequest::Header(name) => write!(f, "Invalid character in header content [{name:?}]"),
            NoRequest::Remote(server) => {
                write!(f, "{server} is not this machine: --allow-remote if you may send traffic there")
            }
        }
    }
}

impl From<RenderError> for NoRequest {
    fn from(error: RenderError) -> Self {
        NoRequest::Template(error)
    }
}

/// Calls with what a webhook's templates see of an event, over the fields of `json`.
pub fn with_context<T>(
    event: &Event,
    variables: &[(String, String)],
    json: &str,
    call: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let published_at = event.published_at.to_string();
    let fields = Fields::parse(json).unwrap_or_default();
    call(&Context::new(&event.variables(&published_at, variables), &fields))
}

/// The request for an event that the webhook matches.
///
/// # Errors
/// A template, URL or header that came out unusable.
pub fn request(webhook: &Webhook, event: &Event, overrides: &Overrides) -> Result<Request, NoRequest> {
    let (hook, defaults) = (&webhook.hook, event.defaults());
    with_context(event, &overrides.variables, &event.data, |context| {
        let url = match &overrides.url {
            Some(url) => url.clone(),
            None => hook.url.render(context, LIMIT)?,
        };
        let body = hook.render_body(context, &defaults)?;
        let query = hook.render_query(context, &defaults)?;
        let target = Target::parse(&url).map_err(NoRequest::Url)?.with_query(&query);
        let mut custom = hook.render_headers(context)?;
        if let Some((name, _)) = custom.iter().find(|(name, _)| !is_header_name(name)) {
            return Err(NoRequest::Header(name.clone()));
        }
        let mut authorization = hook.render_authorization(context)?;
        if let Some(token) = &overrides.token {
            let bearer = format!("Bearer {token}");
            match custom.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
                Some((_, value)) => *value = bearer,
                None => authorization = Some(bearer),
            }
        }
        let headers = headers(custom, &target, authorization, body.as_ref())?;
        let body = body.map(|body| body.text.into_bytes());
        Ok(Request { method: hook.method.as_str(), target, headers, body, verify: webhook.verify })
    })
}

/// The definition's own headers, then the cloud's, in the order of the documented requests. One that the
/// definition has is not added again; the length is always the real one.
fn headers(
    custom: Vec<(String, String)>,
    target: &Target,
    authorization: Option<String>,
    body: Option<&Body>,
) -> Result<Vec<(String, Vec<u8>)>, NoRequest> {
    let content_type = body.and_then(|body| body.content_type);
    let ours = [
        ("User-Agent", Some(USER_AGENT.to_owned())),
        ("host", Some(target.authority())),
        ("authorization", authorization),
        ("accept", content_type.filter(|kind| *kind == JSON).map(str::to_owned)),
        ("content-type", content_type.map(str::to_owned)),
    ];
    let framing = |name: &str| {
        ["content-length", "transfer-encoding", "connection"].iter().any(|own| name.eq_ignore_ascii_case(own))
    };
    let mut headers: Vec<(String, String)> = custom.into_iter().filter(|(name, _)| !framing(name)).collect();
    for (name, value) in ours {
        let given = headers.iter().any(|(custom, _)| custom.eq_ignore_ascii_case(name));
        if let (Some(value), false) = (value, given) {
            headers.push((name.to_owned(), value));
        }
    }
    if let Some(body) = body {
        headers.push(("content-length".to_owned(), body.text.len().to_string()));
    }
    headers
        .into_iter()
        .map(|(name, value)| match latin1(&value) {
            Some(bytes) => Ok((name, bytes)),
            None => Err(NoRequest::Header(name)),
        })
        .collect()
}

/// A header's value as Node writes it: Latin-1, and nothing of what could end a line.
fn latin1(value: &str) -> Option<Vec<u8>> {
    let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|b| *b == b'\t' || (*b >= b' ' && *b != 127));
    value.trim_matches([' ', '\t']).chars().map(byte).collect()
}
