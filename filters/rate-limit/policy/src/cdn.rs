//! A CDN in front: its nodes are the ones that connect, and a header of theirs has the client's address.

use std::net::IpAddr;

use client_address::IpNet;
use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::{HeaderMap, HeaderName, Occurrence};
use serde::Deserialize;

/// Headers that are lists to which every proxy adds, so that the client writes part of them.
const LISTS: [&str; 2] = ["x-forwarded-for", "forwarded"];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CdnConfig {
    header: HeaderName,
    networks: BoundedList<Text<64>, 1, 1024>,
}

/// A CDN: where its nodes connect from, and where they write the client's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cdn {
    header: HeaderName,
    networks: Vec<IpNet>,
}

impl Cdn {
    pub(crate) fn compile(config: CdnConfig, at: &FieldPath) -> Result<Cdn, ConfigError> {
        if LISTS.contains(&config.header.as_str()) {
            return Err(ConfigError::new(
                &at.field("header"),
                "clients write part of this list; name a header that the CDN alone sets, or set xff_num_trusted_hops",
            ));
        }
        let at = at.field("networks");
        let networks = config.networks.iter().enumerate();
        Ok(Cdn {
            networks: networks
                .map(|(index, text)| {
                    network(text.as_str())
                        .map_err(|reason| ConfigError::new(&at.index(index), reason))
                })
                .collect::<Result<_, _>>()?,
            header: config.header,
        })
    }

    /// Whether an address is one of its nodes'.
    pub(crate) fn has(&self, node: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&node))
    }

    /// The address in the header: there once, and an address alone. A CDN that sets the header leaves no second one in it.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let Occurrence::Once(value) = headers.occurrence(self.header.as_str()) else {
            return None;
        };
        let address: IpAddr = std::str::from_utf8(value).ok()?.parse().ok()?;
        Some(address.to_canonical())
    }
}

/// A network of nodes, and not half of the world, whose nodes are believed.
fn network(text: &str) -> Result<IpNet, String> {
    let network = client_address::network(text)?;
    let least = match network {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 16,
    };
    if network.prefix_len() < least {
        return Err(format!("a prefix has at least {least} bits"));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cdn(config: Value) -> Result<Cdn, String> {
        let at = FieldPath::root().field("cdns").index(0);
        filter_config::from_value::<CdnConfig>(config)
            .and_then(|config| Cdn::compile(config, &at))
            .map_err(|error| error.to_string())
    }

    fn example() -> Cdn {
        let networks = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"];
        cdn(json!({ "header": "CF-Connecting-IP", "networks": networks })).unwrap()
    }

    #[test]
    fn its_nodes_are_in_its_networks() {
        let cdn = example();
        for (address, is_node) in [
            ("192.0.2.0", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::192.0.2.1", false),
        ] {
            assert_eq!(cdn.has(address.parse().unwrap()), is_node, "{address}");
        }
    }

    // Any other reading lets a client choose what it is counted by.
    #[test]
    fn one_address_alone_is_an_address() {
        let cdn = example();
        let of = |values: &[&str]| {
            let values = values.iter().map(|value| ("cf-connecting-ip", *value));
            cdn.client(&HeaderMap::from_pairs(values))
        };
        for (text, address) in [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(of(&[text]), Some(address.parse().unwrap()));
        }
        for values in [
            &[][..],
            &[""],
            &["203.0.113.9", "203.0.113.9"],
            &["203.0.113.9, 203.0.113.10"],
            &["203.0.113.9:80"],
            &["[2001:db8::9]"],
            &["fe80::1%eth0"],
            &["203.0.113.09"],
            &["203.0.113"],
            &["0x7f000001"],
            &["203.0.113.9 "],
            &["unknown"],
        ] {
            assert_eq!(of(values), None, "{values:?}");
        }
        let not_utf8 = HeaderMap::from_pairs([(&b"cf-connecting-ip"[..], &b"\xff"[..])]);
        assert_eq!(cdn.client(&not_utf8), None);
    }

    // A network that is read as another lets strangers name their own address.
    #[test]
    fn faults_are_told_with_their_place() {
        let networks = |text: &str| cdn(json!({ "header": "x", "networks": ["::1/128", text] }));
        for (text, says) in [
            ("192.0.2.1", "not a network"),
            ("192.0.2.0/33", "not a network"),
            ("192.0.2.0/-1", "not a network"),
            ("192.0.2.0/24 ", "not a network"),
            ("localhost/8", "not a network"),
            (
                "192.0.2.1/24",
                "has bits beyond its prefix, did you mean 192.0.2.0/24?",
            ),
            ("0.0.0.0/0", "a prefix has at least 8 bits"),
            ("::/0", "a prefix has at least 16 bits"),
            (
                "::ffff:192.0.2.0/120",
                "write an IPv4 network as 192.0.2.0/24",
            ),
        ] {
            let error = networks(text).unwrap_err();
            let start = format!("cdns[0].networks[1]: {says}");
            assert!(error.starts_with(&start), "{text}: {error}");
        }
        let list = cdn(json!({ "header": "X-Forwarded-For", "networks": ["::1/128"] }));
        assert!(list.unwrap_err().starts_with("cdns[0].header: clients"));
        assert!(cdn(json!({ "header": "x", "networks": [] })).is_err());
        assert!(cdn(json!({ "header": "x" })).is_err());
        assert!(networks("10.0.0.0/8").is_ok());
    }
}
