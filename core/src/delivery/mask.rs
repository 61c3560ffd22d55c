//! Taking the secrets out of what is recorded of an attempt: by the names of fields, and wherever a stored secret
//! stands by itself (DESIGN.md, "Integrations").

use crate::json;
use crate::secret_names::{MASK, is_secret_name};
use std::borrow::Cow;
use std::fmt;

/// A secret with fewer characters is masked by name only: as a text it is found in too many words.
pub const LITERAL_MIN: usize = 4;
/// How deep JSON is looked for inside of JSON's own strings.
const NESTED_MAX: usize = 4;

/// What is masked: the integration's secrets, in every spelling that a request can give them.
pub struct Masking {
    /// Longest first, so that one secret inside another does not spoil the longer one.
    literals: Vec<String>,
}

impl fmt::Debug for Masking {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masking").finish_non_exhaustive()
    }
}

/// Masks a text; `content_type` as the header says, empty where there is none.
///
/// ```
/// use fieldhook_core::delivery::mask::mask;
/// let secrets = ["s3cr3t".to_owned()];
/// assert_eq!(mask(r#"{"apiKey": "x", "t": 1}"#, "application/json", &[]), r#"{"apiKey": "********", "t": 1}"#);
/// assert_eq!(mask("token=x&t=1", "application/x-www-form-urlencoded", &[]), "token=********&t=1");
/// assert_eq!(mask("hello s3cr3t", "text/plain", &secrets), "hello ********");
/// ```
pub fn mask(text: &str, content_type: &str, secrets: &[String]) -> String {
    Masking::new(secrets).body(text, content_type)
}

impl Masking {
    /// With the secrets of one integration, and what is derived of them, such as `user:password` in base64.
    pub fn new<T: AsRef<str>>(secrets: &[T]) -> Self {
        let long = secrets.iter().map(AsRef::as_ref).filter(|s| s.chars().count() >= LITERAL_MIN);
        let mut literals: Vec<String> = long.flat_map(spellings).collect();
        literals.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        literals.dedup();
        Masking { literals }
    }

    /// A body. Whole bodies only: what is cut first can leave the half of a secret, see [`Masking::cut_body`].
    pub fn body(&self, text: &str, content_type: &str) -> String {
        let by_name = if content_type.to_ascii_lowercase().contains("x-www-form-urlencoded") {
            form(text)
        } else {
            // Whatever it is called: services answer JSON as text/html, and a body of no type is most often JSON.
            json(text, NESTED_MAX)
        };
        self.literals_in(by_name)
    }

    /// A body that was read no further than some limit, so that its last secret may be half there.
    pub fn cut_body(&self, text: &str, content_type: &str) -> String {
        let mut text = Cow::Borrowed(text);
        let ends = |literal: &String| {
            let prefixes = literal.char_indices().skip(LITERAL_MIN).filter_map(|(at, _)| literal.get(..at));
            prefixes.filter(|part| text.ends_with(part)).map(str::len).max()
        };
        if let Some(length) = self.literals.iter().filter_map(ends).max() {
            let rest = text.get(..text.len().saturating_sub(length)).unwrap_or_default();
            text = Cow::Owned(format!("{rest}{MASK}"));
        }
        self.body(&text, content_type)
    }

    /// A URL: the values of secret-named query fields, and every literal.
    ///
    /// ```
    /// use fieldhook_core::delivery::mask::Masking;
    /// let masking = Masking::new(&["a b/c"]);
    /// assert_eq!(masking.url("https://x.dev/a%20b%2Fc?api_key=1&t=2"), "https://x.dev/********?api_key=********&t=2");
    /// ```
    pub fn url(&self, url: &str) -> String {
        match url.split_once('?') {
            Some((before, query)) => self.literals_in(Cow::Owned(format!("{before}?{}", form(query)))),
            None => self.literals_in(Cow::Borrowed(url)),
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str, value: &str) -> String {
        if is_secret_name(name) {
            return MASK.to_owned();
        }
        if name.eq_ignore_ascii_case("location") { self.url(value) } else { self.text(value) }
    }

    /// Any other text, such as an error's.
    pub fn text(&self, text: &str) -> String {
        self.literals_in(Cow::Borrowed(text))
    }

    fn literals_in(&self, text: Cow<'_, str>) -> String {
        let mut text = text.into_owned();
        for literal in &self.literals {
            if text.contains(literal) {
                text = text.replace(literal, MASK);
            }
        }
        text
    }
}

/// A secret as it is, in JSON, in HTML as templates escape it, in a form and in a URL.
fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let html = html.replace('"', "&quot;").replace('\'', "&#39;");
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let url = form.replace('+', "%20");
    // What percent-encoding leaves alone differs from place to place.
    let lenient = |keep: &[u8]| {
        let encode = |byte: u8| match byte {
            b if b.is_ascii_alphanumeric() || keep.contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        secret.bytes().map(encode).collect::<String>()
    };
    let spellings = vec![
        secret.to_owned(),
        html,
        url.to_ascii_lowercase(),
        form.to_ascii_lowercase(),
        lenient(b"-._~"),
        lenient(b"-._~!*'()"),
        lenient(b"-._~!*'()/:@$,;=+"),
        json,
        form,
        url,
    ];
    spellings.into_iter().filter(|spelling| spelling.chars().count() >= LITERAL_MIN).collect()
}

/// The pairs of a form or a query, each left as it was written unless its name is secret.
fn form(text: &str) -> Cow<'_, str> {
    let is_secret = |pair: &str| {
        let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
        pair.contains('=') && name.is_some_and(|name| is_secret_name(&name))
    };
    if !text.split('&').any(is_secret) {
        return Cow::Borrowed(text);
    }
    let masked = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(pair) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    };
    Cow::Owned(text.split('&').map(masked).collect::<Vec<_>>().join("&"))
}

/// Any text, with the values behind secret names of JSON masked. The text need not be JSON, nor whole.
fn json(text: &str, nested: usize) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut written, mut at) = (0, 0);
    let mut replace = |from: usize, to: usize, with: &str| {
        out.push_str(text.get(written..from).unwrap_or_default());
        out.push_str(with);
        written = to;
    };
    while let Some(start) = find(text, at, |b| b == b'"') {
        let end = string_end(text, start);
        let raw = text.get(start..end).unwrap_or_default();
        at = end;
        let colon = skip_space(text, end);
        if byte(text, colon) != Some(b':') {
            // A string that is a value; it may hold JSON itself.
            let inner = (nested > 0 && raw.contains("\\\"")).then(|| json::read::<String>(raw).ok());
            if let Some(inner) = inner.flatten()
                && let Cow::Owned(masked) = json(&inner, nested - 1)
            {
                replace(start, end, &serde_json::to_string(&masked).unwrap_or_default());
            }
            continue;
        }
        let value = skip_space(text, colon + 1);
        let name = json::read::<String>(raw);
        if !is_secret_name(name.as_deref().unwrap_or(raw)) {
            at = colon + 1;
            continue;
        }
        let value_end = value_end(text, value);
        at = value_end;
        if !matches!(text.get(value..value_end), None | Some("" | "null" | "true" | "false" | "\"\"")) {
            replace(value, value_end, &format!("\"{MASK}\""));
        }
    }
    if written == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(written..).unwrap_or_default());
    Cow::Owned(out)
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

fn find(text: &str, from: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    text.bytes().skip(from).position(is).map(|offset| from + offset)
}

fn skip_space(text: &str, from: usize) -> usize {
    find(text, from, |b| !b.is_ascii_whitespace()).unwrap_or(text.len())
}

/// Behind the closing quote of the string that opens at `start`, or the end of the text.
fn string_end(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (offset, byte) in text.bytes().skip(start + 1).enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return start + 1 + offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Behind the value that begins at `start`.
fn value_end(text: &str, start: usize) -> usize {
    match byte(text, start) {
        Some(b'"') => string_end(text, start),
        Some(b'{' | b'[') => {
            let (mut at, mut depth) = (start, 0usize);
            while let Some(b) = byte(text, at) {
                match b {
                    b'"' => {
                        at = string_end(text, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            at
        }
        _ => find(text, start, |b| b.is_ascii_whitespace() || b",}]".contains(&b)).unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json_masked(text: &str) -> String {
        mask(text, "application/json", &[])
    }

    #[test]
    fn json_is_masked_at_any_depth_and_keeps_its_text() {
        for (text, masked) in [
            (r#"{"a":[{"Password":"p\"q"}],"n":1.50}"#, r#"{"a":[{"Password":"********"}],"n":1.50}"#),
            (r#"{"token": {"a": ["}", 1]}, "b": 2}"#, r#"{"token": "********", "b": 2}"#),
            (r#"{"secret":12345 ,"x":"y"}"#, r#"{"secret":"********" ,"x":"y"}"#),
            (r#"{"token":null,"secret":""}"#, r#"{"token":null,"secret":""}"#),
            (r#"{"tok\u0065n":"x"}"#, r#"{"tok\u0065n":"********"}"#),
            (r#"{"inner":"{\"token\":\"x\"}"}"#, r#"{"inner":"{\"token\":\"********\"}"}"#),
            (r#"{"token":"cut o"#, r#"{"token":"********""#),
            (r#"{"token":{"cut":"#, r#"{"token":"********""#),
            (r#"said {"apiKey":"x"} and {"b":1}"#, r#"said {"apiKey":"********"} and {"b":1}"#),
            (r#"["token","x"]"#, r#"["token","x"]"#),
            ("", ""),
        ] {
            assert_eq!(json_masked(text), masked);
        }
    }

    #[test]
    fn forms_and_urls_are_masked_by_name() {
        let masking = Masking::new::<&str>(&[]);
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_eq!(masking.body("a=1&api%5Fkey=x%26y&b", form), "a=1&api%5Fkey=********&b");
        assert_eq!(masking.url("https://x.dev/p?token=1&u=2"), "https://x.dev/p?token=********&u=2");
        assert_eq!(masking.url("https://x.dev/token=1"), "https://x.dev/token=1");
        assert_eq!(masking.header("X-Api-Key", "k"), "********");
        assert_eq!(masking.header("location", "/l?access_token=1"), "/l?access_token=********");
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let masking = Masking::new(&["p&ss \"w/1\"", "p&ss", "abc"]);
        for text in [
            r#"p&ss "w/1""#,
            r#"p&ss \"w/1\""#,
            "p%26ss+%22w%2F1%22",
            "p%26ss%20%22w%2f1%22",
            "p%26ss%20%22w/1%22",
            "p&amp;ss &quot;w/1&quot;",
        ] {
            assert_eq!(masking.text(text), "********", "{text}");
        }
        assert_eq!(masking.text("abc p&ss"), "abc ********");
        assert_eq!(format!("{masking:?}"), "Masking { .. }");
    }

    #[test]
    fn the_half_of_a_secret_is_none_the_less_one() {
        let masking = Masking::new(&["correct horse"]);
        assert_eq!(masking.cut_body("it is correct ho", ""), "it is ********");
        assert_eq!(masking.cut_body("it is cor", ""), "it is cor");
        assert_eq!(masking.cut_body("it is correct horse", ""), "it is ********");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", kind in "application/(json|x-www-form-urlencoded)", secret in ".{0,8}") {
            let _ = mask(&text, &kind, std::slice::from_ref(&secret));
            let _ = Masking::new(&[secret]).cut_body(&text, &kind);
        }

        #[test]
        fn no_secret_is_left(before in "[ -~é]*", secret in "[ -~é]{4,12}", after in "[ -~é]*") {
            prop_assume!(!MASK.contains(&secret));
            let masking = Masking::new(std::slice::from_ref(&secret));
            let text = masking.text(&format!("{before}{secret}{after}"));
            // What masking itself puts together is no secret that was there.
            prop_assert!(text.split(MASK).all(|part| !part.contains(&secret)));
            let quoted = serde_json::json!({ "a": [secret] }).to_string();
            prop_assert!(!masking.body(&quoted, "application/json").contains(&secret));
        }

        #[test]
        fn json_stays_json(value in "[ -~é]{0,12}", name in "(token|a|x_key)", number in any::<i32>()) {
            let document = serde_json::json!({ &name: &value, "in": [{ &name: number }], "t": value }).to_string();
            let masked: serde_json::Value = serde_json::from_str(&json_masked(&document)).unwrap();
            if is_secret_name(&name) {
                prop_assert_eq!(&masked["in"][0][&name], MASK);
            } else {
                prop_assert_eq!(masked.to_string(), document);
            }
        }
    }
}
