//! The scopes of `/v1`: who may read and who may change (DESIGN.md, "Configuration").

use super::presented_tokens;
use super::token::TokenHash;
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

/// Decides whether the request's token opens `needed`.
///
/// # Errors
/// `not-configured` where no token could open it, `missing-proof`, `bad-token`, and `forbidden` for a valid
/// token of too small a scope.
pub fn authorize(settings: &Settings, headers: &Headers, needed: Scope) -> Result<Scope> {
    decide(settings, presented_tokens(headers), needed)
}

/// The same for reading a stream, where the token may also be the query's `access_token`: a browser's EventSource
/// can send no header. Nowhere else, since URLs are logged.
///
/// # Errors
/// As [`authorize`].
pub fn authorize_stream(settings: &Settings, request: &Request) -> Result<Scope> {
    let mut presented = presented_tokens(&request.headers);
    presented.extend(request.query_value("access_token").filter(|t| !t.is_empty()).map(Cow::into_owned));
    decide(settings, presented, Scope::Read)
}

fn decide(settings: &Settings, presented: Vec<String>, needed: Scope) -> Result<Scope> {
    let no_read = settings.read_tokens.is_empty() || needed == Scope::Admin;
    if settings.admin_tokens.is_empty() && no_read {
        let why = match needed {
            Scope::Read => "set READ_TOKENS or ADMIN_TOKENS",
            Scope::Admin => "set ADMIN_TOKENS",
        };
        return Err(Problem::new(Code::NotConfigured, why));
    }
    let is = |hashes: &[TokenHash]| presented.iter().any(|token| TokenHash::any_is(hashes, token));
    let (admin, read) = (is(&settings.admin_tokens), is(&settings.read_tokens));
    match (admin, read, needed) {
        (true, _, _) => Ok(Scope::Admin),
        (false, true, Scope::Read) => Ok(Scope::Read),
        (false, true, Scope::Admin) => {
            Err(Problem::new(Code::Forbidden, "this needs an admin token; the one sent can only read"))
        }
        (false, false, _) if presented.is_empty() => {
            Err(Problem::new(Code::MissingProof, "send a token: Authorization: Bearer …"))
        }
        (false, false, _) => Err(Problem::new(Code::BadToken, "the token that was sent opens nothing here")),
    }
}
