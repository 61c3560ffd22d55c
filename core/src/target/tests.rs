//! What is refused, spelling by spelling; and the guard beside another parser of URLs.

use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

const STRICT: Rules<'_> = Rules { require_https: true, allow_private: false, own_hosts: &[] };
const HTTP: Rules<'_> = Rules { require_https: false, ..STRICT };
const LOCAL: Rules<'_> = Rules { allow_private: true, ..STRICT };

fn refused(url: &str, rules: &Rules<'_>) -> BadUrl {
    Target::check(url, rules).expect_err(url)
}

#[test]
fn a_private_address_is_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7F.1",
        "0177.0.0.1",
        "017700000001",
        "00000127.0.0.1",
        "127.0.0.0x1",
        "0",
        "0.0.0.0",
        "0x",
        "1.1",
        "0x8.0x8",
        "8.8.8.8.8",
        "256.1.1.1",
        "8.8.8.08",
        "8.8.8.8..",
        "4294967296",
        "x.1",
        "x.0x1",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "１27.0.0.1",
        "127.0.0.1%00",
        "%31%32%37.0.0.1",
        "%6cocalhost",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]",
        "[0:0:0:0:0:ffff:10.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2001:0:1::1]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[2600::1%25eth0]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[::]",
        "[::1",
        "::1",
        "[]",
        "[127.0.0.1]",
        "[::ffff:127.1]",
        "[::ffff:0177.0.0.1]",
        "[v1.x]",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.1.1",
        "10.0.0.1",
        "172.16.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "198.18.0.1",
        "203.0.113.1",
        "192.88.99.1",
    ] {
        for url in [format!("https://{host}/"), format!("https://{host}:8443/x?y"), format!("https://{host}")]
        {
            let why = refused(&url, &STRICT);
            assert!(matches!(why, BadUrl::Private | BadUrl::Host | BadUrl::Port), "{url}: {why:?}");
        }
    }
}

#[test]
fn a_local_name_is_refused_in_every_spelling() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.LocalHost",
        "printer.local.",
        "x.internal",
        "intranet",
        "db",
    ] {
        assert_eq!(refused(&format!("https://{host}/"), &STRICT), BadUrl::LocalName, "{host}");
    }
    for host in [
        "",
        ".",
        "..",
        "x..dev",
        ".x.dev",
        "x.dev..",
        "x dev",
        "x\u{ad}.dev",
        "ex\u{2024}ample.dev",
        "é.dev",
        "a*b.dev",
        "x,y.dev",
        "x;.dev",
        "$h.dev",
        "x!.dev",
        "{{h}}.dev",
        "<x>.dev",
        "x|y.dev",
        "x^y.dev",
    ] {
        assert_eq!(refused(&format!("https://{host}/"), &STRICT), BadUrl::Host, "{host}");
    }
    let long = format!("https://{}.dev/", "a".repeat(64));
    assert_eq!(refused(&long, &STRICT), BadUrl::Host);
    let long = format!("https://{}dev/", "a.".repeat(126));
    assert_eq!(refused(&long, &STRICT), BadUrl::Host);
    assert!(Target::check("https://xn--mnchen-3ya.example/", &STRICT).is_ok());
    assert!(Target::check("https://r1---sn_a.example/", &STRICT).is_ok());
}

#[test]
fn what_parsers_read_differently_is_refused() {
    for (url, why) in [
        ("x.dev", BadUrl::Scheme),
        ("//x.dev", BadUrl::Scheme),
        ("https:x.dev", BadUrl::Scheme),
        ("https:/x.dev", BadUrl::Scheme),
        ("https:\\\\x.dev", BadUrl::Scheme),
        ("https:///x.dev", BadUrl::Host),
        ("https://\\x.dev", BadUrl::Host),
        ("https://x.dev\\@evil.dev/", BadUrl::Path),
        ("https://x.dev/a\\b", BadUrl::Path),
        ("https://x.dev@evil.dev/", BadUrl::UserInfo),
        ("https://user:pass@x.dev/", BadUrl::UserInfo),
        ("https://@x.dev/", BadUrl::UserInfo),
        ("https://x.dev#@evil.dev/", BadUrl::Fragment),
        ("https://x.dev/#", BadUrl::Fragment),
        ("https://x.dev/\r\nhost: evil.dev", BadUrl::Control),
        ("https://x.dev/\n", BadUrl::Control),
        ("ht\ttps://x.dev/", BadUrl::Control),
        ("https://x.dev/\0", BadUrl::Control),
        ("https://x.dev/\u{7f}", BadUrl::Control),
        ("\u{1}https://x.dev/", BadUrl::Control),
        ("\u{feff}https://x.dev/", BadUrl::Scheme),
        ("https://x.dev /", BadUrl::Host),
        ("https:// x.dev/", BadUrl::Host),
        ("https://x.dev:/", BadUrl::Port),
        ("https://x.dev:0443/", BadUrl::Port),
        ("https://x.dev:+443/", BadUrl::Port),
        ("https://x.dev:443:443/", BadUrl::Port),
        ("https://x.dev:65979/", BadUrl::Port), // 443 in sixteen bits
        ("https://x.dev:0/", BadUrl::Port),
        ("https://x.dev/a/../b", BadUrl::Path),
        ("https://x.dev/a/%2E./b", BadUrl::Path),
        ("https://x.dev/.", BadUrl::Path),
        ("ftp://x.dev/", BadUrl::Scheme),
        ("file:///etc/passwd", BadUrl::Scheme),
        ("data:text/plain,x", BadUrl::Scheme),
        ("javascript://x.dev/", BadUrl::Scheme),
        ("", BadUrl::Scheme),
    ] {
        assert_eq!(refused(url, &STRICT), why, "{url:?}");
        // And where private targets are allowed, too.
        assert_eq!(refused(url, &LOCAL), why, "{url:?}");
    }
    let long = format!("https://x.dev/?{}", "é".repeat(3_000));
    assert_eq!(refused(&long, &STRICT), BadUrl::TooLong);
}

#[test]
fn schemes_and_ports_are_as_configured() {
    for url in [
        "https://x.dev",
        "https://x.dev:443",
        "https://x.dev:8443/a",
        "https://8.8.8.8/",
        "https://[2600::1]/",
    ] {
        assert!(!Target::check(url, &STRICT).unwrap().insecure, "{url}");
    }
    for url in ["http://x.dev", "http://x.dev:80", "http://x.dev:8080/a"] {
        assert_eq!(refused(url, &STRICT), BadUrl::Http);
        assert!(Target::check(url, &HTTP).unwrap().insecure, "{url}");
    }
    for url in [
        "http://x.dev:443",
        "http://x.dev:8443",
        "https://x.dev:80",
        "https://x.dev:8080",
        "https://x.dev:22",
    ] {
        assert_eq!(refused(url, &HTTP), BadUrl::ForbiddenPort, "{url}");
    }
    assert_eq!(refused("http://127.0.0.1/", &HTTP), BadUrl::Private);
    for url in [
        "http://127.0.0.1:12345/",
        "http://localhost:3000/",
        "http://[::1]:9/",
        "https://nas.lan:5001/",
        "http://db/",
    ] {
        assert_eq!(Target::check(url, &LOCAL).unwrap().insecure, url.starts_with("http:"), "{url}");
    }
    assert_eq!(refused("http://127.1:12345/", &LOCAL), BadUrl::Host);
}

#[test]
fn the_worker_does_not_call_itself() {
    let own = ["Hook.Example.dev".to_owned(), "other.dev:8443".to_owned(), "https://third.dev.".to_owned()];
    let rules = Rules { own_hosts: &own, ..HTTP };
    for url in [
        "https://hook.example.dev/hook",
        "https://HOOK.EXAMPLE.DEV.:8443/",
        "http://hook.example.dev:8080/",
        "https://other.dev/",
        "https://third.dev/",
    ] {
        assert_eq!(refused(url, &rules), BadUrl::Ourselves, "{url}");
    }
    assert!(Target::check("https://x.hook.example.dev/", &rules).is_ok());
}

#[test]
fn on_one_machine_the_port_tells_the_worker_from_a_service() {
    let own = ["127.0.0.1:8787".to_owned(), "hook.dev".to_owned()];
    let rules = Rules { own_hosts: &own, ..LOCAL };
    for url in [
        "http://127.0.0.1:8787/hook",
        "http://localhost:8787/",
        "http://127.0.0.2:8787/",
        "http://[::1]:8787/",
        "http://[::ffff:127.0.0.1]:8787/",
        "http://0.0.0.0:8787/",
        "https://hook.dev/",
        "http://hook.dev/",
    ] {
        assert_eq!(refused(url, &rules), BadUrl::Ourselves, "{url}");
    }
    for url in ["http://127.0.0.1:8788/", "http://10.0.0.1:8787/", "http://hook.dev:9999/"] {
        assert!(Target::check(url, &rules).is_ok(), "{url}");
    }
}

#[test]
fn what_is_called_is_written_anew() {
    for (url, written) in [
        (" HTTPS://X.dev ", "https://x.dev/"),
        ("https://x.dev.?a=b", "https://x.dev/?a=b"),
        ("https://x.dev:443/a?", "https://x.dev/a?"),
        ("https://x.dev:8443", "https://x.dev:8443/"),
        (
            "https://x.dev/é \"<>`{}?é '\"<>\\[]",
            "https://x.dev/%C3%A9%20%22%3C%3E%60%7B%7D?%C3%A9%20%27%22%3C%3E%5C[]",
        ),
        ("https://x.dev/a%2Fb%zz;v=1,2|3", "https://x.dev/a%2Fb%zz;v=1,2|3"),
        ("https://[2600:0::01]/", "https://[2600::1]/"),
        ("https://x.dev/a//b/...", "https://x.dev/a//b/..."),
        ("https://x.dev/x@y:z", "https://x.dev/x@y:z"),
    ] {
        assert_eq!(Target::check(url, &STRICT).unwrap().url, written, "{url}");
    }
}

#[test]
fn a_reason_never_holds_the_url() {
    let why = refused("https://hush:hush@x.dev/hush", &STRICT);
    assert!(!format!("{why} {why:?} {}", why.reason()).contains("hush"));
}

/// A piece of a URL as an attacker would put it there.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "https://",
        "http://",
        "HTTPS://",
        "https:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "#",
        "?",
        "%",
        "%2e",
        "%00",
        "%0d%0a",
        ".",
        "..",
        "-",
        "_",
        "[",
        "]",
        "::",
        "::1",
        "ffff:",
        "64:ff9b::",
        "2002:",
        "2600::",
        "fe80::1",
        "%25en0",
        "127.0.0.1",
        "127.1",
        "0x7f",
        "0177",
        "2130706433",
        "10.",
        "169.254.169.254",
        "8.8.8.8",
        "0",
        "1",
        "255",
        "localhost",
        "x.dev",
        "evil.dev",
        "EXAMPLE",
        ".com",
        ".local",
        "internal",
        "xn--",
        "xn--mnchen-3ya",
        "443",
        "8443",
        "80",
        " ",
        "\t",
        "\r\n",
        "\n",
        "\0",
        "é",
        "。",
        "１",
        "ß",
        "\u{200d}",
        "\u{ad}",
        "{{x}}",
        "a",
        "&",
        "=",
        "+",
        "|",
        "^",
        "'",
        "\"",
        "<",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => ".{0,3}",
        1 => any::<u32>().prop_map(|n| n.to_string()),
        1 => any::<[u8; 4]>().prop_map(|a| a.map(|n| n.to_string()).join(".")),
        1 => any::<[u16; 8]>().prop_map(|a| format!("[{}]", a.map(|n| format!("{n:x}")).join(":"))),
        1 => any::<u128>().prop_map(|n| format!("[{}]", std::net::Ipv6Addr::from_bits(n))),
        1 => any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("[::ffff:{a}.{b}.{c}.{d}]")),
    ]
}

/// Some of it close to a URL, or hardly anything would pass.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = |most| proptest::collection::vec(piece(), 0..most).prop_map(|pieces| pieces.concat());
    prop_oneof![
        pieces(8),
        (pieces(3), pieces(4)).prop_map(|(host, rest)| format!("https://{host}/{rest}")),
        (pieces(2), pieces(3)).prop_map(|(host, rest)| format!("https://x{host}.dev{rest}")),
        (piece(), pieces(2)).prop_map(|(host, rest)| format!("https://{host}{rest}")),
    ]
}

/// What the other parser makes of it; it drops a trailing dot of a name no more than WHATWG does, so that is done here.
fn elsewhere(url: &str) -> Option<(String, u16)> {
    let parsed = url::Url::parse(url).ok()?;
    let host = parsed.host_str()?;
    Some((host.strip_suffix('.').unwrap_or(host).to_owned(), parsed.port_or_known_default()?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    #[test]
    fn what_passes_is_read_the_same_by_others(url in hostile(), allow_private in any::<bool>()) {
        let rules = Rules { require_https: false, allow_private, own_hosts: &[] };
        let Ok(target) = Target::check(&url, &rules) else { return Ok(()) };
        prop_assert!(target.url.bytes().all(|b| b.is_ascii_graphic()), "{}", target.url);
        for text in [&url, &target.url] {
            match elsewhere(text) {
                Some(read) => prop_assert_eq!(&read, &(target.host.clone(), target.port), "{}", text),
                // Punycode is not looked into here; what is none is resolved by nobody.
                None => prop_assert!(target.host.contains("xn--"), "{}", text),
            }
        }
        // Nothing is left to rewrite.
        if let Ok(parsed) = url::Url::parse(&target.url) {
            prop_assert_eq!(parsed.as_str(), &target.url);
        }
        prop_assert_eq!(Target::check(&target.url, &rules), Ok(target.clone()));
        if !allow_private {
            let address = target.host.trim_matches(['[', ']']).parse::<IpAddr>();
            prop_assert!(address.is_err() || address.is_ok_and(is_global), "{}", target.host);
            prop_assert!([443, 8443, 80, 8080].contains(&target.port));
            prop_assert!(target.host.contains(['.', ':']));
        }
    }

    #[test]
    fn no_text_panics(url in ".*", own in ".*") {
        let _ = Target::check(&url, &Rules { own_hosts: &[own], ..STRICT });
    }
}

/// By what std calls them, so that it is not the guard's own table that it is held against.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            !(a.is_private() || a.is_loopback() || a.is_link_local() || a.is_multicast() || a.is_broadcast())
                && !(a.is_documentation() || a.is_unspecified() || first == 0 || first >= 240)
                && !(first == 100 && second & 0xc0 == 64)
                && !(first == 198 && second & 0xfe == 18)
        }
        IpAddr::V6(a) => {
            let [first, second, ..] = a.segments();
            let scoped = a.is_multicast() || a.is_unique_local() || a.is_unicast_link_local();
            let holds_ipv4 = a.to_ipv4().is_some()
                || first == 0x2002
                || matches!((first, second), (0x64, 0xff9b) | (0x2001, 0));
            !scoped
                && !holds_ipv4
                && !a.is_loopback()
                && !a.is_unspecified()
                && (first, second) != (0x2001, 0xdb8)
        }
    }
}
