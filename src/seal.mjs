// AES-256-GCM by the platform, for src/seal.rs. A sealed text is nonce and ciphertext, one behind the other.

const NONCE_BYTES = 12;

/** Fills the bytes with ones that nobody can guess. */
export function fill(bytes) {
  crypto.getRandomValues(bytes);
}

export async function encrypt(key, plain, about) {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const ciphertext = await crypto.subtle.encrypt(algorithm(nonce, about), await imported(key), plain);
  const sealed = new Uint8Array(NONCE_BYTES + ciphertext.byteLength);
  sealed.set(nonce);
  sealed.set(new Uint8Array(ciphertext), NONCE_BYTES);
  return sealed;
}

/** The plain bytes; undefined where this key does not open them. */
export async function decrypt(key, nonce, ciphertext, about) {
  try {
    return new Uint8Array(
      await crypto.subtle.decrypt(algorithm(nonce, about), await imported(key), ciphertext),
    );
  } catch {
    return undefined;
  }
}

const algorithm = (iv, additionalData) => ({ name: "AES-GCM", iv, additionalData });

const imported = (key) => crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
