//! Sealed texts: how the secrets of definitions lie in storage (DESIGN.md, "Integrations").
//!
//! AES-256-GCM, `v1.<key id>.<nonce>.<ciphertext>`, the last two in base64url; the id of what the secrets belong to is
//! the additional data, so that a sealed text opens nowhere else. Not here: the cipher itself, which is the platform's.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce (NIST SP 800-38D, 5.2.1.1).
pub const NONCE_BYTES: usize = 12;
/// How a sealed text begins: the version of its form.
const VERSION: &str = "v1";

/// A key that seals and opens. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; KEY_BYTES],
    id: String,
}

impl Key {
    /// Reads base64, of either alphabet, with or without padding; `None` for what is not 32 bytes.
    ///
    /// ```
    /// use fieldhook_core::seal::Key;
    /// let key = Key::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    /// assert_eq!(key.id(), "630dcd29");
    /// assert!(Key::parse("dG9vIHNob3J0").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
        let bytes = decode(&STANDARD).or_else(|| decode(&URL_SAFE))?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().ok()?;
        let digest = hex::encode(Sha256::digest(bytes));
        Some(Key { bytes, id: digest.chars().take(8).collect() })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Says which key sealed a text: the first 8 hex digits of the key's SHA-256.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A sealed text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// ```
    /// use fieldhook_core::seal::Sealed;
    /// let sealed = Sealed { key_id: "630dcd29".into(), nonce: vec![0; 12], ciphertext: vec![255; 16] };
    /// assert_eq!(sealed.to_text(), "v1.630dcd29.AAAAAAAAAAAAAAAA._____________________w");
    /// assert_eq!(Sealed::parse(&sealed.to_text()), Some(sealed));
    /// ```
    pub fn to_text(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{VERSION}.{}.{}.{}", self.key_id, encode(&self.nonce), encode(&self.ciphertext))
    }

    /// Reads what [`Sealed::to_text`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (version, key_id, nonce, ciphertext) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let (nonce, ciphertext) = (decode(nonce)?, decode(ciphertext)?);
        let is_whole = version == VERSION && parts.next().is_none() && nonce.len() == NONCE_BYTES;
        is_whole.then(|| Sealed { key_id: key_id.to_owned(), nonce, ciphertext })
    }

    /// The keys of its id, which is short enough that two may share it.
    pub fn fitting<'a>(&'a self, keys: &'a [Key]) -> impl Iterator<Item = &'a Key> {
        keys.iter().filter(|key| key.id == self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_read_in_every_spelling_of_its_base64_and_shown_in_none() {
        let texts = [
            "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=",
            "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA",
            "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA",
        ];
        for text in texts {
            let key = Key::parse(text).unwrap();
            assert_eq!(key.bytes().first(), Some(&255));
            assert_eq!(format!("{key:?}"), "Key(…)");
        }
        for text in ["", "%", "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4Q=="] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_is_not_sealed() {
        let whole = "v1.630dcd29.AAAAAAAAAAAAAAAA.AAAA";
        assert!(Sealed::parse(whole).is_some());
        for text in [
            "",
            "v1",
            "v2.630dcd29.AAAAAAAAAAAAAAAA.AAAA",
            "v1.630dcd29.AAAA.AAAA",
            "v1.k.AAAAAAAAAAAAAAAA.%",
        ] {
            assert_eq!(Sealed::parse(text), None, "{text}");
        }
        assert_eq!(Sealed::parse(&format!("{whole}.AAAA")), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") { let _ = (Sealed::parse(&text), Key::parse(&text)); }
    }
}
