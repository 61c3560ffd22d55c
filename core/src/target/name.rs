//! Which names are local: they mean another machine to whoever asks.

/// Names that end in one of these, or are it.
const LOCAL: [&str; 15] = [
    "localhost", // RFC 6761, 6.3
    "local",     // multicast DNS (RFC 6762, 3)
    "internal",  // reserved for private use (ICANN, 29 July 2024); metadata.google.internal, *.ec2.internal
    "arpa",      // infrastructure (RFC 3172), home.arpa (RFC 8375)
    "intranet",  // this and the next four: private names in use (RFC 6762, appendix G)
    "private",
    "corp",
    "home",
    "lan",
    "localdomain",   // what many systems put behind localhost
    "svc",           // services of a Kubernetes cluster (Kubernetes docs, "DNS for Services and Pods")
    "metadata.goog", // Google Cloud's metadata, and the next three: Tencent's, Equinix's old and new
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
];

/// A name of one label is local too: it is looked up in the domain of whoever asks (`instance-data`, `metadata`).
///
/// `name` in lower case, without a trailing dot.
pub(super) fn is_local(name: &str) -> bool {
    let ends = |suffix: &str| {
        name.strip_suffix(suffix).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    !name.contains('.') || LOCAL.into_iter().any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_known_by_their_end() {
        for name in [
            "localhost",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "x.ec2.internal",
            "home.arpa",
            "router.home.arpa",
            "1.0.0.127.in-addr.arpa",
            "nas.lan",
            "wiki.intranet",
            "git.corp",
            "pi.home",
            "instance-data",
            "metadata",
            "kubernetes.default.svc",
            "localhost.localdomain",
            "metadata.goog",
            "com",
        ] {
            assert!(is_local(name), "{name}");
        }
        for name in [
            "x.dev",
            "localhost.com",
            "mylocal.dev",
            "corp.com",
            "notlocal.example",
            "internal.x.dev",
            "goog.dev",
        ] {
            assert!(!is_local(name), "{name}");
        }
    }
}
