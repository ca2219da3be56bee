//! Networks, as an operator writes them.

use ipnet::IpNet;

/// Reads a network that holds what it seems to hold: `192.0.2.0/24`, `2001:db8::/32`.
///
/// # Errors
/// The fix, for the operator: no network, bits beyond the prefix, an IPv4 network in IPv6 clothes.
pub fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = text.parse().map_err(|_| {
        "not a network, expected one such as 192.0.2.0/24 or 2001:db8::/32".to_owned()
    })?;
    if network.trunc() != network {
        let meant = network.trunc();
        return Err(format!("has bits beyond its prefix, did you mean {meant}?"));
    }
    match network {
        // Addresses are compared in their IPv4 form, so this one would hold none.
        IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some() => {
            Err("write an IPv4 network as 192.0.2.0/24".to_owned())
        }
        network => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A network that is read as another lets strangers in.
    #[test]
    fn a_network_is_what_it_seems_to_be() {
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
            (
                "::ffff:192.0.2.0/120",
                "write an IPv4 network as 192.0.2.0/24",
            ),
        ] {
            let fault = network(text).unwrap_err();
            assert!(fault.starts_with(says), "{text}: {fault}");
        }
        for text in ["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32", "::1/128"] {
            assert_eq!(network(text).unwrap().to_string(), text);
        }
    }
}
