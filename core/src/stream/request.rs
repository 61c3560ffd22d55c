//! What a client asks for: which events, from where, and how they are written.

use super::cursor::Cursor;
use super::filter::Filter;
use super::render::Format;
use crate::problem::Result;
use crate::request::Request;

/// How a stream, or a page of its history, leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Sse,
    JsonLines,
    WebSocket,
    /// A page of what has been, as JSON.
    History,
}

impl Transport {
    pub fn content_type(self) -> &'static str {
        match self {
            Transport::Sse => "text/event-stream",
            Transport::JsonLines => "application/x-ndjson",
            Transport::WebSocket | Transport::History => "application/json",
        }
    }

    /// On Particle's paths data is a string where Particle's format is spoken, and parsed everywhere else.
    pub fn format(self) -> Format {
        match self {
            Transport::Sse => Format::Particle,
            _ => Format::View,
        }
    }

    /// By the media type that Accept names first of those there are; server-sent events where it names none.
    pub fn of(accept: Option<&str>) -> Self {
        let named =
            accept.unwrap_or_default().split(',').map(|range| range.split(';').next().unwrap_or_default());
        for media in named.map(str::trim) {
            match media {
                "text/event-stream" => return Transport::Sse,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                    return Transport::JsonLines;
                }
                "application/json" => return Transport::History,
                _ => {}
            }
        }
        Transport::Sse
    }
}

/// Which of a deployment's streams a path names. All of Particle's stream paths, and one of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    Events { prefix: String, device: Option<String>, product: Option<String> },
    Socket,
}

impl Path {
    /// The path's segments behind `/v1`, decoded. Everything behind `events` is the prefix, slashes included.
    ///
    /// ```
    /// use fieldhook_core::stream::request::Path;
    /// let path = Path::of(&["products", "42", "events", "a", "b"]).unwrap();
    /// assert!(matches!(path, Path::Events { prefix, device: None, product: Some(_) } if prefix == "a/b"));
    /// assert!(Path::of(&["devices", "d1", "history"]).is_none());
    /// ```
    pub fn of(segments: &[&str]) -> Option<Self> {
        let events = |prefix: &[&str], device: Option<&str>, product: Option<&str>| {
            let owned = |text: &str| text.to_owned();
            Some(Path::Events {
                prefix: prefix.join("/"),
                device: device.map(owned),
                product: product.map(owned),
            })
        };
        match segments {
            ["stream"] => Some(Path::Socket),
            ["events", prefix @ ..] | ["devices", "events", prefix @ ..] => events(prefix, None, None),
            ["devices", device, "events", prefix @ ..] => events(prefix, Some(device), None),
            ["products", product, "events", prefix @ ..] => events(prefix, None, Some(product)),
            ["products", product, "devices", device, "events", prefix @ ..] => {
                events(prefix, Some(device), Some(product))
            }
            _ => None,
        }
    }

    /// # Errors
    /// `bad-query`.
    pub fn filter(&self, request: &Request) -> Result<Filter> {
        match self {
            Path::Events { prefix, device, product } => {
                Filter::new(prefix, device.as_deref(), product.as_deref())
            }
            Path::Socket => {
                let field = |name| request.query_value(name).filter(|value| !value.is_empty());
                let prefix = field("prefix").unwrap_or_default();
                Filter::new(&prefix, field("device").as_deref(), field("product").as_deref())
            }
        }
    }
}

/// Where to go on. A browser that reconnects repeats its URL, so its header is the newer of the two.
///
/// # Errors
/// `bad-cursor`.
pub fn after(request: &Request) -> Result<Option<Cursor>> {
    match (request.headers.get("last-event-id"), request.query_value("after")) {
        (Some(text), _) => Cursor::decode(text).map(Some),
        (None, Some(text)) => Cursor::decode(&text).map(Some),
        (None, None) => Ok(None),
    }
}

/// Who a limit counts: an IPv4 address, the /64 of an IPv6 address, or everyone whose address is not known.
///
/// ```
/// use fieldhook_core::stream::request::counted_address;
/// assert_eq!(counted_address(Some("203.0.113.9")), "203.0.113.9");
/// assert_eq!(counted_address(Some("2001:db8:1:2:3::4")), "2001:db8:1:2::");
/// assert_eq!(counted_address(None), "unknown");
/// ```
pub fn counted_address(address: Option<&str>) -> String {
    use std::net::{IpAddr, Ipv6Addr};
    match address.and_then(|text| text.trim().parse::<IpAddr>().ok()).map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).to_string(),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;
    use crate::request::{Body, Headers};

    fn request(url: &str, headers: &[(&str, &str)]) -> Request {
        Request::new("GET", url, Headers::from_pairs(headers.iter().copied()), Body::Bytes(Vec::new()))
    }

    fn prefix(url: &str) -> String {
        let segments = request(url, &[]).segments();
        let segments: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
        match Path::of(&segments) {
            Some(Path::Events { prefix, .. }) => prefix,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_prefix_may_be_encoded_or_not() {
        for (url, expected) in [
            ("https://x/v1/events", ""),
            ("https://x/v1/events/", ""),
            ("https://x/v1/events/a/b", "a/b"),
            ("https://x/v1/events/a%2Fb%20c?nonce=0.1", "a/b c"),
            ("https://x/v1/devices/events/temp", "temp"),
            ("https://x/v1/devices/d/events/hook-response%2Ftemp", "hook-response/temp"),
            ("https://x/v1/products/1/devices/d/events/a//b", "a//b"),
        ] {
            assert_eq!(prefix(url), expected, "{url}");
        }
    }

    #[test]
    fn accept_decides_how_events_are_written() {
        for (accept, transport) in [
            (None, Transport::Sse),
            (Some("*/*"), Transport::Sse),
            (Some("text/event-stream"), Transport::Sse),
            (Some("application/x-ndjson"), Transport::JsonLines),
            (Some("application/json; charset=utf-8, */*"), Transport::History),
            (Some("text/html, text/event-stream;q=0.9"), Transport::Sse),
        ] {
            assert_eq!(Transport::of(accept), transport, "{accept:?}");
        }
    }

    #[test]
    fn the_header_of_a_browser_that_comes_back_is_newer_than_its_url() {
        let (mut old, mut new) = (Cursor::default(), Cursor::default());
        old.set(0, 1);
        new.set(0, 2);
        let url = format!("https://x/v1/events?after={}", old.encode());
        assert_eq!(after(&request(&url, &[("last-event-id", &new.encode())])).unwrap(), Some(new));
        assert_eq!(after(&request(&url, &[])).unwrap(), Some(old));
        assert_eq!(after(&request("https://x/v1/events", &[])).unwrap(), None);
        let bad = after(&request("https://x/v1/events?after=nothing", &[])).unwrap_err();
        assert_eq!(bad.code, Code::BadCursor);
    }
}
