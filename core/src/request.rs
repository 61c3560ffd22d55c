//! A request as it crosses into wasm: method, URL, headers and body, each once.
//!
//! Not here: any I/O. The entry module hands over one string per part (`src/entry.mjs`).

use std::borrow::Cow;

/// A whole request. `path` keeps its percent-encoding; use [`Request::segments`] to read it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// Scheme, host, and the port where it is not the scheme's own: `https://x.dev`.
    pub origin: String,
    pub path: String,
    pub query: String,
    pub headers: Headers,
    pub body: Body,
}

/// A method this Worker can do something with; every other one is [`Method::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other,
}

/// The body, read no further than the configured limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Bytes(Vec<u8>),
    /// It was longer than `MAX_BODY`; what was read has been dropped.
    TooLarge,
}

impl Request {
    /// Takes apart a URL as the platform writes it (`scheme://host/path?query`).
    ///
    /// ```
    /// use fieldhook_core::request::{Body, Headers, Request};
    /// let request = Request::new("POST", "https://x.dev/hook/a%20b?event=t", Headers::default(), Body::TooLarge);
    /// assert_eq!(request.segments(), ["hook", "a b"]);
    /// assert_eq!(request.query, "event=t");
    /// assert_eq!((request.origin.as_str(), request.host()), ("https://x.dev", "x.dev"));
    /// ```
    pub fn new(method: &str, url: &str, headers: Headers, body: Body) -> Self {
        let (before_fragment, _) = url.split_once('#').unwrap_or((url, ""));
        let (address, query) = before_fragment.split_once('?').unwrap_or((before_fragment, ""));
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Request {
            method: Method::parse(method),
            origin: format!("{scheme}://{host}"),
            path: format!("/{path}"),
            query: query.to_owned(),
            headers,
            body,
        }
    }

    /// The host that was called, and the port where it is not the scheme's own.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }

    /// The path's segments, percent-decoded; text that is not UTF-8 is replaced, never refused here.
    pub fn segments(&self) -> Vec<String> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.split('/').map(|segment| percent_decode(segment).into_owned()).collect()
    }

    /// The query's fields in order, percent-decoded.
    pub fn query_fields(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query.as_bytes())
    }

    /// The first value of a query field.
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_fields().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl Method {
    pub fn parse(text: &str) -> Self {
        match text {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "OTHER",
        }
    }
}

/// Header fields, in one string as they crossed: `name\nvalue\nname\nvalue`. Names are lower case, and a
/// header value can hold no line feed (RFC 9110, 5.5), so nothing needs escaping.
///
/// ```
/// use fieldhook_core::request::Headers;
/// let headers = Headers::new("authorization\nBearer x\nuser-agent\nParticleBot/1.1".into());
/// assert_eq!(headers.get("authorization"), Some("Bearer x"));
/// assert_eq!(headers.get("accept"), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Headers {
    flat: String,
}

impl Headers {
    pub fn new(flat: String) -> Self {
        Headers { flat }
    }

    /// From pairs, for replays and tests.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut flat = String::new();
        for (name, value) in pairs {
            if !flat.is_empty() {
                flat.push('\n');
            }
            flat.push_str(&name.to_ascii_lowercase());
            flat.push('\n');
            flat.extend(value.chars().filter(|c| *c != '\n' && *c != '\r'));
        }
        Headers { flat }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut lines = self.flat.split('\n');
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
    }

    /// The value, trimmed; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.iter().find(|(key, _)| *key == name)?.1.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// Percent-decodes without treating `+` as a space, as in a path.
fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let pair = (ahead.next().and_then(hex_digit), ahead.next().and_then(hex_digit));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                out.push(high * 16 + low);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_header_counts_as_absent() {
        let headers = Headers::new("authorization\n \nx-a\n1".into());
        assert_eq!(headers.get("authorization"), None);
        assert_eq!(headers.get("x-a"), Some("1"));
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        assert_eq!(percent_decode("a%2"), "a%2");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
    }

    proptest! {
        #[test]
        fn no_url_panics(url in ".*") {
            let request = Request::new("GET", &url, Headers::default(), Body::TooLarge);
            let _ = request.segments();
            let _ = request.query_fields().count();
        }
    }
}
