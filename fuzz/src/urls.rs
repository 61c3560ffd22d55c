//! The URL guard beside another parser. Parts: rules (`h`ttp may be, `p`rivate may be), the Worker's own host, a URL.

use super::{parts, text};
use fieldhook_core::target::{BadUrl, Rules, Target};
use std::net::{IpAddr, Ipv4Addr};
use url::Url;

pub fn check(data: &[u8]) {
    let [rules, own, given] = parts(data);
    let (own, given) = (text(own).into_owned(), text(given));
    let rules = Rules {
        require_https: !rules.contains(&b'h'),
        allow_private: rules.contains(&b'p'),
        own_hosts: std::slice::from_ref(&own),
    };
    match Target::check(&given, &rules) {
        Ok(target) => may_be_called(&target, &given, &rules),
        Err(why) => assert!(!why.reason().is_empty() && why.reason().is_ascii()),
    }
}

fn may_be_called(target: &Target, given: &str, rules: &Rules<'_>) {
    assert!(target.url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", target.url);
    for spelled in [given, &target.url] {
        match elsewhere(spelled) {
            Some(read) => assert_eq!(read, (target.scheme.to_owned(), target.host.clone(), target.port)),
            // Punycode is not looked into by the guard; what is none is resolved by nobody.
            None => assert!(target.host.contains("xn--"), "{spelled}"),
        }
    }
    if let Ok(parsed) = Url::parse(&target.url) {
        assert_eq!(parsed.as_str(), target.url, "something is left to rewrite");
        assert!(parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none());
    }
    assert_eq!(Target::check(&target.url, rules).as_ref(), Ok(target));
    assert_eq!(target.insecure, target.scheme == "http");
    if !rules.allow_private {
        assert!(!(rules.require_https && target.insecure));
        let address = target.host.trim_matches(['[', ']']).parse::<IpAddr>();
        assert!(address.is_err() || address.is_ok_and(is_public), "{}", target.host);
        assert!([443, 8443, 80, 8080].contains(&target.port) && target.host.contains(['.', ':']));
        let own = rules.own_hosts.concat().to_ascii_lowercase();
        assert_ne!(own.strip_suffix('.').unwrap_or(&own), target.host);
        assert!(![".localhost", ".local", ".internal"].iter().any(|end| target.host.ends_with(end)));
    }
    // It stays where it is when something is added behind it.
    let longer = Target::check(&format!("{}{}", target.url, "@x.dev:1/"), rules);
    assert!(longer.is_err() || longer.is_ok_and(|longer| longer.key() == target.key()));
    assert_eq!(Target::check(&format!("{}#x", target.url), rules), Err(BadUrl::Fragment));
}

/// Scheme, host and port by the WHATWG URL standard.
fn elsewhere(url: &str) -> Option<(String, String, u16)> {
    let parsed = Url::parse(url).ok()?;
    let host = parsed.host_str()?;
    let host = host.strip_suffix('.').unwrap_or(host).to_owned();
    Some((parsed.scheme().to_owned(), host, parsed.port_or_known_default()?))
}

/// By what std calls them, not by the guard's own table.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            let scoped =
                address.is_multicast() || address.is_unique_local() || address.is_unicast_link_local();
            let translated = first == 0x2002 || matches!((first, second), (0x64, 0xff9b) | (0x2001, 0));
            // 2000::/3 is what has been given out (RFC 4291, 2.4; the IANA registry).
            first & 0xe000 == 0x2000
                && !scoped
                && !translated
                && address.to_ipv4().is_none()
                && (first, second) != (0x2001, 0xdb8)
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let local = address.is_private() || address.is_loopback() || address.is_link_local();
    let special = address.is_multicast() || address.is_broadcast() || address.is_documentation();
    let shared = first == 100 && second & 0xc0 == 64;
    let benchmark = first == 198 && second & 0xfe == 18;
    !local && !special && !shared && !benchmark && first != 0 && first < 240
}
