//! Sessions: a token that was sent once becomes a cookie, for the dashboard, which keeps no token.
//!
//! A session is a text with a signature, and nothing is stored of it. It is signed with a key that only its token
//! gives, so it ends with the token: one that is no longer configured opens nothing. Not here: which sessions have
//! been ended before their time, which the Registry object remembers.

use super::Key;
use super::access::Scope;
use super::token::TokenHash;
use crate::clock::Time;
use crate::problem::{Code, Problem, Result};
use crate::request::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// How long a session lasts, seconds.
pub const LIFETIME: i64 = 43_200;
/// What a request that changes something carries beside its cookie, with the value `1`: a form of another page cannot,
/// and a script of another page has to ask first (`src/cors.rs`), with a question that knows no cookies.
pub const REQUEST_HEADER: &str = "x-fieldhook-request";

/// Over https: browsers take it from this host alone, over https alone (RFC 6265bis, 4.1.3.2).
const COOKIE: &str = "__Host-fieldhook";
/// Over http, as it is on one's own machine, where the prefix is refused.
const PLAIN_COOKIE: &str = "fieldhook-session";
/// The most cookies of the name that are looked at, and the longest of them: a session has about 90 bytes.
const COOKIES_MAX: usize = 4;
const LONGEST: usize = 128;

const VERSION: &str = "1";
/// What the key is derived for, so that nothing else that is signed with the token is a session.
const PURPOSE: &[u8] = b"fieldhook session 1";
pub const ID_BYTES: usize = 16;

/// What signs the sessions of one token. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SessionKey {
    scope: Scope,
    token: TokenHash,
    key: [u8; 32],
}

impl SessionKey {
    /// Of the token itself, not of its hash: hashes of sources' tokens are stored. There is one for every token.
    pub fn of(scope: Scope, token: &str) -> Option<Self> {
        let key = sign(token.as_bytes(), PURPOSE)?.finalize().into_bytes().into();
        Some(SessionKey { scope, token: TokenHash::of(token), key })
    }

    fn mac(&self, text: &str) -> Option<Hmac<Sha256>> {
        sign(&self.key, text.as_bytes())
    }
}

/// `None` never happens: a key of HMAC may have any length.
fn sign(key: &[u8], text: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac)
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({:?}, …)", self.scope)
    }
}

/// A session that is genuine and whose time has not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub scope: Scope,
    pub expires: Time,
    /// Whose it is; also what its rate is counted by.
    pub token: TokenHash,
    id: [u8; ID_BYTES],
}

impl Session {
    /// What is remembered of a session that was ended. It opens nothing.
    pub fn id(&self) -> String {
        hex::encode(self.id)
    }

    /// As the API shows it.
    pub fn to_json(&self) -> String {
        format!(r#"{{"scope":"{}","expires_at":"{}"}}"#, self.scope.as_str(), self.expires)
    }
}

/// A new session and the text that its cookie holds. `id` is random. `None` where no key is the token's.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::proof::{Key, access::Scope};
/// use fieldhook_core::proof::session::{LIFETIME, SessionKey, begin, verify};
/// use fieldhook_core::proof::token::TokenHash;
/// let (keys, now) = ([SessionKey::of(Scope::Read, "s3cret").unwrap()], Time::from_millis(1_700_000_000_000));
/// let (session, text) = begin(&keys, Key::Token(TokenHash::of("s3cret")), now, [7; 16]).unwrap();
/// assert_eq!(verify(&keys, &text, now), Some(session));
/// assert_eq!(verify(&keys, &text, now.plus_millis(LIFETIME * 1000)), None);
/// assert_eq!(verify(&[SessionKey::of(Scope::Read, "rotated").unwrap()], &text, now), None);
/// ```
pub fn begin(keys: &[SessionKey], token: Key, now: Time, id: [u8; ID_BYTES]) -> Option<(Session, String)> {
    let key = keys.iter().find(|key| Key::Token(key.token) == token)?;
    let expires = now.millis() / 1000 + LIFETIME;
    let signed = format!("{VERSION}.{}.{expires}.{}", key.scope.as_str(), BASE64URL.encode(id));
    let mac = BASE64URL.encode(key.mac(&signed)?.finalize().into_bytes());
    let session =
        Session { scope: key.scope, expires: Time::from_millis(expires * 1000), token: key.token, id };
    Some((session, format!("{signed}.{mac}")))
}

/// Reads what [`begin`] wrote; `None` for anything else, and for what has passed. Every key is tried, so that the time
/// taken does not tell which.
///
/// A session opens what its token opened when it began, and no more than the token opens today.
pub fn verify(keys: &[SessionKey], text: &str, now: Time) -> Option<Session> {
    if text.len() > LONGEST {
        return None;
    }
    let (signed, mac) = text.rsplit_once('.')?;
    let mac = BASE64URL.decode(mac).ok()?;
    let mut key: Option<&SessionKey> = None;
    for tried in keys {
        let matches = tried.mac(signed)?.verify_slice(&mac).is_ok();
        key = if matches { key.or(Some(tried)) } else { key };
    }
    let key = key?;
    let mut fields = signed.split('.');
    let mut next = || fields.next();
    let (Some(VERSION), Some(scope), Some(expires), Some(id), None) =
        (next(), next(), next(), next(), next())
    else {
        return None;
    };
    let expires = Time::from_millis(expires.parse::<i64>().ok()?.saturating_mul(1000));
    let id = BASE64URL.decode(id).ok()?.try_into().ok()?;
    let scope = Scope::parse(scope)?.min(key.scope);
    (now < expires).then_some(Session { scope, expires, token: key.token, id })
}

/// The session that a request's cookie carries; `None` without a cookie of that name.
///
/// # Errors
/// `session-ended` for a cookie that is not, or no longer, a session. For one that is: `forbidden-origin` where a page
/// of another origin sent it, `header-missing` where a change has no [`REQUEST_HEADER`].
pub fn present(keys: &[SessionKey], request: &Request, now: Time) -> Result<Option<Session>> {
    let mut cookies = cookies(request).peekable();
    if cookies.peek().is_none() {
        return Ok(None);
    }
    let session = cookies.find_map(|text| verify(keys, text, now)).ok_or_else(ended)?;
    check_caller(request)?;
    Ok(Some(session))
}

/// What a session that was ended, or is none, is told.
pub fn ended() -> Problem {
    Problem::new(Code::SessionEnded, "sign in again: POST /v1/session with a token")
}

/// Whether a request that a browser has added a cookie to is one that the dashboard made.
///
/// # Errors
/// `forbidden-origin`, `header-missing`.
pub fn check_caller(request: &Request) -> Result<()> {
    check_origin(request)?;
    let only_reads = matches!(request.method, Method::Get | Method::Head);
    if !only_reads && request.headers.get(REQUEST_HEADER) != Some("1") {
        let why = "with a session, a request that changes something carries x-fieldhook-request: 1";
        return Err(Problem::field(Code::HeaderMissing, REQUEST_HEADER, why));
    }
    Ok(())
}

/// Browsers name the page that a request comes from with all that is not a plain read; with a WebSocket always, and it
/// is the one thing a page of another origin may open and read (RFC 6455, 10.2). Under `referrer-policy: no-referrer`
/// the name may be `null`; then `sec-fetch-site` tells, which no page can write (Fetch Metadata, 2.4).
///
/// # Errors
/// `forbidden-origin`.
pub fn check_origin(request: &Request) -> Result<()> {
    let is_socket = request.headers.get("upgrade").is_some();
    let is_own = match request.headers.get("origin") {
        None => !is_socket,
        Some("null") => request.headers.get("sec-fetch-site") == Some("same-origin"),
        // Over http, TLS may have ended in front of us; over https nothing may have been taken off.
        Some(origin) => {
            origin == request.origin
                || (!is_https(request) && origin.strip_prefix("https://") == Some(request.host()))
        }
    };
    let why = "only pages of this deployment's own may use its sessions";
    if is_own { Ok(()) } else { Err(Problem::field(Code::ForbiddenOrigin, "origin", why)) }
}

/// `Set-Cookie` for a session's text.
pub fn set_cookie(request: &Request, text: &str) -> String {
    cookie(request, text, LIFETIME)
}

/// `Set-Cookie` that takes the cookie away.
pub fn clear_cookie(request: &Request) -> String {
    cookie(request, "", 0)
}

fn cookie(request: &Request, text: &str, seconds: i64) -> String {
    let secure = if is_https(request) { " Secure;" } else { "" };
    let name = cookie_name(request);
    format!("{name}={text}; Path=/; Max-Age={seconds};{secure} HttpOnly; SameSite=Strict")
}

fn cookie_name(request: &Request) -> &'static str {
    if is_https(request) { COOKIE } else { PLAIN_COOKIE }
}

fn is_https(request: &Request) -> bool {
    request.origin.starts_with("https://")
}

/// What cookies of the name hold, the first few. A comma parts them too: so several headers of the name are joined.
fn cookies(request: &Request) -> impl Iterator<Item = &str> {
    let name = cookie_name(request);
    let headers = request.headers.iter().filter(|(header, _)| *header == "cookie");
    let pairs =
        headers.flat_map(|(_, value)| value.split([';', ','])).filter_map(|pair| pair.split_once('='));
    pairs
        .filter(move |(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
        .take(COOKIES_MAX)
}
