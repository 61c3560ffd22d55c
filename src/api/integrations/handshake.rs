//! The handshake of a subscription: its target shows that it wants what will be sent to it (RESThooks, "Immediate
//! confirmation").

use crate::fetch;
use fieldhook_core::delivery::outcome::Heard;
use fieldhook_core::delivery::record::error_text;
use fieldhook_core::integration::request::USER_AGENT;
use fieldhook_core::integration::subscription::{HANDSHAKE_HEADER, is_shaken};
use fieldhook_core::integration::{Outgoing, Secrets};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::target::Target;

/// How long the target may take, milliseconds.
const TIMEOUT: i64 = 10_000;
/// Nothing of the answer's body is used.
const BODY_MAX: usize = 1_024;

/// Sends the secret to the target, which has to answer 2xx with the same header.
///
/// # Errors
/// `handshake-failed`.
pub async fn shake(target: &Target, secrets: &Secrets) -> Result<()> {
    let secret = secrets.signing().unwrap_or_default();
    let outgoing = Outgoing {
        method: "POST",
        url: target.url.clone(),
        headers: vec![
            ("user-agent".to_owned(), USER_AGENT.to_owned()),
            (HANDSHAKE_HEADER.to_owned(), secret.clone()),
        ],
        body: None,
    };
    let reply = fetch::send(&outgoing, TIMEOUT, BODY_MAX).await;
    let echoed =
        reply.headers.iter().find(|(name, _)| name == HANDSHAKE_HEADER).map(|(_, value)| value.as_str());
    match &reply.heard {
        Heard::Answer { status, .. } if is_shaken(*status, echoed, &secret) => Ok(()),
        heard => {
            let why = error_text(heard, &target.host).unwrap_or_else(|| {
                format!("{} did not answer with the {HANDSHAKE_HEADER} it was sent", target.host)
            });
            Err(Problem::field(Code::HandshakeFailed, "target_url", why))
        }
    }
}
