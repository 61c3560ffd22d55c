//! Source networks in CIDR notation, for the optional allow-list on `cf-connecting-ip`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 network.
///
/// ```
/// use fieldhook_core::proof::network::Network;
/// let network = Network::parse("203.0.113.0/24").unwrap();
/// assert!(network.contains("203.0.113.9".parse().unwrap()));
/// assert!(network.contains("::ffff:203.0.113.9".parse().unwrap()));
/// assert!(!network.contains("203.0.114.1".parse().unwrap()));
/// assert!(Network::parse("203.0.113.0/33").is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// As IPv6; IPv4 lies in ::ffff:0:0/96, so that one comparison serves both.
    base: u128,
    mask: u128,
}

impl Network {
    /// `address/prefix`, or an address alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        if prefix > width {
            return None;
        }
        let mask = match 128 - width + prefix {
            0 => 0,
            bits => u128::MAX << (128 - bits),
        };
        Some(Network { base: widen(address) & mask, mask })
    }

    /// Every address.
    pub fn everywhere() -> Self {
        Network { base: 0, mask: 0 }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        widen(address) & self.mask == self.base
    }
}

fn widen(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::to_ipv6_mapped(&v4).to_bits(),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_network_of_width_zero_is_all_of_ipv4_only() {
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        assert!(Network::parse("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(Network::everywhere().contains("8.8.8.8".parse().unwrap()));
    }
}
