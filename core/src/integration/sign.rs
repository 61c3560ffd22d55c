//! Signing what is delivered (Standard Webhooks, "Signature scheme").
//!
//! A secret that begins with `whsec_` is base64, any other is taken as UTF-8 bytes. With the second kind the body is
//! signed as hubs do too: so one fieldhook can check what another delivers, whichever kind they share.

use crate::definition::bad;
use crate::problem::Result;
use crate::proof::signature::{Secret, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The longest secret, characters.
const SECRET_MAX: usize = 256;

/// A signing secret from a definition.
///
/// # Errors
/// `bad-definition` at `secret`.
pub(super) fn secret(text: &str) -> Result<Secret> {
    if text.chars().count() > SECRET_MAX || text.contains(|c: char| c.is_control() || c == ' ') {
        let why = format!("has at most {SECRET_MAX} characters, none of them a space");
        return Err(bad("secret", &why));
    }
    Secret::parse(text).ok_or_else(|| bad("secret", "is not empty; behind whsec_ stands base64"))
}

/// The value of `webhook-signature` over `id.timestamp.body`: one `v1,<base64>` for each secret.
pub(super) fn standard(secrets: &[Secret], id: &str, timestamp: &str, body: &str) -> String {
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body.as_bytes()];
    let signatures = secrets.iter().filter_map(|secret| sign(secret.key(), &parts));
    signatures.map(|signature| format!("v1,{}", BASE64.encode(signature))).collect::<Vec<_>>().join(" ")
}

/// The value of `x-hub-signature-256` over the body: of the first secret that is no `whsec_`.
pub(super) fn hub(secrets: &[Secret], body: &str) -> Option<String> {
    let key = secrets.iter().find_map(|secret| match secret {
        Secret::Hub(key) => Some(key),
        Secret::StandardWebhooks(_) => None,
    })?;
    sign(key, &[body.as_bytes()]).map(|signature| format!("sha256={}", hex::encode(signature)))
}

/// A new secret of 32 bytes that the caller has drawn.
///
/// ```
/// use fieldhook_core::integration::sign::new_secret;
/// assert_eq!(new_secret(&[0; 32]), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
/// ```
pub fn new_secret(random: &[u8; 32]) -> String {
    format!("whsec_{}", BASE64.encode(random))
}
