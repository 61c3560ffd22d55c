//! The URL guard: where a delivery may go (DESIGN.md, "URL guard"). Asked when an integration is defined, and again
//! at every attempt, after templating.
//!
//! Most of what is hostile about a URL is that two parsers read it differently. So this one reads the little on which
//! all agree (RFC 3986 and the WHATWG URL standard, which the platform's fetch follows), refuses the rest, and hands
//! on a URL it has written itself. A name that *resolves* to a private address is not seen here: the platform refuses
//! to connect (`global_fetch_strictly_public`).

mod address;
mod name;
mod parse;

use std::fmt;

/// What the deployment allows.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// `REQUIRE_HTTPS`: else http on port 80 or 8080 passes too.
    pub require_https: bool,
    /// `ALLOW_PRIVATE_TARGETS`: lifts the rules for scheme, address and port, and no other.
    pub allow_private: bool,
    /// The names that the Worker itself is called by, each with or without a port.
    pub own_hosts: &'a [String],
}

/// A URL that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it is to be called: written anew, so that every parser reads what was judged. Without userinfo and fragment.
    pub url: String,
    /// `https` or `http`.
    pub scheme: &'static str,
    /// In lower case, without a trailing dot; IPv6 in brackets.
    pub host: String,
    pub port: u16,
    /// It goes by http: shown to whoever defines it (DESIGN.md, "URL guard").
    pub insecure: bool,
}

/// Why a URL is not called. It never holds the URL, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadUrl {
    TooLong,
    Control,
    Scheme,
    Http,
    UserInfo,
    Host,
    Port,
    ForbiddenPort,
    Path,
    Fragment,
    Private,
    LocalName,
    Ourselves,
}

impl BadUrl {
    /// A short reason that does not change.
    ///
    /// ```
    /// use fieldhook_core::target::BadUrl;
    /// assert_eq!(BadUrl::Private.reason(), "private-address");
    /// assert_eq!(BadUrl::UserInfo.to_string(), "user and password stand in auth, not in the URL");
    /// ```
    pub fn reason(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            BadUrl::TooLong => ("too-long", "a URL has at most 16,384 bytes, percent-encoding included"),
            BadUrl::Control => ("control-character", "the URL holds a control character"),
            BadUrl::Scheme => ("bad-scheme", "a URL begins with https://"),
            BadUrl::Http => ("http-refused", "only https is called here (REQUIRE_HTTPS)"),
            BadUrl::UserInfo => ("userinfo", "user and password stand in auth, not in the URL"),
            BadUrl::Host => (
                "bad-host",
                "the host is neither a name of letters, digits, - and _ (others as xn--…) nor an address in its usual \
                 form",
            ),
            BadUrl::Port => ("bad-port", "the port is not a number from 1 to 65535"),
            BadUrl::ForbiddenPort => ("forbidden-port", "the port is not 443 or 8443 (for http, 80 or 8080)"),
            BadUrl::Path => ("bad-path", "the path holds a \\, or goes up with .."),
            BadUrl::Fragment => ("fragment", "what follows a # is never sent; write %23"),
            BadUrl::Private => ("private-address", "the address is not one of the public internet"),
            BadUrl::LocalName => ("local-name", "the name is a local one"),
            BadUrl::Ourselves => ("ourselves", "the URL is this deployment's own"),
        }
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl Target {
    /// Reads a URL and judges it.
    ///
    /// # Errors
    /// The first reason there is not to call it.
    ///
    /// ```
    /// use fieldhook_core::target::{BadUrl, Rules, Target};
    /// let rules = Rules { require_https: true, allow_private: false, own_hosts: &["hook.x.dev".to_owned()] };
    /// let target = Target::check("https://API.x.dev:443/a b?q={\"t\":1}", &rules).unwrap();
    /// assert_eq!(target.url, "https://api.x.dev/a%20b?q={%22t%22:1}");
    /// assert_eq!((target.key().as_str(), target.insecure), ("https://api.x.dev:443", false));
    /// for (url, why) in [
    ///     ("http://api.x.dev/", BadUrl::Http),
    ///     ("https://api.x.dev:22/", BadUrl::ForbiddenPort),
    ///     ("https://10.0.0.1/", BadUrl::Private),
    ///     ("https://127.1/", BadUrl::Host),
    ///     ("https://printer.local/", BadUrl::LocalName),
    ///     ("https://HOOK.x.dev./", BadUrl::Ourselves),
    /// ] {
    ///     assert_eq!(Target::check(url, &rules), Err(why), "{url}");
    /// }
    /// ```
    pub fn check(url: &str, rules: &Rules<'_>) -> Result<Self, BadUrl> {
        let parts = parse::read(url)?;
        let insecure = parts.scheme == "http";
        if insecure && rules.require_https && !rules.allow_private {
            return Err(BadUrl::Http);
        }
        let (usual, other) = if insecure { (80, 8080) } else { (443, 8443) };
        if !rules.allow_private {
            match &parts.host {
                parse::Host::Name(name) if name::is_local(name) => return Err(BadUrl::LocalName),
                parse::Host::Address(address) if !address::is_public(*address) => {
                    return Err(BadUrl::Private);
                }
                _ => {}
            }
            if parts.port != usual && parts.port != other {
                return Err(BadUrl::ForbiddenPort);
            }
        }
        if rules.own_hosts.iter().any(|own| is_own(own, &parts, rules.allow_private)) {
            return Err(BadUrl::Ourselves);
        }
        let host = parts.host.to_string();
        let port = if parts.port == usual { String::new() } else { format!(":{}", parts.port) };
        let url = format!("{}://{host}{port}{}", parts.scheme, parts.path);
        if url.len() > parse::URL_MAX {
            return Err(BadUrl::TooLong);
        }
        Ok(Target { url, scheme: parts.scheme, port: parts.port, host, insecure })
    }

    /// Scheme, host and port: what a circuit is for, and what templating must not change.
    ///
    /// ```
    /// use fieldhook_core::target::{Rules, Target};
    /// let rules = Rules { require_https: true, allow_private: false, own_hosts: &[] };
    /// assert_eq!(Target::check("https://x.dev/a", &rules).unwrap().key(), "https://x.dev:443");
    /// ```
    pub fn key(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Whether one of the Worker's own names, as a `Host` header has it, is where the URL goes.
///
/// A public name is ours on every port. Where private targets are allowed, the Worker and a service under test share
/// one machine, and only the port tells them apart; there every name of the machine counts as the same.
fn is_own(own: &str, parts: &parse::Parts, by_port: bool) -> bool {
    let own = own.trim();
    let own = own.split_once("://").map_or(own, |(_, rest)| rest);
    let Ok((host, port)) = parse::authority(own) else { return false };
    let same_host = host == parts.host || (by_port && is_this_machine(&host) && is_this_machine(&parts.host));
    let same_port = match port {
        Some(port) => port == parts.port,
        None => matches!(parts.port, 80 | 443),
    };
    same_host && (!by_port || same_port)
}

fn is_this_machine(host: &parse::Host) -> bool {
    match host {
        parse::Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        parse::Host::Address(address) => address::is_this_machine(*address),
    }
}

#[cfg(test)]
mod tests;
