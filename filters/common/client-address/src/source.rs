//! The host's `source.address`.

use std::net::{IpAddr, SocketAddr};

/// An address of the host's, and whether it is that of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is the IPv4 address; a zone is left out.
    pub address: IpAddr,
    /// A connection has a port. Envoy writes 0 behind an address that it has from `x-forwarded-for`, which without
    /// `use_remote_address` the client has written.
    pub connected: bool,
}

impl Source {
    /// Reads `192.0.2.1:80`, `[2001:db8::1]:80`, `[fe80::1%eth0]:80`; without a port it is nobody's connection.
    #[inline(never)]
    pub fn parse(property: &[u8]) -> Option<Source> {
        let text = std::str::from_utf8(property).ok()?;
        let (address, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            // The zone names an interface of ours.
            Some((inside, port)) => {
                let address = inside
                    .split_once('%')
                    .map_or(inside, |(address, _zone)| address);
                let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
                (IpAddr::V6(address.parse().ok()?), port.unwrap_or(0))
            }
            None => match text.parse::<SocketAddr>() {
                Ok(socket) => (socket.ip(), socket.port()),
                Err(_) => (text.parse().ok()?, 0),
            },
        };
        Some(Source {
            address: address.to_canonical(),
            connected: port != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Read as another address, it would be in another network, and under another limit.
    #[test]
    fn every_form_of_an_address_is_that_address() {
        for (property, address, connected) in [
            ("192.0.2.1:80", "192.0.2.1", true),
            ("192.0.2.1:0", "192.0.2.1", false),
            ("192.0.2.1", "192.0.2.1", false),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1", true),
            ("[2001:db8::1]:443", "2001:db8::1", true),
            ("[2001:db8::1]", "2001:db8::1", false),
            ("[fe80::1%eth0]:443", "fe80::1", true),
            ("2001:db8::1", "2001:db8::1", false),
        ] {
            let source = Source {
                address: address.parse().unwrap(),
                connected,
            };
            assert_eq!(
                Source::parse(property.as_bytes()),
                Some(source),
                "{property}"
            );
        }
    }

    // Taken for an address, it could be in a network that is trusted.
    #[test]
    fn what_is_no_address_is_none() {
        for property in [
            &b""[..],
            b"/run/socket",
            b"192.0.2.1:x",
            b"192.0.2.01:1",
            b"[::1",
            b"[192.0.2.1]:1",
            b"1.2.3",
            b"\xff\xfe",
        ] {
            assert_eq!(Source::parse(property), None, "{property:?}");
        }
    }
}
