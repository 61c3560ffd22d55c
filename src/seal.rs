//! Seals and opens the secrets of definitions with the platform's cipher; the form of a sealed text is
//! [`fieldhook_core::seal`]'s.

use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::seal::{Key, NONCE_BYTES, Sealed};
use wasm_bindgen::prelude::*;
use worker::console_error;
use worker::js_sys::Uint8Array;

#[wasm_bindgen(module = "/src/seal.mjs")]
extern "C" {
    fn fill(bytes: &mut [u8]);
    #[wasm_bindgen(catch)]
    async fn encrypt(key: &[u8], plain: &[u8], about: &[u8]) -> std::result::Result<JsValue, JsValue>;
    async fn decrypt(key: &[u8], nonce: &[u8], ciphertext: &[u8], about: &[u8]) -> JsValue;
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Seals with the first key; opens again only under the same `about`.
///
/// # Errors
/// `not-configured` where there is no key.
pub async fn seal(keys: &[Key], plain: &str, about: &str) -> Result<String> {
    let Some(key) = keys.first() else {
        let why = "the definition holds secrets, and ENCRYPTION_KEYS has no key to seal them with";
        return Err(Problem::field(Code::NotConfigured, "ENCRYPTION_KEYS", why));
    };
    let sealed = encrypt(key.bytes(), plain.as_bytes(), about.as_bytes()).await.map_err(|error| {
        console_error!("sealing failed: {error:?}");
        Problem::new(Code::Internal, "the secrets cannot be sealed")
    })?;
    let bytes = Uint8Array::new(&sealed).to_vec();
    let (nonce, ciphertext) = bytes.split_at_checked(NONCE_BYTES).unwrap_or((&bytes, &[]));
    let (nonce, ciphertext) = (nonce.to_vec(), ciphertext.to_vec());
    Ok(Sealed { key_id: key.id().to_owned(), nonce, ciphertext }.to_text())
}

/// Opens with whichever key fits.
///
/// # Errors
/// `not-configured` where none does.
pub async fn open(keys: &[Key], sealed: &str, about: &str) -> Result<String> {
    let read = Sealed::parse(sealed)
        .ok_or_else(|| Problem::new(Code::Internal, "the sealed secrets are damaged"))?;
    for key in read.fitting(keys) {
        let plain = decrypt(key.bytes(), &read.nonce, &read.ciphertext, about.as_bytes()).await;
        if plain.is_undefined() {
            continue;
        }
        return String::from_utf8(Uint8Array::new(&plain).to_vec())
            .map_err(|_| Problem::new(Code::Internal, "the sealed secrets are damaged"));
    }
    let why = format!("ENCRYPTION_KEYS has no key that opens what the key {} has sealed", read.key_id);
    Err(Problem::field(Code::NotConfigured, "ENCRYPTION_KEYS", why))
}
