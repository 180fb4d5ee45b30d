//! Where a client comes from, as far as that limits what it may do.

/// The address of a client: its own, as a trusted proxy or its connection says. Nobody is known by it; it only counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u128);

/// What IPv4 addresses begin with as addresses of IPv6: `::ffff:0:0`.
const MAPPED: u128 = 0xffff << 32;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    first: u128,
    bits: u8,
}

impl Origin {
    /// An IPv4 address.
    pub const fn v4(bits: u32) -> Self {
        Self(MAPPED | bits as u128)
    }

    /// An IPv6 address, or an IPv4 address as one of IPv6.
    pub const fn v6(bits: u128) -> Self {
        Self(bits)
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
        self.0 >> 32 == MAPPED >> 32
    }

    fn prefix(self, bits: u8) -> Prefix {
        Prefix { first: self.0 & (u128::MAX << (128 - bits)), bits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn houses_and_sites() {
        let v6 = |site: u128, house: u128, rest: u128| {
            Origin::v6(0x2001_0db8 << 96 | site << 80 | house << 64 | rest)
        };
        assert_eq!(Origin::v4(0xc000_0207).house(), Origin::v6(0xffff_c000_0207).house());
        assert_ne!(Origin::v4(0xc000_0207).house(), Origin::v4(0xc000_0208).house());
        assert_eq!(Origin::v4(0xc000_0207).site(), None);
        assert_eq!(v6(1, 2, 1).house(), v6(1, 2, 0xffff << 48).house());
        assert_ne!(v6(1, 2, 1).house(), v6(1, 3, 1).house());
        assert_eq!(v6(1, 2, 1).site(), v6(1, 3, 1).site());
        assert_ne!(v6(1, 2, 1).site(), v6(2, 2, 1).site());
    }
}
