//! The scopes of `/v1`: who may read and who may change (DESIGN.md, "Configuration").

use super::{Key, opening, presented_tokens};
use crate::problem::{Code, Problem, Result};
use crate::request::{Headers, Request};
use crate::settings::Settings;
use std::borrow::Cow;

/// What a token opens. `Admin` includes `Read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    Admin,
}

/// What was opened, and by which token.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    pub scope: Scope,
    pub key: Key,
}

/// Decides whether the request's token opens `needed`.
///
/// # Errors
/// `not-configured` where no token could open it, `missing-proof`, `bad-token`, and `forbidden` for a valid
/// token of too small a scope.
pub fn authorize(settings: &Settings, headers: &Headers, needed: Scope) -> Result<Opened> {
    decide(settings, presented_tokens(headers), needed)
}

/// The same for reading a stream, where the token may also be the query's `access_token`: a browser's EventSource
/// can send no header. Nowhere else, since URLs are logged.
///
/// # Errors
/// As [`authorize`].
pub fn authorize_stream(settings: &Settings, request: &Request) -> Result<Opened> {
    let mut presented = presented_tokens(&request.headers);
    presented.extend(request.query_value("access_token").filter(|t| !t.is_empty()).map(Cow::into_owned));
    decide(settings, presented, Scope::Read)
}

fn decide(settings: &Settings, presented: Vec<String>, needed: Scope) -> Result<Opened> {
    let no_read = settings.read_tokens.is_empty() || needed == Scope::Admin;
    if settings.admin_tokens.is_empty() && no_read {
        let why = match needed {
            Scope::Read => "set READ_TOKENS or ADMIN_TOKENS",
            Scope::Admin => "set ADMIN_TOKENS",
        };
        return Err(Problem::new(Code::NotConfigured, why));
    }
    let (admin, read) =
        (opening(&settings.admin_tokens, &presented), opening(&settings.read_tokens, &presented));
    let opened = |scope, token| Ok(Opened { scope, key: Key::Token(token) });
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
