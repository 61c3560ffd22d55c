//! The scopes of `/v1`: who may read and who may change (DESIGN.md, "Configuration").

use super::presented_tokens;
use super::token::TokenHash;
use crate::problem::{Code, Problem, Result};
use crate::request::Headers;
use crate::settings::Settings;

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
    let no_read = settings.read_tokens.is_empty() || needed == Scope::Admin;
    if settings.admin_tokens.is_empty() && no_read {
        let why = match needed {
            Scope::Read => "set READ_TOKENS or ADMIN_TOKENS",
            Scope::Admin => "set ADMIN_TOKENS",
        };
        return Err(Problem::new(Code::NotConfigured, why));
    }
    let presented = presented_tokens(headers);
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
