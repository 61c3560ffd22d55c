//! Proof, beside an HMAC written out by hand. Parts: how it is sent (`a`: every proof is wanted, `b`: the body is
//! changed on its way), Authorization, `webhook-id`, `webhook-timestamp`, `webhook-signature`, `x-hub-signature-256`,
//! body. In the two signatures `$` stands for the right one, which no fuzzer finds.

use super::{parts, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fieldhook_core::proof::signature::{self, Secret, StandardHeaders, TOLERANCE_SECONDS, Verdict};
use fieldhook_core::proof::{Proven, Signed, prove};
use fieldhook_core::request::{Body, Headers, Request};
use fieldhook_core::settings::Settings;
use sha2::{Digest, Sha256};

const NOW: i64 = 1_614_265_330;
const TOKEN: &str = "an-ingest-token-of-32-characters";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HUB: &str = "a secret of the hub";

pub fn check(data: &[u8]) {
    let [how, authorization, id, timestamp, standard, hub, body] = parts(data);
    let [authorization, id, timestamp] = [authorization, id, timestamp].map(header);
    let key = BASE64.decode(&STANDARD["whsec_".len()..]).expect("base64");
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let (mac, hub_mac) = (hmac(&key, &signed), hmac(HUB.as_bytes(), body));
    let standard = header(standard).replace('$', &BASE64.encode(mac));
    let hub = header(hub).replace('$', &hex::encode(hub_mac));
    let mut body = body.to_vec();
    if how.contains(&b'b') {
        body.push(b' ');
    }

    let secrets = [Secret::parse(STANDARD), Secret::parse(HUB)].map(|secret| secret.expect("a secret"));
    let expected = Expected::new(&key, &id, &timestamp, &standard, &hub, &body);
    let given = StandardHeaders { id: &id, timestamp: &timestamp, signature: &standard };
    let verdict = signature::check_standard(&secrets, given, &body, NOW);
    match verdict {
        Verdict::Valid => assert!(expected.standard && expected.fresh),
        Verdict::Stale => assert!(expected.standard && !expected.fresh),
        Verdict::Invalid => assert!(!expected.alone),
    }
    assert_eq!(signature::check_hub(&secrets, &hub, &body), expected.hub);

    let headers = Headers::from_pairs([
        ("authorization", &*authorization),
        ("webhook-id", &*id),
        ("webhook-timestamp", &*timestamp),
        ("webhook-signature", &*standard),
        ("x-hub-signature-256", &*hub),
    ]);
    let all = how.contains(&b'a');
    let request = Request::new("POST", "https://x.dev/hook", headers, Body::Bytes(body));
    let Ok(Proven { credential, .. }) = prove(&settings(all), &[], &request, NOW) else {
        // A good token alone is enough, whatever stands beside it.
        return assert!(all || authorization != format!("Bearer {TOKEN}"));
    };
    assert!(credential.token || credential.signed.is_some());
    assert!(!all || credential.token && credential.signed.is_some());
    assert!(!credential.token || is_token(&authorization), "{authorization:?}");
    match credential.signed {
        Some(Signed::Standard { id: proven }) => {
            assert!(expected.standard && expected.fresh);
            assert_eq!(proven, id);
        }
        Some(Signed::Hub) => assert!(expected.hub),
        None => {}
    }
}

/// A header's value as a Worker has it: one line, no space around it.
fn header(bytes: &[u8]) -> String {
    text(bytes).replace(['\r', '\n'], "").trim().to_owned()
}

fn settings(all: bool) -> Settings {
    Settings::read(|name| {
        let value = match name {
            "INGEST_TOKENS" => TOKEN.to_owned(),
            "HMAC_SECRETS" => format!("{STANDARD},{HUB}"),
            "PROOF" if all => "all".to_owned(),
            _ => return None,
        };
        Some(value)
    })
    .expect("settings")
}

/// Whether the header has the token in it, as it is or as the password of HTTP Basic.
fn is_token(authorization: &str) -> bool {
    let (_, value) = authorization.split_once(' ').expect("a scheme and a value");
    let basic =
        || BASE64.decode(value.trim()).is_ok_and(|pair| pair.ends_with(format!(":{TOKEN}").as_bytes()));
    value.trim() == TOKEN || basic()
}

/// What the headers prove about the body that arrived.
struct Expected {
    /// The right signature is among those given.
    standard: bool,
    /// It is the only one, and nothing in what was signed is ambiguous: this one must be accepted.
    alone: bool,
    fresh: bool,
    hub: bool,
}

impl Expected {
    fn new(key: &[u8], id: &str, timestamp: &str, standard: &str, hub: &str, body: &[u8]) -> Self {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let right = format!("v1,{}", BASE64.encode(hmac(key, &signed)));
        let given = standard.split(' ').any(|item| item == right);
        let hub_mac = format!("sha256={}", hex::encode(hmac(HUB.as_bytes(), body)));
        let digest = hub.get("sha256=".len()..).unwrap_or_default().to_ascii_lowercase();
        let dots = id.contains('.') || timestamp.contains('.');
        let at = timestamp.parse::<i64>().map(i128::from);
        Expected {
            standard: given && !dots,
            alone: standard == right && !dots,
            fresh: at.is_ok_and(|at| (at - i128::from(NOW)).abs() <= i128::from(TOLERANCE_SECONDS)),
            hub: hub.starts_with("sha256=") && format!("sha256={digest}") == hub_mac,
        }
    }
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    match key.len() > block.len() {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let pad = |byte: u8| block.map(|key| key ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}
