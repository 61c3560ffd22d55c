use super::*;
use crate::clock::Time;

fn settings(pairs: &'static [(&str, &str)]) -> Settings {
    Settings::read(move |name| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

const TOKEN_AND_HUB: &[(&str, &str)] = &[("INGEST_TOKENS", "one,two"), ("HMAC_SECRETS", "hub")];
const BOTH_REQUIRED: &[(&str, &str)] = &[("INGEST_TOKENS", "one"), ("HMAC_SECRETS", "hub"), ("PROOF", "all")];

fn request(headers: &[(&str, &str)]) -> Request {
    Request::new(
        "POST",
        "https://x.dev/hook",
        Headers::from_pairs(headers.iter().copied()),
        Body::Bytes(b"Hello, World!".to_vec()),
    )
}

/// HMAC-SHA256 of `Hello, World!` under `hub`.
fn hub() -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"hub").unwrap();
    mac.update(b"Hello, World!");
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn code(settings: &Settings, own: &[TokenHash], request: &Request) -> std::result::Result<Credential, Code> {
    prove(settings, own, request, 0).map(|proven| proven.credential).map_err(|problem| problem.code)
}

#[test]
fn a_token_is_taken_from_three_places() {
    let settings = settings(TOKEN_AND_HUB);
    for (name, value) in [
        ("authorization", "Bearer two"),
        ("authorization", "bearer  two"),
        ("x-fieldhook-token", "one"),
        ("authorization", "Basic YW55b25lOnR3bw=="),
    ] {
        assert!(code(&settings, &[], &request(&[(name, value)])).unwrap().token, "{name}: {value}");
    }
    assert_eq!(code(&settings, &[], &request(&[("authorization", "")])), Err(Code::MissingProof));
    assert_eq!(code(&settings, &[], &request(&[("authorization", "Bearer x")])), Err(Code::BadToken));
}

#[test]
fn any_wants_one_proof_and_all_wants_every_configured_kind() {
    let signature = hub();
    let (token, signature) = (("authorization", "Bearer one"), ("x-hub-signature-256", &*signature));
    let (any, all) = (settings(TOKEN_AND_HUB), settings(BOTH_REQUIRED));
    assert!(code(&any, &[], &request(&[signature])).unwrap().is_hub_only());
    assert!(code(&any, &[], &request(&[token])).is_ok());
    assert_eq!(code(&all, &[], &request(&[signature])), Err(Code::MissingProof));
    assert_eq!(code(&all, &[], &request(&[token])), Err(Code::MissingProof));
    let both = code(&all, &[], &request(&[token, signature])).unwrap();
    assert_eq!(both, Credential { token: true, signed: Some(Signed::Hub) });
    let forged = ("x-hub-signature-256", "sha256=00");
    assert_eq!(code(&all, &[], &request(&[token, forged])), Err(Code::BadSignature));
    assert_eq!(code(&any, &[], &request(&[forged])), Err(Code::BadSignature));
}

#[test]
fn a_sources_own_tokens_are_the_only_ones_that_open_it() {
    let settings = settings(TOKEN_AND_HUB);
    let own = [TokenHash::of("own")];
    assert!(code(&settings, &own, &request(&[("authorization", "Bearer own")])).is_ok());
    assert_eq!(code(&settings, &own, &request(&[("authorization", "Bearer one")])), Err(Code::BadToken));
    assert_eq!(code(&settings, &own, &request(&[("x-hub-signature-256", &hub())])), Err(Code::MissingProof));
    assert_eq!(code(&settings, &[], &request(&[("authorization", "Bearer own")])), Err(Code::BadToken));
}

#[test]
fn nothing_configured_is_closed() {
    assert_eq!(
        code(&settings(&[]), &[], &request(&[("authorization", "Bearer x")])),
        Err(Code::NotConfigured)
    );
    let own = [TokenHash::of("own")];
    assert!(code(&settings(&[]), &own, &request(&[("authorization", "Bearer own")])).is_ok());
}

#[test]
fn a_signature_proves_no_empty_body_and_no_get() {
    let settings = settings(TOKEN_AND_HUB);
    let signature = hub();
    let mut sent = request(&[("x-hub-signature-256", &signature)]);
    sent.method = Method::Delete;
    assert_eq!(code(&settings, &[], &sent), Err(Code::BadSignature));
    sent.method = Method::Post;
    sent.body = Body::Bytes(Vec::new());
    assert_eq!(code(&settings, &[], &sent), Err(Code::BadSignature));
}

#[test]
fn only_cloudflares_own_header_names_the_network() {
    let settings = settings(&[("INGEST_TOKENS", "one"), ("ALLOWED_NETWORKS", "203.0.113.0/24")]);
    let token = ("authorization", "Bearer one");
    let from = |name| request(&[token, (name, "203.0.113.7")]);
    assert!(code(&settings, &[], &from("cf-connecting-ip")).is_ok());
    assert_eq!(code(&settings, &[], &from("x-forwarded-for")), Err(Code::ForbiddenNetwork));
    assert_eq!(code(&settings, &[], &request(&[token])), Err(Code::ForbiddenNetwork));
}

#[test]
fn every_secret_is_a_key_of_its_own() {
    let settings = settings(&[("INGEST_TOKENS", "one,two"), ("HMAC_SECRETS", "other,hub")]);
    let key = |name, value: &str| prove(&settings, &[], &request(&[(name, value)]), 0).unwrap().key;
    assert_eq!(key("authorization", "Bearer one"), key("x-fieldhook-token", "one"));
    assert_ne!(key("authorization", "Bearer one"), key("authorization", "Bearer two"));
    assert_eq!(key("x-hub-signature-256", &hub()), Key::Signer(1));
    assert!(!format!("{:?}", key("authorization", "Bearer one")).contains("one"));
}

#[test]
fn the_scopes_of_v1() {
    use super::access::{Scope, authorize};
    let settings = settings(&[("READ_TOKENS", "r"), ("ADMIN_TOKENS", "a"), ("INGEST_TOKENS", "i")]);
    let now = Time::from_millis(0);
    let code = |token: &str, scope| {
        let sent = request(&[("authorization", &*format!("Bearer {token}"))]);
        let opened = authorize(&settings, &sent, scope, now);
        opened.map(|opened| opened.scope).map_err(|problem| problem.code)
    };
    assert_eq!(code("r", Scope::Read), Ok(Scope::Read));
    assert_eq!(code("r", Scope::Admin), Err(Code::Forbidden));
    assert_eq!(code("a", Scope::Read), Ok(Scope::Admin));
    assert_eq!(code("i", Scope::Read), Err(Code::BadToken));
    let nobody = authorize(&settings, &request(&[]), Scope::Read, now);
    assert_eq!(nobody.unwrap_err().code, Code::MissingProof);
}
