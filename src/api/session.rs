//! `/v1/session`: a token becomes a cookie, and a cookie ends. The session is the cookie: what it opens elsewhere is
//! decided where tokens are looked at.

use super::{is_read, not_allowed};
use crate::answer::Answer;
use crate::isolate::Platform;
use crate::{limits, rpc, seal};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::Key;
use fieldhook_core::proof::access::{session_in_use, sign_in};
use fieldhook_core::proof::session::{self, Session, check_caller, clear_cookie, set_cookie};
use fieldhook_core::request::{Method, Request};
use fieldhook_core::stream::request::Path as StreamPath;

pub async fn route(platform: &Platform, request: &Request) -> Result<Answer> {
    match request.method {
        Method::Post => begin(platform, request),
        Method::Get | Method::Head => show(platform, request).await,
        Method::Delete => end(platform, request).await,
        _ => not_allowed("GET, HEAD, POST, DELETE"),
    }
}

fn begin(platform: &Platform, request: &Request) -> Result<Answer> {
    let settings = platform.settings()?;
    let (session, text) = sign_in(&settings, request, platform.now, seal::random())?;
    limits::count(platform, Key::Token(session.token))?;
    Ok(Answer::json(200, session.to_json()).with("set-cookie", &set_cookie(request, &text)))
}

async fn show(platform: &Platform, request: &Request) -> Result<Answer> {
    let session = present(platform, request).await?;
    Ok(Answer::json(200, session.to_json()))
}

/// Where there is no session, or none any more, there is nothing left to do: the cookie goes all the same.
async fn end(platform: &Platform, request: &Request) -> Result<Answer> {
    check_caller(request)?;
    match present(platform, request).await {
        Ok(session) => rpc::registry(&platform.env)?.end_session(&session).await?,
        Err(problem) if problem.status() == 401 => {}
        Err(problem) => return Err(problem),
    }
    let gone = Answer::empty(204).with("cache-control", "no-store");
    Ok(gone.with("set-cookie", &clear_cookie(request)))
}

/// The session of the request's cookie, whatever token it carries beside.
async fn present(platform: &Platform, request: &Request) -> Result<Session> {
    let settings = platform.settings()?;
    let session = session::present(&settings.session_keys, request, platform.now)?.ok_or_else(|| {
        Problem::new(Code::MissingProof, "there is no session: POST /v1/session with a token")
    })?;
    check(platform, session).await?;
    Ok(session)
}

/// The door of `/v1`, before any route: a session that counts as the request's proof costs an object call, which says
/// whether it was ended; a token costs none.
///
/// # Errors
/// What [`session_in_use`] and [`check`] find.
pub async fn admit(platform: &Platform, request: &Request, path: &[&str]) -> Result<()> {
    if request.headers.get("cookie").is_none() || path == ["session"] {
        return Ok(());
    }
    let is_stream = is_read(request.method) && StreamPath::of(path).is_some();
    match session_in_use(&*platform.settings()?, request, is_stream, platform.now)? {
        Some(session) => check(platform, session).await,
        None => Ok(()),
    }
}

/// Counts a request of a session, and asks whether it was ended. Where it was not, the request may go on with it.
///
/// # Errors
/// `rate-limited`, `session-ended`; `unavailable` where that cannot be told.
async fn check(platform: &Platform, session: Session) -> Result<()> {
    limits::count(platform, Key::Token(session.token))?;
    if rpc::registry(&platform.env)?.session_ended(&session).await? {
        return Err(session::ended());
    }
    platform.session.set(Some(session));
    Ok(())
}
