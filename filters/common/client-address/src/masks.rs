//! How much of an address tells clients apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use filter_config::Bounded;
use serde::Deserialize;

/// The bits of an address that count, as they are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct MasksConfig {
    ipv4_prefix: Option<Bounded<8, 32>>,
    ipv6_prefix: Option<Bounded<16, 128>>,
}

/// The bits of an address that count: who has an IPv6 network can change the rest with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "MasksConfig")]
pub struct Masks {
    ipv4: u32,
    ipv6: u128,
}

impl From<MasksConfig> for Masks {
    fn from(config: MasksConfig) -> Masks {
        Masks::compile(config.ipv4_prefix, config.ipv6_prefix)
    }
}

impl Masks {
    /// Masks of so many bits; absent is all of an IPv4 address, and the network of an IPv6 address.
    pub fn compile(
        ipv4_prefix: Option<Bounded<8, 32>>,
        ipv6_prefix: Option<Bounded<16, 128>>,
    ) -> Masks {
        let ipv4 = ipv4_prefix.map_or(32, Bounded::get);
        let ipv6 = ipv6_prefix.map_or(64, Bounded::get);
        // Both prefixes are at least 8 bits, so neither shift is the whole width.
        let shift =
            |width: u64, prefix: u64| u32::try_from(width.saturating_sub(prefix)).unwrap_or(0);
        Masks {
            ipv4: u32::MAX.checked_shl(shift(32, ipv4)).unwrap_or(u32::MAX),
            ipv6: u128::MAX.checked_shl(shift(128, ipv6)).unwrap_or(u128::MAX),
        }
    }

    /// The network that counts as one client, as bytes: 4 or 16. The address is canonical: an IPv4 address in IPv6 clothes
    /// would be one client with all others of its kind.
    pub fn network(&self, address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => {
                let network = Ipv4Addr::from_bits(address.to_bits() & self.ipv4);
                network.octets().to_vec()
            }
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & self.ipv6);
                network.octets().to_vec()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(masks: &Masks, text: &str) -> Vec<u8> {
        masks.network(text.parse().unwrap())
    }

    // Whoever has a /64 has 2^64 addresses, and would have as many limits.
    #[test]
    fn an_ipv6_network_is_one_client() {
        let masks = Masks::compile(None, None);
        let one = network(&masks, "2001:db8:1:2:3:4:5:6");
        assert_eq!(one, network(&masks, "2001:db8:1:2:ffff::"));
        assert_eq!(one.len(), 16);
        assert_ne!(one, network(&masks, "2001:db8:1:3::1"));
        assert_eq!(network(&masks, "192.0.2.1"), [192, 0, 2, 1]);
    }

    #[test]
    fn prefixes_are_as_configured() {
        let masks = Masks::compile(Bounded::new(24), Bounded::new(128));
        assert_eq!(network(&masks, "192.0.2.77"), [192, 0, 2, 0]);
        assert_ne!(
            network(&masks, "2001:db8::1"),
            network(&masks, "2001:db8::2")
        );
        let widest = Masks::compile(Bounded::new(8), Bounded::new(16));
        assert_eq!(network(&widest, "192.0.2.77"), [192, 0, 0, 0]);
        assert_eq!(network(&widest, "2001:db8::1")[..3], [0x20, 0x01, 0]);
    }
}
