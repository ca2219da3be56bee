//! The address of the client, as much of it as tells clients apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use filter_config::Bounded;
use serde::Deserialize;

/// How much of an address counts: who has an IPv6 network can change the rest with each request.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressConfig {
    ipv4_prefix: Option<Bounded<8, 32>>,
    ipv6_prefix: Option<Bounded<16, 128>>,
}

/// The bits of an address that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Masks {
    ipv4: u32,
    ipv6: u128,
}

impl Masks {
    pub(crate) fn compile(config: AddressConfig) -> Masks {
        let ipv4 = config.ipv4_prefix.map_or(32, Bounded::get);
        let ipv6 = config.ipv6_prefix.map_or(64, Bounded::get);
        // Both prefixes are at least 8 bits, so neither shift is the whole width.
        let shift =
            |width: u64, prefix: u64| u32::try_from(width.saturating_sub(prefix)).unwrap_or(0);
        Masks {
            ipv4: u32::MAX.checked_shl(shift(32, ipv4)).unwrap_or(u32::MAX),
            ipv6: u128::MAX.checked_shl(shift(128, ipv6)).unwrap_or(u128::MAX),
        }
    }

    /// The network that counts as one client, as bytes: 4 or 16. What is no address (a Unix socket) is one client, of no
    /// bytes. An IPv4 address in IPv6 clothes is the IPv4 address.
    pub(crate) fn client(&self, property: &[u8]) -> Vec<u8> {
        match parse(property) {
            Some(IpAddr::V4(address)) => {
                let network = Ipv4Addr::from_bits(address.to_bits() & self.ipv4);
                network.octets().to_vec()
            }
            Some(IpAddr::V6(address)) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & self.ipv6);
                network.octets().to_vec()
            }
            None => Vec::new(),
        }
    }
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`, `[fe80::1%eth0]:80`, or any of these without a port.
fn parse(property: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(property).ok()?;
    let address = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // The zone names an interface of ours.
        Some((inside, _port)) => {
            let address = inside
                .split_once('%')
                .map_or(inside, |(address, _zone)| address);
            IpAddr::V6(address.parse().ok()?)
        }
        None => match text.parse::<SocketAddr>() {
            Ok(socket) => socket.ip(),
            Err(_) => text.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Vec<u8> {
        Masks::compile(AddressConfig::default()).client(text.as_bytes())
    }

    #[test]
    fn the_port_does_not_count() {
        assert_eq!(client("192.0.2.1:1"), [192, 0, 2, 1]);
        assert_eq!(client("192.0.2.1:65535"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1:1"), client("192.0.2.2:1"));
    }

    // Whoever has a /64 has 2^64 addresses, and would have as many limits.
    #[test]
    fn an_ipv6_network_is_one_client() {
        let one = client("[2001:db8:1:2:3:4:5:6]:443");
        assert_eq!(one, client("[2001:db8:1:2:ffff::]:1"));
        assert_eq!(one.len(), 16);
        assert_ne!(one, client("[2001:db8:1:3::1]:443"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6_clothes() {
        assert_eq!(client("[::ffff:192.0.2.1]:443"), client("192.0.2.1:5"));
        // All of 64:ff9b::/64 or ::/64 would be one client otherwise.
        assert_ne!(
            client("[::ffff:192.0.2.1]:443"),
            client("[::ffff:192.0.2.2]:443")
        );
    }

    #[test]
    fn a_zone_does_not_count() {
        assert_eq!(client("[fe80::1%eth0]:443"), client("[fe80::1]:443"));
    }

    // None of them gets around the limit by being unreadable.
    #[test]
    fn what_is_no_address_is_one_client() {
        for text in [
            "",
            "/run/socket",
            "192.0.2.1:x",
            "[::1",
            "[192.0.2.1]:1",
            "1.2.3",
            "\u{fffd}",
        ] {
            assert_eq!(client(text), Vec::<u8>::new(), "{text}");
        }
        assert_eq!(
            Masks::compile(AddressConfig::default()).client(b"\xff\xfe"),
            Vec::<u8>::new()
        );
    }

    #[test]
    fn prefixes_are_as_configured() {
        let config = AddressConfig {
            ipv4_prefix: Bounded::new(24),
            ipv6_prefix: Bounded::new(128),
        };
        let masks = Masks::compile(config);
        assert_eq!(masks.client(b"192.0.2.77:1"), [192, 0, 2, 0]);
        assert_ne!(
            masks.client(b"[2001:db8::1]:1"),
            masks.client(b"[2001:db8::2]:1")
        );
    }
}
