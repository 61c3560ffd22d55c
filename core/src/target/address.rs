//! Which addresses are of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not (IANA IPv4 Special-Purpose Address Registry).
const SPECIAL_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),        // this network (RFC 791)
    ([10, 0, 0, 0], 8),       // private (RFC 1918)
    ([100, 64, 0, 0], 10),    // carrier-grade NAT (RFC 6598); metadata of Alibaba Cloud
    ([127, 0, 0, 0], 8),      // loopback (RFC 1122)
    ([168, 63, 129, 16], 32), // Azure's own services, from inside of Azure (Azure docs, "What is 168.63.129.16")
    ([169, 254, 0, 0], 16),   // link-local (RFC 3927); metadata of most clouds
    ([172, 16, 0, 0], 12),    // private (RFC 1918)
    ([192, 0, 0, 0], 24),     // protocol assignments (RFC 6890)
    ([192, 0, 2, 0], 24),     // documentation (RFC 5737)
    ([192, 88, 99, 0], 24),   // 6to4 relay (RFC 7526)
    ([192, 168, 0, 0], 16),   // private (RFC 1918)
    ([198, 18, 0, 0], 15),    // benchmark (RFC 2544)
    ([198, 51, 100, 0], 24),  // documentation (RFC 5737)
    ([203, 0, 113, 0], 24),   // documentation (RFC 5737)
    ([224, 0, 0, 0], 4),      // multicast (RFC 5771)
    ([240, 0, 0, 0], 4),      // reserved (RFC 1112), and broadcast
];

/// The IPv6 network that addresses are given out of (IANA IPv6 Global Unicast Address Assignments). Outside of it are
/// loopback, mapped and compatible IPv4, NAT64 (RFC 6052, RFC 8215), discard, unique-local, link-local and multicast.
const GLOBAL_V6: (u128, u32) = (0x2000 << 112, 3);
/// What of it is special (IANA IPv6 Special-Purpose Address Registry).
const SPECIAL_V6: [(u128, u32); 4] = [
    (0x2001 << 112, 23),     // protocol assignments (RFC 2928): Teredo, benchmark, ORCHID
    (0x2001_0db8 << 96, 32), // documentation (RFC 3849)
    (0x2002 << 112, 16),     // 6to4 (RFC 3056): an IPv4 address is in it
    (0x3fff << 112, 20),     // documentation (RFC 9637)
];

pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.into_iter().any(|(net, prefix)| {
            covers(Ipv4Addr::from(net).to_bits().into(), prefix + 96, address.to_bits().into())
        }),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            covers(GLOBAL_V6.0, GLOBAL_V6.1, bits)
                && !SPECIAL_V6.into_iter().any(|(net, prefix)| covers(net, prefix, bits))
        }
    }
}

/// Loopback, or unspecified, which systems take for it.
pub(super) fn is_this_machine(address: IpAddr) -> bool {
    let local = |address: Ipv4Addr| address.is_loopback() || address.is_unspecified();
    match address {
        IpAddr::V4(address) => local(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => local(mapped),
            None => address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED,
        },
    }
}

/// Whether an address begins with the first `prefix` bits of a network; `prefix` from 1 to 128.
fn covers(network: u128, prefix: u32, address: u128) -> bool {
    (network ^ address).checked_shr(128 - prefix).is_none_or(|differs| differs == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn each_special_network_is_private_to_its_edges_and_no_further() {
        for (inside, outside) in [
            ("0.255.255.255", "1.0.0.0"),
            ("10.255.255.255", "11.0.0.0"),
            ("10.0.0.0", "9.255.255.255"),
            ("100.64.0.0", "100.63.255.255"),
            ("100.127.255.255", "100.128.0.0"),
            ("127.0.0.0", "126.255.255.255"),
            ("168.63.129.16", "168.63.129.17"),
            ("169.254.169.254", "169.253.255.255"),
            ("172.16.0.0", "172.15.255.255"),
            ("172.31.255.255", "172.32.0.0"),
            ("192.0.0.255", "192.0.1.0"),
            ("192.0.2.1", "192.0.3.0"),
            ("192.88.99.1", "192.88.98.1"),
            ("192.168.255.255", "192.169.0.0"),
            ("198.19.255.255", "198.20.0.0"),
            ("198.51.100.7", "198.51.101.0"),
            ("203.0.113.7", "203.0.114.0"),
            ("224.0.0.1", "223.255.255.255"),
            ("255.255.255.255", "8.8.8.8"),
            ("2001::1", "2001:200::1"),
            ("2001:1ff:ffff::", "2001:4860:4860::8888"),
            ("2001:db8:ffff::1", "2001:db9::1"),
            ("2002:7f00:1::", "2003::1"),
            ("3fff:fff::1", "3fff:1000::1"),
            ("1fff:ffff::1", "2600::1"),
            ("4000::1", "3ffe::1"),
        ] {
            assert!(!public(inside), "{inside}");
            assert!(public(outside), "{outside}");
        }
    }

    #[test]
    fn nothing_that_holds_an_ipv4_address_or_a_scope_is_public() {
        for address in [
            "::",
            "::1",
            "::8.8.8.8",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2002:808:808::",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }
}
