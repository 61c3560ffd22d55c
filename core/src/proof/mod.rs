//! Proof of origin: who sent this, and what exactly that proves (DESIGN.md, "Proof of origin").
//!
//! The outcome is a [`Credential`]. Nothing reads an event without one, so an unproven body has no way into
//! the log. Not here: the scopes of `/v1`, which are in [`access`].

pub mod access;
pub mod network;
pub mod session;
pub mod signature;
pub mod token;

use crate::problem::{Code, Problem, Result};
use crate::request::{Body, Headers, Method, Request};
use crate::settings::{ProofPolicy, Settings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use signature::{Secret, Signer, StandardHeaders, Verdict};
use std::net::IpAddr;
use token::TokenHash;

/// What has been proven about a request. Made by [`prove`], and by a replay of what once was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// A valid token: it vouches for the whole request.
    pub token: bool,
    pub signed: Option<Signed>,
}

/// A valid signature, and what it covers: the body, and for Standard Webhooks its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    Standard { id: String },
    Hub,
}

impl Credential {
    /// Whether query and unsigned headers may give fields: only a token vouches for them.
    pub fn vouches_for_everything(&self) -> bool {
        self.token
    }

    /// Whether the only proof is a signature that carries neither an id nor a time of its own.
    pub fn is_hub_only(&self) -> bool {
        !self.token && self.signed == Some(Signed::Hub)
    }

    /// The `webhook-id`, where it was signed.
    pub fn signed_id(&self) -> Option<&str> {
        match &self.signed {
            Some(Signed::Standard { id }) => Some(id),
            _ => None,
        }
    }
}

/// Which of the configured secrets opened. It is what rates are counted by ([`crate::rate`]), and tells nobody a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Token(TokenHash),
    Signer(Signer),
}

/// A request whose origin is proven.
#[derive(Debug)]
pub struct Proven {
    pub credential: Credential,
    pub key: Key,
}

/// Decides whether a request to `/hook` is proven. `source_tokens` are the source's own: where there are
/// any, only these open it.
///
/// # Errors
/// `not-configured` where nothing could prove anything, `forbidden-network`, `missing-proof`, `bad-token`,
/// `bad-signature`, `stale-signature`.
pub fn prove(
    settings: &Settings,
    source_tokens: &[TokenHash],
    request: &Request,
    now_seconds: i64,
) -> Result<Proven> {
    let tokens = if source_tokens.is_empty() { &settings.ingest_tokens } else { source_tokens };
    if tokens.is_empty() && settings.hmac_secrets.is_empty() {
        let why = "set INGEST_TOKENS or HMAC_SECRETS: nothing can prove where an event comes from";
        return Err(Problem::new(Code::NotConfigured, why));
    }
    check_network(settings, &request.headers)?;

    let presented = presented_tokens(&request.headers);
    let token = opening(tokens, &presented);
    let signed = check_signatures(&settings.hmac_secrets, request, now_seconds);

    let needs_token = !source_tokens.is_empty()
        || (settings.proof == ProofPolicy::All && !tokens.is_empty())
        || settings.hmac_secrets.is_empty();
    let needs_signature =
        (settings.proof == ProofPolicy::All && !settings.hmac_secrets.is_empty()) || tokens.is_empty();

    match (token, signed) {
        (None, _) if needs_token && presented.is_empty() => Err(missing_token()),
        (None, _) if needs_token => Err(bad_token()),
        (Some(_), Err(problem)) if needs_signature && problem.code == Code::MissingProof => {
            Err(Problem::new(Code::MissingProof, "the token is valid; PROOF=all asks for a signature too"))
        }
        (_, Err(problem)) if needs_signature => Err(problem),
        (Some(token), signed) => {
            let signed = signed.ok().map(|(signed, _)| signed);
            Ok(Proven { credential: Credential { token: true, signed }, key: Key::Token(token) })
        }
        (None, Ok((signed, signer))) => {
            let credential = Credential { token: false, signed: Some(signed) };
            Ok(Proven { credential, key: Key::Signer(signer) })
        }
        (None, Err(problem)) => Err(if presented.is_empty() { problem } else { bad_token() }),
    }
}

/// The token among those presented that is one of these.
fn opening(tokens: &[TokenHash], presented: &[String]) -> Option<TokenHash> {
    presented.iter().map(|text| TokenHash::of(text)).find(|hash| hash.is_in(tokens))
}

fn missing_token() -> Problem {
    Problem::new(
        Code::MissingProof,
        "send a token: Authorization: Bearer, x-fieldhook-token, or HTTP Basic with the token as password",
    )
}

fn bad_token() -> Problem {
    Problem::new(Code::BadToken, "the token that was sent is not one that opens this endpoint")
}

fn check_network(settings: &Settings, headers: &Headers) -> Result<()> {
    if settings.allowed_networks.is_empty() {
        return Ok(());
    }
    // Set by Cloudflare itself, and overwritten if a client sends it; any other header can be forged.
    let address: Option<IpAddr> = headers.get("cf-connecting-ip").and_then(|text| text.parse().ok());
    match address {
        Some(address) if settings.allowed_networks.iter().any(|network| network.contains(address)) => Ok(()),
        _ => Err(Problem::new(Code::ForbiddenNetwork, "the sender's address is not in ALLOWED_NETWORKS")),
    }
}

/// Counts how often an event has been delivered onwards and come back (DESIGN.md, "Delivery").
pub const HOP_HEADER: &str = "fieldhook-hop";
/// The most deliveries that may lead here.
pub const HOPS_MAX: u32 = 3;

/// How many deliveries led here.
///
/// It is believed whatever the request's proof covers: a header that nobody signed can make a circle shorter, and
/// nothing else.
///
/// # Errors
/// `hop-limit`: deliveries lead in a circle.
pub fn check_hops(headers: &Headers) -> Result<u32> {
    let Some(text) = headers.get(HOP_HEADER) else { return Ok(0) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too long to read is too many; what is no number counts nothing.
    match text.parse::<u32>() {
        Ok(hops) if hops <= HOPS_MAX => Ok(hops),
        Err(_) if !is_number => Ok(0),
        _ => Err(Problem::new(Code::HopLimit, "deliveries lead back here: look for a circle")),
    }
}

/// Every token the request carries, wherever it carries one.
pub(crate) fn presented_tokens(headers: &Headers) -> Vec<String> {
    let mut tokens = Vec::new();
    if let Some((scheme, value)) = headers.get("authorization").and_then(|text| text.split_once(' ')) {
        if scheme.eq_ignore_ascii_case("bearer") {
            tokens.push(value.trim().to_owned());
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some((_, password)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) {
                tokens.push(password.to_owned());
            }
        }
    }
    if let Some(value) = headers.get("x-fieldhook-token") {
        tokens.push(value.to_owned());
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

fn check_signatures(secrets: &[Secret], request: &Request, now_seconds: i64) -> Result<(Signed, Signer)> {
    let missing = || {
        Problem::new(
            Code::MissingProof,
            "send a token (Authorization: Bearer) or sign the body (Standard Webhooks, x-hub-signature-256)",
        )
    };
    let headers = &request.headers;
    let standard = headers.get("webhook-signature");
    let hub = headers.get("x-hub-signature-256");
    if secrets.is_empty() || (standard.is_none() && hub.is_none()) {
        return Err(missing());
    }
    // A signature proves a body. There is none to prove in a GET, a DELETE or an empty POST.
    let body = match (&request.body, request.method) {
        (Body::Bytes(body), Method::Post | Method::Put) if !body.is_empty() => body,
        (Body::TooLarge, _) => return Err(Problem::new(Code::BodyTooLarge, "the body is over MAX_BODY")),
        _ => return Err(Problem::new(Code::BadSignature, "a signature proves a non-empty POST or PUT body")),
    };
    let mut problem = Problem::new(Code::BadSignature, "no signature matches the body and a known secret");
    if let Some(signature) = standard {
        match (headers.get("webhook-id"), headers.get("webhook-timestamp")) {
            (Some(id), Some(timestamp)) => {
                let parts = StandardHeaders { id, timestamp, signature };
                match signature::check_standard_signer(secrets, parts, body, now_seconds) {
                    (Verdict::Valid, Some(signer)) => {
                        return Ok((Signed::Standard { id: id.to_owned() }, signer));
                    }
                    (Verdict::Stale, _) => {
                        problem = Problem::field(
                            Code::StaleSignature,
                            "webhook-timestamp",
                            "the timestamp is more than 300 s away from now",
                        );
                    }
                    (Verdict::Invalid | Verdict::Valid, _) => {}
                }
            }
            (id, _) => {
                let name = if id.is_none() { "webhook-id" } else { "webhook-timestamp" };
                problem = Problem::field(Code::BadSignature, name, format!("the header {name} is missing"));
            }
        }
    }
    let signer = hub.and_then(|header| signature::check_hub_signer(secrets, header, body));
    signer.map(|signer| (Signed::Hub, signer)).ok_or(problem)
}

#[cfg(test)]
mod tests;
