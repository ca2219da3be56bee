//! Row 20: whose address a request is counted by. Envoy's connection manager decides what the filter is told.

use std::net::Ipv4Addr;

use envoy_harness::{Bootstrap, Client, Gateway, Protocol, RawAnswer, Read};
use serde_json::{Value, json};

use super::{PLUGIN, counter};

/// What the probe is asked for.
const ASK: &str = "x-probe: request-headers: property address source/address\r\n";

/// One listener for each way to set the connection manager up, all with the same filter.
struct Listeners(Gateway);

impl Listeners {
    fn start(address: Value) -> Option<Self> {
        let mut bootstrap = Bootstrap::file("envoy/single/rate-limit.yaml");
        let config = json!({
            "version": 1,
            "limits": [{ "name": "address", "key": "address", "rate": "1/h", "burst": 2 }],
            "address": address,
        });
        bootstrap.set_filter_config(PLUGIN, config);
        bootstrap.insert_wasm_filter(0, "probe", "probe_filter", "x-probe");
        let listeners = bootstrap.root_mut()["static_resources"]["listeners"]
            .as_array_mut()
            .expect("listeners are a list");
        let first = listeners.remove(0);
        for (name, use_remote_address, hops) in [
            ("direct", true, 0),
            ("one_hop", true, 1),
            ("bare", false, 0),
        ] {
            let mut listener = first.clone();
            listener["name"] = name.into();
            let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            manager["use_remote_address"] = use_remote_address.into();
            manager["xff_num_trusted_hops"] = hops.into();
            listeners.push(listener);
        }
        Gateway::start(&bootstrap).map(Listeners)
    }

    /// A request by bytes to that listener, from that address of this machine.
    fn ask(&self, listener: &str, from: [u8; 4], headers: &[(&str, &str)]) -> RawAnswer {
        let address = self.0.envoy().listener(listener).expect("a listener");
        let client = Client::plain(address, Protocol::H1).from_address(Ipv4Addr::from(from));
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let request = format!("GET /users/1 HTTP/1.1\r\nhost: a.test\r\n{ASK}{headers}\r\n");
        client.raw(request.as_bytes(), Read::OneAnswer)
    }

    /// The status.
    fn status(&self, listener: &str, from: [u8; 4], headers: &[(&str, &str)]) -> u16 {
        let answer = self.ask(listener, from, headers);
        answer.status().unwrap_or_default()
    }

    fn counter(&self, name: &str) -> u64 {
        counter(&self.0, name)
    }
}

/// The statuses of a client with an untouched bucket of two.
const FRESH: [u16; 3] = [200, 200, 429];

/// What `source.address` is: the rest of this file, and README.md, rest on it. No other attribute has the address of the
/// connection.
#[test]
fn row_20_envoy_tells_the_address_of_the_connection_or_of_the_trusted_hop() {
    let Some(listeners) = Listeners::start(json!({})) else {
        return;
    };
    let connection = "127.0.2.1:";
    let hops = (0..100).map(|hop| format!("198.51.100.{hop}"));
    let hops = hops.collect::<Vec<_>>().join(", ");
    for (forwarded, one_hop, bare) in [
        (None, connection, connection),
        (Some("198.51.100.1"), "198.51.100.1:0", "198.51.100.1:0"),
        (
            Some("198.51.100.1, 198.51.100.2"),
            "198.51.100.2:0",
            "198.51.100.2:0",
        ),
        (Some(&*hops), "198.51.100.99:0", "198.51.100.99:0"),
        (Some("2001:db8::1"), "[2001:db8::1]:0", "[2001:db8::1]:0"),
        (
            Some("::ffff:198.51.100.1"),
            "[::ffff:198.51.100.1]:0",
            "[::ffff:198.51.100.1]:0",
        ),
        (Some("fe80::1%1"), "[fe80::1%1]:0", "[fe80::1%1]:0"),
        // What Envoy cannot read it leaves out; none of these brings a port into the filter.
        (Some("198.51.100.1:99"), connection, connection),
        (Some("[2001:db8::1]:99"), connection, connection),
        (Some("unknown"), connection, connection),
        (Some("198.51.100.1,"), connection, connection),
        (Some(""), connection, connection),
    ] {
        let headers: Vec<_> = forwarded
            .iter()
            .map(|value| ("x-forwarded-for", *value))
            .collect();
        for (listener, expected) in [("direct", connection), ("one_hop", one_hop), ("bare", bare)] {
            let answer = listeners.ask(listener, [127, 0, 2, 1], &headers).text();
            let told = answer
                .lines()
                .find_map(|line| line.strip_prefix("x-probe-address: "))
                .unwrap_or_default();
            let is_it = match expected == connection {
                true => told.starts_with(connection) && told != "127.0.2.1:0",
                false => told == expected,
            };
            assert!(is_it, "{listener}, {forwarded:?}: {told}, not {expected}");
        }
    }
}

/// With `use_remote_address` no header makes a client another one.
#[test]
fn row_20_no_header_makes_a_client_another_one() {
    let Some(listeners) = Listeners::start(json!({})) else {
        return;
    };
    let from = [127, 0, 4, 1];
    let mut statuses = Vec::new();
    for index in 0..12 {
        let (one, six) = (
            format!("198.51.100.{index}"),
            format!("2001:db8:{index}::1"),
        );
        let headers = [
            ("x-forwarded-for", &*one),
            ("forwarded", "for=203.0.113.7"),
            ("x-real-ip", &six),
            ("true-client-ip", &one),
            ("x-envoy-external-address", &one),
            ("x-forwarded-for", &six),
        ];
        statuses.push(listeners.status("direct", from, &headers));
    }
    assert_eq!(statuses[..3], FRESH, "{statuses:?}");
    assert!(
        statuses[2..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    assert_eq!(listeners.status("direct", [127, 0, 4, 2], &[]), 200);
    assert_eq!(listeners.counter("unknown_address"), 0);
}

/// A listener that believes what clients write: all who write an address are one client, and those who write none are counted
/// by their connection.
#[test]
fn row_20_without_use_remote_address_a_written_address_gains_nothing() {
    let Some(listeners) = Listeners::start(json!({})) else {
        return;
    };
    let mut statuses = Vec::new();
    for (index, written) in [
        "198.51.100.1",
        "198.51.100.2",
        "203.0.113.5",
        "2001:db8::1",
        "::ffff:198.51.100.3",
        "fe80::1%1",
        "127.0.4.9",
    ]
    .into_iter()
    .enumerate()
    {
        let from = [127, 0, 5, u8::try_from(index).unwrap()];
        statuses.push(listeners.status("bare", from, &[("x-forwarded-for", written)]));
    }
    assert_eq!(statuses, [200, 200, 429, 429, 429, 429, 429]);
    assert_eq!(listeners.counter("unknown_address"), 7);
    // Nobody has used up what belongs to these addresses.
    assert_eq!(listeners.status("bare", [127, 0, 4, 9], &[]), 200);
}

/// Behind a proxy of ours: the last entry is the proxy's, and what stands before it is the client's word.
#[test]
fn row_20_behind_a_trusted_proxy_its_entry_counts_alone() {
    let Some(listeners) = Listeners::start(json!({ "x_forwarded_for": true })) else {
        return;
    };
    let proxy = [127, 0, 6, 1];
    let ask =
        |forwarded: &str| listeners.status("one_hop", proxy, &[("x-forwarded-for", forwarded)]);
    let hops = |last: &str| "198.51.100.77, ".repeat(99) + last;
    // Each list is one client: three requests, of which the third is refused.
    for same in [
        &[
            "198.51.100.1",
            "203.0.113.1, 198.51.100.1",
            &hops("198.51.100.1"),
        ][..],
        &[
            "2001:db8:1:2::1",
            "2001:db8:1:2:3:4:5:6",
            "x, 2001:db8:1:2:ffff::",
        ],
        &["198.51.100.2", "::ffff:198.51.100.2", "::ffff:c633:6402"],
        &["fe80::1%1", "fe80::1", "fe80::2%1"],
        // Nothing that Envoy can read: the proxy itself.
        &[
            "unknown",
            "198.51.100.3:80",
            "203.0.113.1, [2001:db8::1]:80",
        ],
    ] {
        let statuses: Vec<_> = same.iter().map(|forwarded| ask(forwarded)).collect();
        assert_eq!(statuses, FRESH, "{same:?}");
    }
    assert_eq!(ask("2001:db8:1:3::1"), 200);
    assert_eq!(listeners.counter("unknown_address"), 0);
}

/// A CDN's header counts on connections from the CDN's networks, and nowhere else.
#[test]
fn row_20_a_cdn_names_the_client_on_its_own_connections_alone() {
    let Some(listeners) = Listeners::start(json!({ "cdns": [
        { "header": "cf-connecting-ip", "networks": ["127.0.2.0/24"] },
        { "header": "fastly-client-ip", "networks": ["127.0.3.0/28", "2001:db8:fa57::/48"] },
    ] })) else {
        return;
    };
    let node = [127, 0, 2, 1];
    let named =
        |from, client: &str| listeners.status("direct", from, &[("cf-connecting-ip", client)]);
    // One client through several nodes, and in several spellings; an IPv6 network is one.
    let nodes = [[127, 0, 2, 1], [127, 0, 2, 2], [127, 0, 2, 255]];
    for same in [
        ["203.0.113.1"; 3],
        ["203.0.113.2", "::ffff:203.0.113.2", "::ffff:cb00:7102"],
        ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:DB8:1:2:ffff::"],
    ] {
        let asked = nodes.iter().zip(same);
        let statuses: Vec<_> = asked.map(|(node, client)| named(*node, client)).collect();
        assert_eq!(statuses, FRESH, "{same:?}");
    }
    assert_eq!(named(node, "203.0.113.3"), 200, "another client");

    // Each network has its own header.
    let fastly = |client: &str| {
        let headers = [
            ("cf-connecting-ip", "203.0.113.9"),
            ("fastly-client-ip", client),
        ];
        listeners.status("direct", [127, 0, 3, 1], &headers)
    };
    let statuses = ["203.0.113.4"; 3].map(fastly);
    assert_eq!(statuses, FRESH);
    assert_eq!(fastly("203.0.113.5"), 200);
    assert_eq!(listeners.counter("cdn_address"), 0);

    // A node that does not name one client is itself one client.
    let unnamed = [
        &[][..],
        &[("cf-connecting-ip", "")],
        &[
            ("cf-connecting-ip", "203.0.113.6"),
            ("CF-Connecting-IP", "203.0.113.6"),
        ],
        &[("cf-connecting-ip", "203.0.113.6, 203.0.113.7")],
        &[("cf-connecting-ip", "203.0.113.6:80")],
        &[("cf-connecting-ip", "fe80::1%1")],
        &[("cf_connecting_ip", "203.0.113.6")],
        &[("fastly-client-ip", "203.0.113.6")],
    ];
    let statuses: Vec<_> = unnamed
        .iter()
        .map(|headers| listeners.status("direct", [127, 0, 2, 9], headers))
        .collect();
    assert_eq!(statuses[..3], FRESH);
    assert!(
        statuses[3..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    assert_eq!(listeners.counter("cdn_address"), 8);

    // From elsewhere it is just a header, also beside an address of the CDN's that the client has written.
    let elsewhere = [127, 0, 4, 1];
    let statuses: Vec<_> = (10..16)
        .map(|index| {
            let client = format!("203.0.113.{index}");
            let headers = [
                ("cf-connecting-ip", &*client),
                ("x-forwarded-for", "127.0.2.1"),
            ];
            listeners.status("direct", elsewhere, &headers)
        })
        .collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429, 429]);
    let statuses: Vec<_> = (20..26)
        .map(|index| {
            let client = format!("203.0.113.{index}");
            let headers = [
                ("cf-connecting-ip", &*client),
                ("x-forwarded-for", "127.0.2.1"),
            ];
            listeners.status("bare", elsewhere, &headers)
        })
        .collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429, 429]);
    assert_eq!(listeners.counter("unknown_address"), 6);
}
