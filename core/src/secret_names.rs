//! Which names stand for a secret: what is masked by its name alone, in definitions, in recorded requests and in
//! recorded answers (DESIGN.md, "Integrations").

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// A name that ends like this, spelled together or apart, in any case: `accessToken`, `x-auth-token`, `CLIENT_SECRET`.
const ENDINGS: [&str; 8] =
    ["token", "secret", "password", "passwd", "passphrase", "apikey", "authorization", "cookie"];
/// A name that is this and nothing else.
const WHOLE: [&str; 3] = ["pwd", "bearer", "credentials"];

/// Whether a field, header or property of this name holds a secret.
///
/// `key` counts as the last of several words only: by itself it is more often the key of a pair than to a door.
///
/// ```
/// use fieldhook_core::secret_names::is_secret_name;
/// for name in ["api_key", "Authorization", "x-api-key", "accessToken", "writeKey", "auth[token]", "PASSWORD"] {
///     assert!(is_secret_name(name), "{name}");
/// }
/// for name in ["key", "keys", "monkey", "token_type", "temperature", "author", ""] {
///     assert!(!is_secret_name(name), "{name}");
/// }
/// ```
pub fn is_secret_name(name: &str) -> bool {
    let together: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    WHOLE.contains(&together.as_str())
        || ENDINGS.iter().any(|ending| together.ends_with(ending))
        || (together.len() > "key".len() && last_word(name).eq_ignore_ascii_case("key"))
}

/// The last word of a name: behind the last character that is neither letter nor digit, or from the last capital
/// that follows a small letter or a digit.
fn last_word(name: &str) -> &str {
    let name = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let mut start = 0;
    let mut before = None;
    for (at, c) in name.char_indices() {
        if !c.is_ascii_alphanumeric() {
            start = at + c.len_utf8();
        } else if c.is_ascii_uppercase()
            && before.is_some_and(|b: char| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            start = at;
        }
        before = Some(c);
    }
    name.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_usual_spelling_is_known() {
        for name in [
            "authorization",
            "Proxy-Authorization",
            "password",
            "passwd",
            "secret",
            "token",
            "api_key",
            "apikey",
            "api-key",
            "API-KEY",
            "apiKey",
            "X-Api-Key",
            "access_token",
            "client_secret",
            "private_key",
            "webhookSecret",
            "userPassword",
            "key2Key",
            "set-cookie",
            "bearer",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(name in ".*") { let _ = is_secret_name(&name); }

        #[test]
        fn a_secret_name_is_one_in_any_case(stem in "[a-z]{1,8}", name in "[-_.][a-z]{3,10}") {
            let name = format!("{stem}{name}");
            prop_assert_eq!(is_secret_name(&name), is_secret_name(&name.to_ascii_uppercase()));
        }
    }
}
