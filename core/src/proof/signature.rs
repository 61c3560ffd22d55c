//! HMAC-SHA256 signatures: Standard Webhooks and `x-hub-signature-256` (DESIGN.md, "Proof of origin").
//!
//! Which secret serves which: one that starts with `whsec_` is base64 and signs Standard Webhooks; any other
//! is taken as UTF-8 bytes and signs `x-hub-signature-256`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// How far a `webhook-timestamp` may lie from now, seconds (Standard Webhooks, "Timestamp").
pub const TOLERANCE_SECONDS: i64 = 300;
/// A header may hold several signatures; more than this are not looked at.
const MAX_SIGNATURES: usize = 16;

/// A signing secret. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub enum Secret {
    StandardWebhooks(Vec<u8>),
    Hub(Vec<u8>),
}

impl Secret {
    /// What is signed with.
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Secret::StandardWebhooks(key) | Secret::Hub(key) => key,
        }
    }

    /// `None` for a `whsec_` secret that is not base64, or is empty.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("whsec_") {
            Some(encoded) => {
                let key = BASE64.decode(encoded).ok().filter(|key| !key.is_empty())?;
                Some(Secret::StandardWebhooks(key))
            }
            None => (!text.is_empty()).then(|| Secret::Hub(text.as_bytes().to_vec())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secret::StandardWebhooks(_) => "Secret::StandardWebhooks(…)",
            Secret::Hub(_) => "Secret::Hub(…)",
        })
    }
}

/// The three headers of a Standard Webhooks request.
#[derive(Debug, Clone, Copy)]
pub struct StandardHeaders<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
}

/// The place of a secret in `HMAC_SECRETS`.
pub type Signer = usize;

/// What a Standard Webhooks signature turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    /// The signature matches and the timestamp is outside the tolerance.
    Stale,
    Invalid,
}

/// Checks `webhook-signature` over `id.timestamp.body` against every secret.
///
/// The header is a space-separated list of `v1,<base64>` (Standard Webhooks, "Signature scheme").
pub fn check_standard(
    secrets: &[Secret],
    headers: StandardHeaders<'_>,
    body: &[u8],
    now_seconds: i64,
) -> Verdict {
    check_standard_signer(secrets, headers, body, now_seconds).0
}

/// The same, and who signed, if anyone did.
pub(super) fn check_standard_signer(
    secrets: &[Secret],
    headers: StandardHeaders<'_>,
    body: &[u8],
    now_seconds: i64,
) -> (Verdict, Option<Signer>) {
    let given: Vec<Vec<u8>> = headers
        .signature
        .split(' ')
        .filter_map(|item| BASE64.decode(item.strip_prefix("v1,")?).ok())
        .take(MAX_SIGNATURES)
        .collect();
    // What is signed is joined by dots: with one in the id, two requests could have the same signed bytes
    // (Standard Webhooks, "Signature scheme": the id must not contain one).
    if headers.id.contains('.') || headers.timestamp.contains('.') {
        return (Verdict::Invalid, None);
    }
    let mut signer = None;
    for (place, secret) in secrets.iter().enumerate() {
        let Secret::StandardWebhooks(key) = secret else { continue };
        let parts = [headers.id.as_bytes(), b".", headers.timestamp.as_bytes(), b".", body];
        let Some(expected) = sign(key, &parts) else { continue };
        let matches = |found, signature: &Vec<u8>| found | expected.ct_eq(signature.as_slice());
        if given.iter().fold(Choice::from(0), matches).into() {
            signer = Some(place);
        }
    }
    let verdict = match (signer, headers.timestamp.parse::<i64>()) {
        (None, _) => Verdict::Invalid,
        (_, Ok(at)) if now_seconds.saturating_sub(at).saturating_abs() <= TOLERANCE_SECONDS => Verdict::Valid,
        _ => Verdict::Stale,
    };
    (verdict, signer)
}

/// Checks `x-hub-signature-256: sha256=<hex>` over the raw body against every secret.
pub fn check_hub(secrets: &[Secret], header: &str, body: &[u8]) -> bool {
    check_hub_signer(secrets, header, body).is_some()
}

/// The same: who signed.
pub(super) fn check_hub_signer(secrets: &[Secret], header: &str, body: &[u8]) -> Option<Signer> {
    let mut given = [0; 32];
    let decoded = header.strip_prefix("sha256=").map(|digest| hex::decode_to_slice(digest, &mut given));
    if !matches!(decoded, Some(Ok(()))) {
        return None;
    }
    let mut signer = None;
    for (place, secret) in secrets.iter().enumerate() {
        let Secret::Hub(key) = secret else { continue };
        let Some(expected) = sign(key, &[body]) else { continue };
        if expected.ct_eq(&given).into() {
            signer = Some(place);
        }
    }
    signer
}

/// `None` never happens: HMAC takes a key of any length. The type says it could, so nothing panics.
pub(crate) fn sign(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of the Standard Webhooks reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const HEADERS: StandardHeaders<'_> = StandardHeaders {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::parse(text).unwrap()).collect()
    }

    #[test]
    fn the_reference_signature_is_valid_at_its_time_and_stale_later() {
        let secrets = secrets(&["whsec_AAAA", SECRET]);
        assert_eq!(check_standard(&secrets, HEADERS, BODY, 1_614_265_330), Verdict::Valid);
        assert_eq!(check_standard(&secrets, HEADERS, BODY, 1_614_265_630), Verdict::Valid);
        assert_eq!(check_standard(&secrets, HEADERS, BODY, 1_614_265_631), Verdict::Stale);
        assert_eq!(check_standard(&secrets, HEADERS, BODY, 1_614_265_029), Verdict::Stale);
    }

    #[test]
    fn a_change_in_any_signed_part_is_invalid() {
        let secrets = secrets(&[SECRET]);
        let now = 1_614_265_330;
        let other_id = StandardHeaders { id: "msg_other", ..HEADERS };
        let other_time = StandardHeaders { timestamp: "1614265331", ..HEADERS };
        assert_eq!(check_standard(&secrets, other_id, BODY, now), Verdict::Invalid);
        assert_eq!(check_standard(&secrets, other_time, BODY, now), Verdict::Invalid);
        assert_eq!(check_standard(&secrets, HEADERS, b"{}", now), Verdict::Invalid);
    }

    #[test]
    fn a_dot_cannot_move_from_the_body_into_the_id() {
        let secrets = secrets(&[SECRET]);
        let Secret::StandardWebhooks(key) = &secrets[0] else { panic!() };
        let digest = sign(key, &[b"a.5.5.{}"]).unwrap();
        let signature = format!("v1,{}", BASE64.encode(digest));
        let signed = StandardHeaders { id: "a", timestamp: "5", signature: &signature };
        assert_eq!(check_standard(&secrets, signed, b"5.{}", 5), Verdict::Valid);
        let shifted = StandardHeaders { id: "a.5", ..signed };
        assert_eq!(check_standard(&secrets, shifted, b"{}", 5), Verdict::Invalid);
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let list = format!("v1a,xyz v1,AAAA {}", HEADERS.signature);
        let headers = StandardHeaders { signature: &list, ..HEADERS };
        assert_eq!(check_standard(&secrets(&[SECRET]), headers, BODY, 1_614_265_330), Verdict::Valid);
    }

    #[test]
    fn a_hub_signature_is_over_the_raw_body() {
        // The example of the documentation of GitHub webhooks, "Testing the webhook payload validation".
        let secrets = secrets(&["other", "It's a Secret to Everybody"]);
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(check_hub(&secrets, header, b"Hello, World!"));
        assert!(!check_hub(&secrets, header, b"Hello, World"));
        assert!(!check_hub(&secrets, "sha1=757107ea", b"Hello, World!"));
    }

    #[test]
    fn each_secret_serves_its_own_kind_only() {
        let hub = secrets(&["plain"]);
        assert_eq!(check_standard(&hub, HEADERS, BODY, 1_614_265_330), Verdict::Invalid);
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert!(!format!("{:?}", secrets(&["plain", SECRET])).contains("plain"));
    }

    proptest! {
        #[test]
        fn no_header_panics(id in ".*", timestamp in ".*", signature in ".*", body: Vec<u8>) {
            let headers = StandardHeaders { id: &id, timestamp: &timestamp, signature: &signature };
            let secrets = secrets(&[SECRET, "plain"]);
            prop_assert_eq!(check_standard(&secrets, headers, &body, 0), Verdict::Invalid);
            prop_assert!(!check_hub(&secrets, &signature, &body));
        }
    }
}
