//! A URL in its parts, as far as every parser agrees on them.

use super::BadUrl;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest URL, bytes, as it is called: what Cloudflare takes ("Workers limits": 16 KB).
pub(super) const URL_MAX: usize = 16_384;
/// The longest name, and the longest label in it (RFC 1035, 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub scheme: &'static str,
    pub host: Host,
    pub port: u16,
    /// Path and query, as they go on the wire; begins with a slash.
    pub path: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// In lower case, without a trailing dot.
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            // Not with the dots that std gives a mapped address: WHATWG writes none.
            Host::Address(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(_) => {
                    let [.., high, low] = address.segments();
                    write!(f, "[::ffff:{high:x}:{low:x}]")
                }
                None => write!(f, "[{address}]"),
            },
        }
    }
}

pub(super) fn read(url: &str) -> Result<Parts, BadUrl> {
    // As every parser does with spaces around it; inside they are encoded or refused.
    let url = url.trim_matches(' ');
    if url.len() > URL_MAX {
        return Err(BadUrl::TooLong);
    }
    if url.chars().any(char::is_control) {
        return Err(BadUrl::Control);
    }
    let (scheme, rest) = url.split_once("://").ok_or(BadUrl::Scheme)?;
    let scheme = ["https", "http"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
    let scheme = scheme.ok_or(BadUrl::Scheme)?;
    if rest.contains('#') {
        return Err(BadUrl::Fragment);
    }
    let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
    let (authority_text, rest) = rest.split_at_checked(end).ok_or(BadUrl::Host)?;
    let (host, port) = authority(authority_text)?;
    let port = port.unwrap_or(if scheme == "http" { 80 } else { 443 });
    Ok(Parts { scheme, host, port, path: path_and_query(rest)? })
}

/// `host` or `host:port`.
pub(super) fn authority(text: &str) -> Result<(Host, Option<u16>), BadUrl> {
    if text.contains('@') {
        return Err(BadUrl::UserInfo);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(BadUrl::Host)?;
        // No zone: std reads none here, and refuses what it cannot read.
        let address: Ipv6Addr = address.parse().map_err(|_| BadUrl::Host)?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(BadUrl::Host)?) };
        return Ok((Host::Address(IpAddr::V6(address)), port.map(read_port).transpose()?));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(read_port(port)?)),
        None => (text, None),
    };
    Ok((read_host(host)?, port))
}

/// No sign, no leading zero, not empty.
fn read_port(text: &str) -> Result<u16, BadUrl> {
    let digits = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(BadUrl::Port)
}

fn read_host(text: &str) -> Result<Host, BadUrl> {
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > NAME_MAX || !host.split('.').all(is_label) {
        return Err(BadUrl::Host);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if !is_numeric(last) {
        return Ok(Host::Name(host));
    }
    // "Ends in a number" (WHATWG URL, 3.5): an address, or nothing. Of its spellings (octal, hex, short) only the
    // usual one is taken; std reads exactly that.
    host.parse::<Ipv4Addr>().map(|address| Host::Address(IpAddr::V4(address))).map_err(|_| BadUrl::Host)
}

fn is_numeric(label: &str) -> bool {
    let hex = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || label.bytes().all(|b| b.is_ascii_digit())
}

/// What WHATWG percent-encodes in a path, and in a query; the rest stays as it was written.
fn path_and_query(text: &str) -> Result<String, BadUrl> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    if path.contains('\\') || path.split('/').any(is_dots) {
        return Err(BadUrl::Path);
    }
    let mut written = if path.is_empty() { "/".to_owned() } else { encode(path, " \"<>?`{}^").into_owned() };
    if let Some(query) = query {
        written.push('?');
        // A backslash is left alone by WHATWG; encoded it means the same to a service, and nothing else to anyone.
        written.push_str(&encode(query, " \"<>'\\"));
    }
    Ok(written)
}

/// `.` and `..`, plain or encoded: a parser takes them away, and with them the segment before.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

fn encode<'a>(text: &'a str, special: &str) -> Cow<'a, str> {
    let is_plain = |c: char| c.is_ascii() && !special.contains(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_plain(c) {
            encoded.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}
