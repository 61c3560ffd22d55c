//! Sessions: what the cookie of the dashboard opens, for how long, for whom, and what does not pass for one.

#![allow(clippy::unwrap_used, clippy::string_slice, reason = "a test may fail")]

use fieldhook_core::clock::Time;
use fieldhook_core::problem::Code;
use fieldhook_core::proof::access::{Scope, authorize, authorize_stream, sign_in};
use fieldhook_core::proof::prove;
use fieldhook_core::proof::session::{LIFETIME, clear_cookie, present, set_cookie, verify};
use fieldhook_core::request::{Body, Headers, Request};
use fieldhook_core::settings::Settings;
use proptest::prelude::*;

const HTTPS: &str = "https://field.example";
const HTTP: &str = "http://127.0.0.1:8787";

/// Some day in 2023.
fn now() -> Time {
    Time::from_millis(1_700_000_000_000)
}

fn settings(read: &str, admin: &str) -> Settings {
    let (read, admin) = (read.to_owned(), admin.to_owned());
    Settings::read(move |name| match name {
        "READ_TOKENS" => Some(read.clone()),
        "ADMIN_TOKENS" => Some(admin.clone()),
        _ => None,
    })
    .unwrap()
}

fn usual() -> Settings {
    settings("reader", "admin")
}

fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let headers = Headers::from_pairs(headers.iter().copied());
    Request::new(method, url, headers, Body::Bytes(body.as_bytes().to_vec()))
}

fn session_url(origin: &str) -> String {
    format!("{origin}/v1/session")
}

/// What the cookie of a new session of this token holds.
fn text_of(settings: &Settings, token: &str) -> String {
    let authorization = format!("Bearer {token}");
    let sent = request("POST", &session_url(HTTPS), &[("authorization", &authorization)], "");
    sign_in(settings, &sent, now(), [7; 16]).unwrap().1
}

/// The cookie as a browser sends it to this origin.
fn cookie(origin: &str, text: &str) -> String {
    let set = set_cookie(&request("GET", &session_url(origin), &[], ""), text);
    set.split(';').next().unwrap().to_owned()
}

fn get(headers: &[(&str, &str)]) -> Request {
    request("GET", &format!("{HTTPS}/v1/devices"), headers, "")
}

fn scope_of(settings: &Settings, request: &Request, needed: Scope, now: Time) -> Result<Scope, Code> {
    authorize(settings, request, needed, now).map(|opened| opened.scope).map_err(|problem| problem.code)
}

#[test]
fn a_session_opens_what_its_token_opens() {
    let settings = usual();
    for (token, scope, changes) in
        [("reader", Scope::Read, Err(Code::Forbidden)), ("admin", Scope::Admin, Ok(Scope::Admin))]
    {
        let cookie = cookie(HTTPS, &text_of(&settings, token));
        let sent = get(&[("cookie", &cookie)]);
        assert_eq!(scope_of(&settings, &sent, Scope::Read, now()), Ok(scope));
        assert_eq!(scope_of(&settings, &sent, Scope::Admin, now()), changes);
        assert_eq!(authorize_stream(&settings, &sent, now()).unwrap().scope, scope);
    }
}

#[test]
fn it_is_counted_as_its_token_is() {
    let settings = usual();
    let cookie = cookie(HTTPS, &text_of(&settings, "reader"));
    let by_cookie = authorize(&settings, &get(&[("cookie", &cookie)]), Scope::Read, now()).unwrap();
    let by_token =
        authorize(&settings, &get(&[("authorization", "Bearer reader")]), Scope::Read, now()).unwrap();
    assert_eq!(by_cookie.key, by_token.key);
    assert!(by_cookie.session.is_some() && by_token.session.is_none());
}

#[test]
fn it_lasts_twelve_hours_and_not_a_second_longer() {
    let settings = usual();
    let cookie = cookie(HTTPS, &text_of(&settings, "reader"));
    let at = |seconds| {
        let later = now().plus_millis(seconds * 1000);
        scope_of(&settings, &get(&[("cookie", &cookie)]), Scope::Read, later)
    };
    assert_eq!(at(LIFETIME - 1), Ok(Scope::Read));
    assert_eq!(at(LIFETIME), Err(Code::SessionEnded));
}

#[test]
fn it_ends_with_its_token_and_never_opens_more_than_the_token_does() {
    let before = usual();
    let (reader, admin) = (text_of(&before, "reader"), text_of(&before, "admin"));
    let opens = |settings: &Settings, text: &str| {
        scope_of(settings, &get(&[("cookie", &cookie(HTTPS, text))]), Scope::Read, now())
    };
    let gap = settings("newer,reader", "newest,admin");
    assert_eq!((opens(&gap, &reader), opens(&gap, &admin)), (Ok(Scope::Read), Ok(Scope::Admin)));
    let rotated = settings("newer", "newest");
    assert_eq!(opens(&rotated, &reader), Err(Code::SessionEnded));
    assert_eq!(opens(&rotated, &admin), Err(Code::SessionEnded));
    let swapped = settings("admin", "reader");
    assert_eq!((opens(&swapped, &reader), opens(&swapped, &admin)), (Ok(Scope::Read), Ok(Scope::Read)));
}

#[test]
fn a_token_that_is_sent_too_is_what_counts() {
    let settings = usual();
    let cookie = cookie(HTTPS, &text_of(&settings, "admin"));
    let with = |value| get(&[("cookie", &cookie), ("authorization", value)]);
    assert_eq!(scope_of(&settings, &with("Bearer reader"), Scope::Admin, now()), Err(Code::Forbidden));
    assert_eq!(scope_of(&settings, &with("Bearer wrong"), Scope::Read, now()), Err(Code::BadToken));
    assert_eq!(scope_of(&settings, &with(""), Scope::Admin, now()), Ok(Scope::Admin));
    let query = request("GET", &format!("{HTTPS}/v1/events?access_token=wrong"), &[("cookie", &cookie)], "");
    assert_eq!(authorize_stream(&settings, &query, now()).unwrap_err().code, Code::BadToken);
}

#[test]
fn over_https_the_cookie_is_bound_to_the_host_and_over_http_it_has_another_name() {
    let of = |origin| request("GET", &session_url(origin), &[], "");
    assert_eq!(
        set_cookie(&of(HTTPS), "x"),
        "__Host-fieldhook=x; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict"
    );
    assert_eq!(
        clear_cookie(&of(HTTPS)),
        "__Host-fieldhook=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"
    );
    assert_eq!(
        set_cookie(&of(HTTP), "x"),
        "fieldhook-session=x; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
    );
    let settings = usual();
    let text = text_of(&settings, "reader");
    for (sent, to, opens) in
        [(HTTPS, HTTPS, true), (HTTP, HTTP, true), (HTTP, HTTPS, false), (HTTPS, HTTP, false)]
    {
        let sent = request("GET", &session_url(to), &[("cookie", &cookie(sent, &text))], "");
        assert_eq!(present(&settings.session_keys, &sent, now()).unwrap().is_some(), opens, "{to}");
    }
}

#[test]
fn what_changes_something_needs_a_header_that_forms_cannot_send() {
    let settings = usual();
    let cookie = cookie(HTTPS, &text_of(&settings, "admin"));
    let sent = |method, extra: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str())], extra].concat();
        scope_of(&settings, &request(method, &format!("{HTTPS}/v1/x"), &headers, ""), Scope::Read, now())
    };
    for method in ["GET", "HEAD"] {
        assert_eq!(sent(method, &[]), Ok(Scope::Admin));
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        assert_eq!(sent(method, &[]), Err(Code::HeaderMissing), "{method}");
        assert_eq!(sent(method, &[("x-fieldhook-request", "0")]), Err(Code::HeaderMissing), "{method}");
        assert_eq!(sent(method, &[("x-fieldhook-request", "1")]), Ok(Scope::Admin), "{method}");
    }
}

#[test]
fn pages_of_other_origins_cannot_use_it() {
    let settings = usual();
    let text = text_of(&settings, "admin");
    let sent = |to: &str, method, extra: &[(&str, &str)]| {
        let cookie = cookie(to, &text);
        let headers = [&[("cookie", cookie.as_str()), ("x-fieldhook-request", "1")], extra].concat();
        scope_of(&settings, &request(method, &format!("{to}/v1/x"), &headers, ""), Scope::Read, now()).err()
    };
    let socket = ("upgrade", "websocket");
    for (to, own) in [(HTTPS, HTTPS), (HTTP, HTTP), (HTTP, "https://127.0.0.1:8787")] {
        assert_eq!(sent(to, "POST", &[("origin", own)]), None, "{own}");
        assert_eq!(sent(to, "GET", &[("origin", own), socket]), None, "{own}");
    }
    for other in [
        "https://evil.example",
        "http://field.example",
        "https://field.example:8443",
        "https://field.example.evil.example",
        "https://sub.field.example",
        "null",
        "https://field.example, https://field.example",
    ] {
        for method in ["GET", "POST"] {
            assert_eq!(sent(HTTPS, method, &[("origin", other)]), Some(Code::ForbiddenOrigin), "{other}");
        }
        assert_eq!(sent(HTTPS, "GET", &[("origin", other), socket]), Some(Code::ForbiddenOrigin), "{other}");
    }
    assert_eq!(sent(HTTPS, "POST", &[]), None, "curl names no origin");
    assert_eq!(
        sent(HTTPS, "GET", &[socket]),
        Some(Code::ForbiddenOrigin),
        "a browser's socket names one always"
    );
    let hidden = |site| sent(HTTPS, "POST", &[("origin", "null"), ("sec-fetch-site", site)]);
    assert_eq!(hidden("same-origin"), None);
    assert_eq!(hidden("same-site"), Some(Code::ForbiddenOrigin));
}

#[test]
fn a_token_is_sent_as_ever_or_in_the_body() {
    let settings = usual();
    let sign = |headers: &[(&str, &str)], body: &str| {
        let sent = request("POST", &session_url(HTTPS), headers, body);
        sign_in(&settings, &sent, now(), [1; 16])
            .map(|(session, _)| session.scope)
            .map_err(|problem| problem.code)
    };
    assert_eq!(sign(&[("authorization", "Bearer admin")], ""), Ok(Scope::Admin));
    assert_eq!(sign(&[("x-fieldhook-token", "reader")], "not read"), Ok(Scope::Read));
    assert_eq!(sign(&[], r#"{"token":" reader\n"}"#), Ok(Scope::Read));
    assert_eq!(sign(&[], ""), Err(Code::MissingProof));
    assert_eq!(sign(&[], r#"{"token":""}"#), Err(Code::MissingProof));
    assert_eq!(sign(&[], r#"{"token":"wrong"}"#), Err(Code::BadToken));
    for body in ["{}", "[]", "\"admin\"", r#"{"token":1}"#, r#"["admin"]"#, "{\"token\":\"ad"] {
        assert_eq!(sign(&[], body), Err(Code::BadJson), "{body}");
    }
    let evil = [("authorization", "Bearer admin"), ("origin", "https://evil.example")];
    assert_eq!(sign(&evil, ""), Err(Code::ForbiddenOrigin), "nobody signs a visitor in as somebody else");
    let own = cookie(HTTPS, &text_of(&settings, "admin"));
    assert_eq!(sign(&[("cookie", &own)], ""), Err(Code::MissingProof), "a session makes no other");
}

#[test]
fn no_session_without_a_token_that_could_be_its() {
    let nothing = settings("", "");
    let sent = request("POST", &session_url(HTTPS), &[("authorization", "Bearer admin")], "");
    assert_eq!(sign_in(&nothing, &sent, now(), [1; 16]).unwrap_err().code, Code::NotConfigured);
    let ingest_only = Settings::read(|name| (name == "INGEST_TOKENS").then(|| "admin".to_owned())).unwrap();
    assert_eq!(sign_in(&ingest_only, &sent, now(), [1; 16]).unwrap_err().code, Code::NotConfigured);
    assert!(ingest_only.session_keys.is_empty());
}

#[test]
fn a_token_of_both_kinds_is_an_administrators() {
    let both = settings("same", "same");
    let cookie = cookie(HTTPS, &text_of(&both, "same"));
    assert_eq!(scope_of(&both, &get(&[("cookie", &cookie)]), Scope::Admin, now()), Ok(Scope::Admin));
}

#[test]
fn hook_knows_no_cookie() {
    let settings = Settings::read(|name| match name {
        "INGEST_TOKENS" | "ADMIN_TOKENS" => Some("one".to_owned()),
        _ => None,
    })
    .unwrap();
    let cookie = cookie(HTTPS, &text_of(&settings, "one"));
    let sent =
        request("POST", &format!("{HTTPS}/hook"), &[("cookie", &cookie), ("x-fieldhook-request", "1")], "{}");
    assert_eq!(prove(&settings, &[], &sent, 0).unwrap_err().code, Code::MissingProof);
}

#[test]
fn other_cookies_do_no_harm() {
    let settings = usual();
    let own = cookie(HTTPS, &text_of(&settings, "reader"));
    let long = format!("a={}; {own}", "x".repeat(10_240));
    for cookies in [
        format!("a=1; {own}; b=2"),
        format!("a=1;{own}"),
        format!("a=1, {own}"),
        format!("  {own}  "),
        format!("{own};;;=;"),
        format!("__Host-fieldhook=; {own}"),
        format!("__Host-fieldhook=garbage; {own}"),
        format!("x__Host-fieldhook=1; =; \u{1F36A}=\u{1F36A}; {own}"),
        long,
    ] {
        let sent = get(&[("cookie", &cookies)]);
        assert_eq!(scope_of(&settings, &sent, Scope::Read, now()), Ok(Scope::Read), "{cookies:.80}");
    }
    let twice = get(&[("cookie", "a=1"), ("cookie", &own)]);
    assert_eq!(scope_of(&settings, &twice, Scope::Read, now()), Ok(Scope::Read));
}

#[test]
fn what_is_no_session_opens_nothing() {
    let settings = usual();
    let text = text_of(&settings, "reader");
    let garbage = "__Host-fieldhook=x;".repeat(1_000);
    for (cookies, code) in [
        ("", Code::MissingProof),
        ("other=1", Code::MissingProof),
        ("__Host-fieldhook", Code::MissingProof),
        ("__Host-fieldhook=", Code::MissingProof),
        ("__host-fieldhook=1", Code::MissingProof),
        ("fieldhook-session=1", Code::MissingProof),
        ("__Host-fieldhook=1", Code::SessionEnded),
        ("__Host-fieldhook=....", Code::SessionEnded),
        (&format!("__Host-fieldhook=\"{text}\""), Code::SessionEnded),
        (&format!("__Host-fieldhook={text}{text}"), Code::SessionEnded),
        (&format!("__Host-fieldhook={}", "x".repeat(10_240)), Code::SessionEnded),
        (&garbage, Code::SessionEnded),
        // Behind so many of the name none is looked at.
        (&format!("{garbage} __Host-fieldhook={text}"), Code::SessionEnded),
    ] {
        let sent = get(&[("cookie", cookies)]);
        assert_eq!(scope_of(&settings, &sent, Scope::Read, now()), Err(code), "{cookies:.80}");
    }
}

#[test]
fn nothing_of_a_key_is_shown() {
    let shown = format!("{:?}", usual().session_keys);
    assert_eq!(shown, "[SessionKey(Admin, …), SessionKey(Read, …)]");
    let text = text_of(&usual(), "reader");
    assert!(!text.contains("reader") && text.is_ascii() && text.len() < 128, "{text}");
}

proptest! {
    #[test]
    fn a_session_with_any_character_changed_is_none(at in 0usize..200, other in "[A-Za-z0-9._=-]") {
        let settings = usual();
        let text = text_of(&settings, "reader");
        let at = at % text.len();
        let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        let expected = (changed == text).then_some(Scope::Read);
        prop_assert_eq!(verify(&settings.session_keys, &changed, now()).map(|session| session.scope), expected);
    }

    #[test]
    fn nobody_signs_for_themselves(scope in "read|admin", token in "[a-z]{1,9}") {
        prop_assume!(token != "reader" && token != "admin");
        let forged = match &*scope {
            "admin" => text_of(&settings("x", &token), &token),
            _ => text_of(&settings(&token, "x"), &token),
        };
        prop_assert_eq!(verify(&usual().session_keys, &forged, now()), None);
    }

    #[test]
    fn no_cookie_panics(cookies in ".{0,300}", origin in ".{0,40}", method in "GET|POST") {
        let sent = request(&method, HTTPS, &[("cookie", &cookies), ("origin", &origin)], "");
        let _ = present(&usual().session_keys, &sent, now());
    }

    #[test]
    fn no_text_is_a_session(text in "1\\.(read|admin)\\.[0-9]{1,20}\\.[A-Za-z0-9_-]{0,24}\\.[A-Za-z0-9_-]{0,44}|.{0,150}") {
        prop_assert_eq!(verify(&usual().session_keys, &text, now()), None);
    }
}
