//! Percent-encoding as Particle's requests show it: all but the unreserved characters of RFC 3986.
//!
//! "published_at=2017-02-01T21%3A08%3A05.763Z", "Body=Hi%20there%21", "locations=39.7%2C-104.9" (Particle docs,
//! webhook reference): a space is `%20`, and `!` and `,` are encoded, unlike in HTML forms.

/// A name or value of a form or a query.
///
/// ```
/// use fieldhook_core::integration::encoding::percent;
/// assert_eq!(percent("Hi there!"), "Hi%20there%21");
/// assert_eq!(percent("39.7,-104.9_~"), "39.7%2C-104.9_~");
/// assert_eq!(percent("é"), "%C3%A9");
/// ```
pub fn percent(text: &str) -> String {
    encode(text, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// A path or query that somebody wrote: only what may not stand in a request line is encoded.
///
/// ```
/// use fieldhook_core::integration::encoding::request_line;
/// assert_eq!(request_line("/log/my room?x=1%20y"), "/log/my%20room?x=1%20y");
/// ```
pub fn request_line(text: &str) -> String {
    encode(text, |b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}

/// Pairs joined as a form is.
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encode(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
