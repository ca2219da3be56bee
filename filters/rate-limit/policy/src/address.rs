//! The address of the client, as far as it can be believed.

use std::net::IpAddr;

use client_address::{Masks, Source};
use filter_config::{Bounded, BoundedList, ConfigError, FieldPath};
use http_message::HeaderMap;
use serde::Deserialize;

use crate::cdn::{Cdn, CdnConfig};
use crate::counters::Counter;

/// What counts as one client, and whose word is taken for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressConfig {
    ipv4_prefix: Option<Bounded<8, 32>>,
    ipv6_prefix: Option<Bounded<16, 128>>,
    #[serde(default)]
    x_forwarded_for: bool,
    #[serde(default)]
    cdns: BoundedList<CdnConfig, 0, 8>,
}

/// How a request comes to the address that it is counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    masks: Masks,
    x_forwarded_for: bool,
    cdns: Vec<Cdn>,
}

/// The client by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The network that counts as one client: 4 or 16 bytes. All whose address cannot be told are one client, of no bytes.
    pub(crate) network: Vec<u8>,
    /// The address itself, if it can be told.
    pub(crate) address: Option<IpAddr>,
    /// What is to be counted: the address is not the client's.
    pub(crate) doubt: Option<Counter>,
}

impl Addresses {
    pub(crate) fn compile(config: AddressConfig, at: &FieldPath) -> Result<Addresses, ConfigError> {
        let cdns_at = at.field("cdns");
        let cdns = config.cdns.into_iter().enumerate();
        Ok(Addresses {
            masks: Masks::compile(config.ipv4_prefix, config.ipv6_prefix),
            x_forwarded_for: config.x_forwarded_for,
            cdns: cdns
                .map(|(index, cdn)| Cdn::compile(cdn, &cdns_at.index(index)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The client of a request that came from `property`, the host's `source.address`.
    ///
    /// Where that is a node of a CDN, it is the one that the node names. A node that names none, or more than one, is counted by
    /// its own address, as one client.
    pub(crate) fn client(&self, property: &[u8], headers: &HeaderMap) -> Client {
        let source =
            Source::parse(property).filter(|source| source.connected || self.x_forwarded_for);
        let Some(Source { address, .. }) = source else {
            return Client {
                network: Vec::new(),
                address: None,
                doubt: Some(Counter::UnknownAddress),
            };
        };
        let (address, doubt) = match self.cdns.iter().find(|cdn| cdn.has(address)) {
            None => (address, None),
            Some(cdn) => match cdn.client(headers) {
                Some(client) => (client, None),
                None => (address, Some(Counter::CdnAddress)),
            },
        };
        Client {
            network: self.masks.network(address),
            address: Some(address),
            doubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn addresses(config: Value) -> Addresses {
        let config = filter_config::from_value(config).unwrap();
        Addresses::compile(config, &FieldPath::root()).unwrap()
    }

    fn client(text: &str) -> Vec<u8> {
        addresses(json!({}))
            .client(text.as_bytes(), &HeaderMap::default())
            .network
    }

    #[test]
    fn the_port_does_not_count() {
        assert_eq!(client("192.0.2.1:1"), [192, 0, 2, 1]);
        assert_eq!(client("192.0.2.1:65535"), client("192.0.2.1:1"));
        assert_ne!(client("192.0.2.1:1"), client("192.0.2.2:1"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6_clothes() {
        assert_eq!(client("[::ffff:192.0.2.1]:443"), client("192.0.2.1:5"));
        // All of ::/64 would be one client otherwise.
        assert_ne!(
            client("[::ffff:192.0.2.1]:443"),
            client("[::ffff:192.0.2.2]:443")
        );
    }

    #[test]
    fn a_zone_does_not_count() {
        assert_eq!(client("[fe80::1%eth0]:443"), client("[fe80::1]:443"));
        assert_eq!(client("[fe80::1%2]:443").len(), 16);
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
        let client = addresses(json!({})).client(b"\xff\xfe", &HeaderMap::default());
        assert!(client.network.is_empty());
        assert_eq!(client.doubt, Some(Counter::UnknownAddress));
    }

    // Envoy takes it from a header, and without `use_remote_address` the client has written that.
    #[test]
    fn an_address_without_a_port_counts_only_where_the_operator_says_so() {
        for text in [
            "192.0.2.1:0",
            "[2001:db8::1]:0",
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
        ] {
            assert_eq!(client(text), Vec::<u8>::new(), "{text}");
            let trusting = addresses(json!({ "x_forwarded_for": true }));
            let found = trusting.client(text.as_bytes(), &HeaderMap::default());
            assert!(!found.network.is_empty(), "{text}");
        }
    }

    fn behind_a_cdn(more: Value) -> Addresses {
        let mut config = json!({ "cdns": [
            { "header": "true-client-ip", "networks": ["192.0.2.0/24"] },
            { "header": "fastly-client-ip", "networks": ["198.51.100.0/24", "2001:db8::/32"] },
        ] });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        addresses(config)
    }

    fn asked(addresses: &Addresses, source: &str, headers: &[(&str, &str)]) -> Client {
        let headers = HeaderMap::from_pairs(headers.iter().copied());
        addresses.client(source.as_bytes(), &headers)
    }

    #[test]
    fn a_node_of_a_cdn_names_the_client() {
        let cdns = behind_a_cdn(json!({}));
        let said = [
            ("true-client-ip", "203.0.113.1"),
            ("fastly-client-ip", "2001:db8:5::1"),
        ];
        let by = |source| asked(&cdns, source, &said).network;
        assert_eq!(by("192.0.2.9:1"), [203, 0, 113, 1]);
        assert_eq!(by("[::ffff:192.0.2.9]:1"), [203, 0, 113, 1]);
        assert_eq!(by("198.51.100.9:1")[..6], [0x20, 1, 0x0d, 0xb8, 0, 5]);
        assert_eq!(by("[2001:db8::1]:1")[..6], [0x20, 1, 0x0d, 0xb8, 0, 5]);
        // The /64 of the header counts as one, as any other.
        let rotated = |last| {
            let said = [("fastly-client-ip", last)];
            asked(&cdns, "198.51.100.9:1", &said).network
        };
        assert_eq!(rotated("2001:db8:5::1"), rotated("2001:db8:5::ffff"));
    }

    // Otherwise whoever connects writes the header, and has as many limits as there are addresses.
    #[test]
    fn nobody_else_names_a_client() {
        let cdns = behind_a_cdn(json!({}));
        let said = [
            ("true-client-ip", "203.0.113.1"),
            ("fastly-client-ip", "203.0.113.2"),
        ];
        let found = asked(&cdns, "203.0.113.77:1", &said);
        assert_eq!((found.network, found.doubt), (vec![203, 0, 113, 77], None));
        // Nor who writes a node's address into a header that Envoy believes.
        let forged = asked(&cdns, "192.0.2.9:0", &said);
        assert_eq!(
            (forged.network, forged.doubt),
            (vec![], Some(Counter::UnknownAddress))
        );
        let trusting = behind_a_cdn(json!({ "x_forwarded_for": true }));
        assert_eq!(
            asked(&trusting, "192.0.2.9:0", &said).network,
            [203, 0, 113, 1]
        );
    }

    #[test]
    fn a_node_that_names_nobody_is_one_client() {
        let cdns = behind_a_cdn(json!({}));
        for said in [
            &[][..],
            &[("fastly-client-ip", "203.0.113.1")],
            &[("true-client-ip", "none")],
            &[
                ("true-client-ip", "203.0.113.1"),
                ("true-client-ip", "203.0.113.1"),
            ],
        ] {
            let found = asked(&cdns, "192.0.2.9:1", said);
            assert_eq!(found.network, [192, 0, 2, 9], "{said:?}");
            assert_eq!(found.doubt, Some(Counter::CdnAddress), "{said:?}");
        }
    }
}
