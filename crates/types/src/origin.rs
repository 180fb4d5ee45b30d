//! Where a client comes from, as far as that limits what it may do.

use std::net::{IpAddr, Ipv6Addr};

/// The address of a client: its own, as a trusted proxy or its connection says. Nobody is known by it; it only counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u128);

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    first: u128,
    bits: u8,
}

impl Origin {
    /// That of a client. `None`: it is on this machine, like a proxy that nobody trusts, and stands for everybody or for nobody.
    pub fn of(ip: IpAddr) -> Option<Self> {
        let bits = match ip.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        (!ip.to_canonical().is_loopback()).then_some(Self(bits))
    }

    /// What one person or house has at least: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub fn house(self) -> Prefix {
        self.prefix(if self.is_v4() { 128 } else { 64 })
    }

    /// What one customer may have besides: the first 48 bits of an IPv6 address. Addresses of IPv4 are alone.
    pub fn site(self) -> Option<Prefix> {
        (!self.is_v4()).then(|| self.prefix(48))
    }

    fn is_v4(self) -> bool {
        Ipv6Addr::from_bits(self.0).to_ipv4_mapped().is_some()
    }

    fn prefix(self, bits: u8) -> Prefix {
        Prefix { first: self.0 & (u128::MAX << (128 - bits)), bits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ip: &str) -> Origin {
        Origin::of(ip.parse().expect("an address")).expect("it is not on this machine")
    }

    #[test]
    fn houses_and_sites() {
        assert_eq!(of("192.0.2.7").house(), of("::ffff:192.0.2.7").house());
        assert_ne!(of("192.0.2.7").house(), of("192.0.2.8").house());
        assert_eq!(of("192.0.2.7").site(), None);
        assert_eq!(of("2001:db8:1:2::1").house(), of("2001:db8:1:2:ffff::").house());
        assert_ne!(of("2001:db8:1:2::1").house(), of("2001:db8:1:3::1").house());
        assert_eq!(of("2001:db8:1:2::1").site(), of("2001:db8:1:3::1").site());
        assert_ne!(of("2001:db8:1::1").site(), of("2001:db8:2::1").site());
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Origin::of(ip.parse().expect("an address")), None, "{ip}");
        }
    }
}
