//! Where a delivery goes, and whether it may.
//!
//! A plain check for now: scheme, host and port as they are written. Which addresses must never be called is to be
//! decided here and nowhere else.

use std::fmt;

/// What this deployment allows.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub require_https: bool,
    pub allow_private: bool,
    /// Names that this deployment itself answers under.
    pub own_hosts: &'a [String],
}

/// A URL that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Normalised, without fragment.
    pub url: String,
    pub scheme: &'static str,
    pub host: String,
    pub port: u16,
    /// Not https: said in the answer to whoever defines it.
    pub insecure: bool,
}

/// Why a URL may not be called; never the URL itself, which can hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadUrl {
    pub reason: &'static str,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Target {
    /// # Errors
    /// Why not.
    pub fn check(url: &str, rules: &Rules<'_>) -> Result<Target, BadUrl> {
        let bad = |reason| Err(BadUrl { reason });
        if url.contains(|c: char| c.is_control() || c == ' ') {
            return bad("the URL holds a control character or a space");
        }
        let (scheme, port, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", 443, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") && !rules.require_https => {
                ("http", 80, rest)
            }
            _ => return bad("the URL begins with https://"),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (authority, path) =
            rest.find(['/', '?', '\\']).and_then(|end| rest.split_at_checked(end)).unwrap_or((rest, ""));
        if authority.contains('@') {
            return bad("user and password stand in auth, not in the URL");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, text)) => (host, text.parse().unwrap_or(0)),
            None => (authority, port),
        };
        let host = host.to_ascii_lowercase();
        if host.is_empty() || port == 0 || rules.own_hosts.contains(&host) {
            return bad("the URL has no host that could be called");
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let shown = if [443, 80].contains(&port) { String::new() } else { format!(":{port}") };
        let url = format!("{scheme}://{host}{shown}{slash}{path}");
        Ok(Target { url, scheme, host, port, insecure: scheme != "https" })
    }

    /// What a circuit is kept for.
    pub fn key(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}
