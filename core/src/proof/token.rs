//! Tokens: compared as SHA-256 digests, in constant time, against every one configured.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 digest of a token. The token itself is never kept.
///
/// ```
/// use fieldhook_core::proof::token::TokenHash;
/// let hash = TokenHash::of("s3cret");
/// assert!(TokenHash::any_is(&[hash], "s3cret"));
/// assert!(!TokenHash::any_is(&[hash], "s3creT"));
/// assert_eq!(TokenHash::parse(&hash.to_hex()), Some(hash));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads what [`TokenHash::to_hex`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(TokenHash(digest))
    }

    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Whether the token is one of these. Every one is compared, so that the time taken does not tell which.
    pub fn any_is(hashes: &[TokenHash], token: &str) -> bool {
        TokenHash::of(token).is_in(hashes)
    }

    /// The same for a token that is hashed already.
    pub fn is_in(&self, hashes: &[TokenHash]) -> bool {
        hashes.iter().fold(Choice::from(0), |found, hash| found | hash.0.ct_eq(&self.0)).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}
