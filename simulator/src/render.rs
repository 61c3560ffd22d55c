//! The request that Particle makes of a webhook and an event, byte for byte where its documentation shows it.

use crate::definition::{Auth, Members, Method, Pairs, Payload, Webhook};
use crate::encoding::form;
use crate::event::Event;
use crate::http::request::Request;
use crate::target::{BadUrl, Target};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fieldhook_core::template::{Context, Fields, RenderError, Template};
use serde_json::Value;
use std::fmt;

/// How Particle's cloud names itself.
pub const USER_AGENT: &str = "ParticleBot/1.1 (https://docs.particle.io/webhooks)";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// The most a template may render to, bytes: events have 16 KB of data.
const LIMIT: usize = 1024 * 1024;

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
pub fn request(hook: &Webhook, event: &Event, overrides: &Overrides) -> Result<Request, NoRequest> {
    with_context(event, &overrides.variables, &event.data, |context| {
        let url = match &overrides.url {
            Some(url) => url.clone(),
            None => hook.url.render(context, LIMIT)?,
        };
        let body = body(hook, event, context)?;
        let target = Target::parse(&url).map_err(NoRequest::Url)?.with_query(&query(hook, event, context)?);
        let mut custom = custom_headers(&hook.headers, context)?;
        let mut authorization = authorization(hook.auth.as_ref(), context)?;
        if let Some(token) = &overrides.token {
            let bearer = format!("Bearer {token}");
            match custom.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
                Some((_, value)) => *value = bearer,
                None => authorization = Some(bearer),
            }
        }
        let headers = headers(custom, &target, authorization, body.as_ref())?;
        let body = body.map(|body| body.text.into_bytes());
        Ok(Request { method: hook.method.as_str(), target, headers, body, verify: hook.verify })
    })
}

struct Body {
    text: String,
    content_type: Option<&'static str>,
}

fn body(hook: &Webhook, event: &Event, context: &Context<'_>) -> Result<Option<Body>, NoRequest> {
    if !hook.method.has_body() {
        return Ok(None);
    }
    let (text, content_type) = match &hook.payload {
        Payload::None if hook.defaults => (fields(event, true, &[]), Some(FORM)),
        Payload::None => (String::new(), None),
        Payload::Form(pairs) => (fields(event, hook.defaults, &rendered(pairs, context)?), Some(FORM)),
        Payload::Json(document) => (document.render(context, LIMIT)?, Some(JSON)),
        Payload::JsonText(document) => {
            let text = document.render(context, LIMIT)?;
            (if hook.defaults { merged(event, text) } else { text }, Some(JSON))
        }
        Payload::Body(document) => (document.render(context, LIMIT)?, None),
    };
    Ok(Some(Body { text, content_type }))
}

fn query(hook: &Webhook, event: &Event, context: &Context<'_>) -> Result<String, NoRequest> {
    let mut pairs = rendered(&hook.query, context)?;
    if matches!(hook.method, Method::Get | Method::Delete) {
        if let Payload::Form(more) = &hook.payload {
            pairs.extend(rendered(more, context)?);
        }
        return Ok(fields(event, hook.defaults, &pairs));
    }
    Ok(fields(event, false, &pairs))
}

/// Defaults first, in their order; a pair of the same name takes a default's place.
fn fields(event: &Event, defaults: bool, pairs: &[(String, String)]) -> String {
    let given = |name: &str| pairs.iter().any(|(custom, _)| custom == name);
    let defaults = if defaults { event.defaults().to_vec() } else { Vec::new() };
    let defaults: Vec<_> = defaults.into_iter().filter(|(name, _)| !given(name)).collect();
    let defaults = defaults.iter().map(|(name, value)| (*name, value.as_str()));
    form(defaults.chain(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// The defaults in JSON that was written as a string, if it came out as an object.
fn merged(event: &Event, text: String) -> String {
    let Ok(Members(members)) = serde_json::from_str(&text) else { return text };
    let given = |name: &str| members.iter().any(|(custom, _)| custom == name);
    let defaults = event.defaults().into_iter().filter(|(name, _)| !given(name));
    let defaults = defaults.map(|(name, value)| format!("\"{name}\":{}", Value::from(value)));
    let members =
        members.iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.get()));
    format!("{{{}}}", defaults.chain(members).collect::<Vec<_>>().join(","))
}

fn rendered(pairs: &Pairs, context: &Context<'_>) -> Result<Vec<(String, String)>, RenderError> {
    let render = |template: &Template| template.render(context, LIMIT);
    pairs.iter().map(|(name, value)| Ok((render(name)?, render(value)?))).collect()
}

fn authorization(auth: Option<&Auth>, context: &Context<'_>) -> Result<Option<String>, RenderError> {
    Ok(match auth {
        None => None,
        Some(Auth::Bearer(token)) => Some(format!("Bearer {}", token.render(context, LIMIT)?)),
        Some(Auth::Basic { username, password }) => {
            let pair = format!("{}:{}", username.render(context, LIMIT)?, password.render(context, LIMIT)?);
            Some(format!("Basic {}", BASE64.encode(pair)))
        }
    })
}

fn custom_headers(pairs: &Pairs, context: &Context<'_>) -> Result<Vec<(String, String)>, NoRequest> {
    let legal_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let headers = rendered(pairs, context)?;
    match headers.iter().find(|(name, _)| !legal_name(name)) {
        Some((name, _)) => Err(NoRequest::Header(name.clone())),
        None => Ok(headers),
    }
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
