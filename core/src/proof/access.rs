//! The scopes of `/v1`: who may read and who may change (DESIGN.md, "Configuration").

use super::session::{self, Session};
use super::{Key, opening, presented_tokens};
use crate::clock::Time;
use crate::json;
use crate::problem::{Code, Problem, Result};
use crate::request::{Body, Request};
use crate::settings::Settings;
use serde::Deserialize;
use std::borrow::Cow;

/// What a token opens. `Admin` includes `Read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    Admin,
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Scope::Read, Scope::Admin].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// What was opened, and by which token.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    pub scope: Scope,
    pub key: Key,
    /// The session that opened it in the place of its token. It may have been ended: that is still to be asked.
    pub session: Option<Session>,
}

/// Decides whether the request's token opens `needed`, or its session, where it carries no token.
///
/// # Errors
/// `not-configured` where no token could open it, `missing-proof`, `bad-token`, and `forbidden` for a valid
/// token of too small a scope; of a session also what [`session::present`] finds.
pub fn authorize(settings: &Settings, request: &Request, needed: Scope, now: Time) -> Result<Opened> {
    decide(settings, request, false, needed, now)
}

/// The same for reading a stream, where the token may also be the query's `access_token`: a browser's EventSource
/// can send no header. Nowhere else, since URLs are logged.
///
/// # Errors
/// As [`authorize`].
pub fn authorize_stream(settings: &Settings, request: &Request, now: Time) -> Result<Opened> {
    decide(settings, request, true, Scope::Read, now)
}

/// The session that a request is to be judged by: it counts where no token is sent.
///
/// # Errors
/// As [`session::present`].
pub fn session_in_use(
    settings: &Settings,
    request: &Request,
    is_stream: bool,
    now: Time,
) -> Result<Option<Session>> {
    match presented(request, is_stream).is_empty() {
        true => session::present(&settings.session_keys, request, now),
        false => Ok(None),
    }
}

fn presented(request: &Request, is_stream: bool) -> Vec<String> {
    let mut presented = presented_tokens(&request.headers);
    if is_stream {
        let token = request.query_value("access_token").filter(|token| !token.is_empty());
        presented.extend(token.map(Cow::into_owned));
    }
    presented
}

/// Makes a session of a token, which is sent as any other or, from a form, in the body: `{"token":"…"}`. No session
/// makes another. `id` is random. Answers what the cookie holds, too.
///
/// # Errors
/// As [`authorize`], `forbidden-origin`, and for the body `body-too-large`, `bad-json`.
pub fn sign_in(
    settings: &Settings,
    request: &Request,
    now: Time,
    id: [u8; session::ID_BYTES],
) -> Result<(Session, String)> {
    session::check_origin(request)?;
    check_configured(settings, Scope::Read)?;
    let mut presented = presented_tokens(&request.headers);
    if presented.is_empty() {
        presented.extend(token_of(&request.body)?);
    }
    let opened = by_token(settings, &presented, Scope::Read)?;
    session::begin(&settings.session_keys, opened.key, now, id)
        .ok_or_else(|| Problem::new(Code::Internal, "the session could not be signed"))
}

fn token_of(body: &Body) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Sent {
        token: String,
    }
    let bytes = match body {
        Body::TooLarge => return Err(Problem::new(Code::BodyTooLarge, "the body is over MAX_BODY")),
        Body::Bytes(bytes) if bytes.is_empty() => return Ok(None),
        Body::Bytes(bytes) => bytes,
    };
    // The parser's words would show what was sent.
    let bad = || Problem::new(Code::BadJson, "send {\"token\":\"…\"}");
    let sent: Sent =
        std::str::from_utf8(bytes).ok().and_then(|text| json::read(text).ok()).ok_or_else(bad)?;
    let token = sent.token.trim();
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

fn decide(
    settings: &Settings,
    request: &Request,
    is_stream: bool,
    needed: Scope,
    now: Time,
) -> Result<Opened> {
    check_configured(settings, needed)?;
    match session_in_use(settings, request, is_stream, now)? {
        None => by_token(settings, &presented(request, is_stream), needed),
        Some(session) if session.scope >= needed => {
            Ok(Opened { scope: session.scope, key: Key::Token(session.token), session: Some(session) })
        }
        Some(_) => Err(Problem::new(Code::Forbidden, "this needs an admin token; the session can only read")),
    }
}

fn check_configured(settings: &Settings, needed: Scope) -> Result<()> {
    let no_read = settings.read_tokens.is_empty() || needed == Scope::Admin;
    if settings.admin_tokens.is_empty() && no_read {
        let why = match needed {
            Scope::Read => "set READ_TOKENS or ADMIN_TOKENS",
            Scope::Admin => "set ADMIN_TOKENS",
        };
        return Err(Problem::new(Code::NotConfigured, why));
    }
    Ok(())
}

fn by_token(settings: &Settings, presented: &[String], needed: Scope) -> Result<Opened> {
    let (admin, read) =
        (opening(&settings.admin_tokens, presented), opening(&settings.read_tokens, presented));
    let opened = |scope, token| Ok(Opened { scope, key: Key::Token(token), session: None });
    match (admin, read, needed) {
        (Some(admin), _, _) => opened(Scope::Admin, admin),
        (None, Some(read), Scope::Read) => opened(Scope::Read, read),
        (None, Some(_), Scope::Admin) => {
            Err(Problem::new(Code::Forbidden, "this needs an admin token; the one sent can only read"))
        }
        (None, None, _) if presented.is_empty() => {
            Err(Problem::new(Code::MissingProof, "send a token: Authorization: Bearer …"))
        }
        (None, None, _) => Err(Problem::new(Code::BadToken, "the token that was sent opens nothing here")),
    }
}
