//! Where a request goes, and whether it may: nothing but this machine unless the user says so.

use fieldhook_core::integration::encoding::request_line;
use std::fmt;
use std::net::IpAddr;

/// A URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub https: bool,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, as the request line has them.
    pub path: String,
}

/// What is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadUrl {
    Scheme,
    Host,
    Port,
    /// A user in the URL: Particle's place for that is `auth`.
    UserInfo,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadUrl::Scheme => "a URL begins with http:// or https://",
            BadUrl::Host => "the URL has no host that could be called",
            BadUrl::Port => "the port is not a number from 1 to 65535",
            BadUrl::UserInfo => "user and password stand in auth, not in the URL",
        })
    }
}

impl Target {
    /// ```
    /// use simulator::target::Target;
    /// let target = Target::parse("http://127.0.0.1:8787/hook?x=1#here").unwrap();
    /// assert_eq!((target.authority(), target.path.as_str()), ("127.0.0.1:8787".into(), "/hook?x=1"));
    /// assert_eq!(Target::parse("https://example.com").unwrap().authority(), "example.com");
    /// ```
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(BadUrl::Scheme)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(BadUrl::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(BadUrl::Host)?;
        if authority.contains('@') {
            return Err(BadUrl::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(BadUrl::Port)?,
        };
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Target { https, host, port, path: format!("{slash}{}", request_line(path)) })
    }

    /// The `host` header: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.https { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// The same server, another path.
    pub fn at(&self, path: &str) -> Self {
        Target { path: request_line(path), ..self.clone() }
    }

    /// With more query behind what is there.
    #[must_use]
    pub fn with_query(mut self, query: &str) -> Self {
        if !query.is_empty() {
            self.path.push(if self.path.contains('?') { '&' } else { '?' });
            self.path.push_str(query);
        }
        self
    }

    /// Whether this is the machine itself, by what is written: 127.0.0.0/8, ::1 or localhost. A name that
    /// merely resolves to it is not, since it may resolve otherwise the next time.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn split_port(authority: &str) -> Result<(String, Option<&str>), BadUrl> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(BadUrl::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| BadUrl::Host)?;
            match port {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':').ok_or(BadUrl::Port)?)),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(legal) {
        return Err(BadUrl::Host);
    }
    Ok((host.to_ascii_lowercase(), port.filter(|port| !port.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in ["http://127.0.0.1", "http://127.9.9.9:80", "http://[::1]:8787/x", "http://LOCALHOST/"] {
            assert!(Target::parse(url).unwrap().is_loopback(), "{url}");
        }
        for url in [
            "http://127.1",
            "http://localhost.example.com",
            "http://127.0.0.1.nip.io",
            "http://10.0.0.1",
            "http://[::2]",
            "http://0.0.0.0",
            "https://example.com/127.0.0.1",
        ] {
            assert!(!Target::parse(url).unwrap().is_loopback(), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_why() {
        for (url, why) in [
            ("example.com", BadUrl::Scheme),
            ("ftp://example.com", BadUrl::Scheme),
            ("http://", BadUrl::Host),
            ("http://a b/", BadUrl::Host),
            ("http://[::1", BadUrl::Host),
            ("http://example.com:0", BadUrl::Port),
            ("http://example.com:x", BadUrl::Port),
            ("http://127.0.0.1:80@example.com/", BadUrl::UserInfo),
        ] {
            assert_eq!(Target::parse(url), Err(why), "{url}");
        }
    }

    #[test]
    fn an_authority_names_its_port_where_it_must() {
        let authority = |url| Target::parse(url).unwrap().authority();
        assert_eq!(authority("https://example.com:443/"), "example.com");
        assert_eq!(authority("http://example.com:443/"), "example.com:443");
        assert_eq!(authority("http://[::1]:8787/"), "[::1]:8787");
        assert_eq!(Target::parse("http://h?a=1").unwrap().with_query("b=2").path, "/?a=1&b=2");
    }
}
