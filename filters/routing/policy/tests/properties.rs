//! What holds for every request.

use http_message::{HeaderMap, HeaderWrite, Place, RequestHead, same_spelling};
use proptest::prelude::*;
use routing_policy::{Facts, Policy, Step};

const WRITTEN: [&str; 3] = [
    "x-gatehouse-api-version",
    "x-gatehouse-grpc-service",
    "x-gatehouse-grpc-method",
];

fn policy() -> Policy {
    Policy::from_bytes(
        br#"{
            "version": 1,
            "api_version": {
                "supported": ["0", "1", "2", "9999"],
                "default": "1",
                "sources": [{ "header": "x-api-version" }, { "accept_parameter": "version" }, { "path_prefix": true }]
            }
        }"#,
    )
    .expect("a valid configuration")
}

/// Text that is close to what the filter reads, so that more than the first check is reached.
fn near(parts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => proptest::sample::select(parts).prop_map(|part| part.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn header() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = proptest::sample::select(
        &[
            "accept",
            "x-api-version",
            "content-type",
            "x-gatehouse-api-version",
            "x_gatehouse_api_version",
            "x.gatehouse.grpc.service",
            "x-gatehouse-grpc-method",
            "x-gatehouse-grpc-methods",
            "x-other",
        ][..],
    );
    let value = prop_oneof![
        near(&[
            "a/b", ";", ",", "version=", "v", "2", "\"", "\\", "q=0", " ", "=", "*"
        ]),
        near(&["application/grpc", "-web", "+proto", ";"]),
        near(&["0", "1", "2", "9", "v"]),
    ];
    (name.prop_map(|name| name.as_bytes().to_vec()), value)
}

fn head() -> impl Strategy<Value = RequestHead> {
    let path = near(&[
        "/", "v", "1", "2", "users", "%2f", "%76", "..", "a.B", "?", "0",
    ]);
    (
        proptest::option::of(path.prop_map(|path| [b"/", &path[..]].concat())),
        proptest::collection::vec(header(), 0..6),
    )
        .prop_map(|(path, mut headers)| {
            headers.push((b":method".to_vec(), b"POST".to_vec()));
            headers.extend(path.map(|path| (b":path".to_vec(), path)));
            RequestHead::new(HeaderMap::from_pairs(headers))
        })
}

/// The headers as they are after the host has done what it was told.
fn after(head: &RequestHead, writes: &[HeaderWrite<'_>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = head
        .headers()
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    for write in writes {
        match write {
            HeaderWrite::Remove(name) => headers.retain(|(is, _)| is != name),
            HeaderWrite::Replace(name, value) => {
                headers.retain(|(is, _)| is != name);
                headers.push((name.to_vec(), value.to_vec()));
            }
            HeaderWrite::Add(name, value) => headers.push((name.to_vec(), value.to_vec())),
        }
    }
    headers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    // Whatever a client sends, the upstream finds under our names what the filter found out, once, or nothing.
    #[test]
    fn the_upstream_sees_only_what_the_filter_wrote(head in head()) {
        if let Step::Forward(forward) = policy().decide(&head, &Facts::default()) {
            let headers = after(&head, &forward.edits.writes(head.headers()));
            let states = ["gatehouse.api_version", "gatehouse.grpc_service", "gatehouse.grpc_method"];
            for (name, state) in WRITTEN.into_iter().zip(states) {
                let seen: Vec<_> = headers
                    .iter()
                    .filter(|(is, _)| same_spelling(is, name.as_bytes()))
                    .map(|(is, value)| (is.as_slice(), value.as_slice()))
                    .collect();
                let said: Vec<_> = forward
                    .state
                    .iter()
                    .filter(|(is, _)| *is == state)
                    .map(|(_, value)| (name.as_bytes(), value.as_bytes()))
                    .collect();
                prop_assert_eq!(seen, said);
            }
        }
    }

    // All else is the client's and stays as it was.
    #[test]
    fn other_headers_are_left_alone(head in head()) {
        if let Step::Forward(forward) = policy().decide(&head, &Facts::default()) {
            let is_ours = |name: &[u8]| WRITTEN.iter().any(|ours| same_spelling(name, ours.as_bytes()));
            let left: Vec<_> = after(&head, &forward.edits.writes(head.headers()))
                .into_iter()
                .filter(|(name, _)| !is_ours(name))
                .collect();
            let sent: Vec<_> = head
                .headers()
                .iter()
                .filter(|(name, _)| !is_ours(name))
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect();
            prop_assert_eq!(left, sent);
        }
    }

    // A version that is written is one that is served, and what was refused says which are.
    #[test]
    fn only_served_versions_are_written(head in head()) {
        match policy().decide(&head, &Facts::default()) {
            Step::Forward(forward) => {
                let version = forward.state.iter().find(|(name, _)| *name == "gatehouse.api_version");
                let version = version.map(|(_, value)| value.as_bytes().to_vec());
                prop_assert!(matches!(version.as_deref(), Some(b"0" | b"1" | b"2" | b"9999")));
            }
            Step::Reply(problem, reason) => {
                prop_assert!((400..500).contains(&problem.status));
                prop_assert_eq!(problem.code_details, reason.code_details());
                prop_assert!(!problem.render(&head, Place::BehindBridges).body.is_empty());
            }
        }
    }

    // Bytes that are no configuration are refused, never a panic of the VM that reads them.
    #[test]
    fn any_bytes_are_a_configuration_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Policy::from_bytes(&bytes);
    }
}

// Sources read what a model that knows nothing of bytes says that they name.
proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accept_names_what_its_ranges_name(
        ranges in proptest::collection::vec(
            (
                proptest::option::of(0u16..4),           // version
                any::<bool>(),                           // quoted
                proptest::option::of(0u16..3),           // q, in halves
                proptest::option::of("[ -~]{0,6}"),      // another parameter, quoted
                "[ \t]{0,2}",                            // white space
            ),
            0..4,
        )
    ) {
        let mut text = Vec::new();
        let mut named = Vec::new();
        for (version, quoted, weight, note, space) in &ranges {
            let mut range = format!("a/b{space}");
            if let Some(note) = note {
                let escaped = note.replace('\\', "\\\\").replace('"', "\\\"");
                range.push_str(&format!(";{space}note=\"{escaped}\"{space}"));
            }
            if let Some(version) = version {
                let quote = if *quoted { "\"" } else { "" };
                range.push_str(&format!(";{space}Version={quote}{version}{quote}"));
            }
            if let Some(weight) = weight {
                range.push_str(["; q=0.0", "; q=0.5", ";Q=1"][usize::from(*weight)]);
            }
            if *weight != Some(0) {
                named.extend(*version);
            }
            text.push(range);
        }
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":path", "/users".to_owned()),
            ("accept", text.join(",")),
        ]));
        named.sort_unstable();
        named.dedup();
        let code = match policy().decide(&head, &Facts::default()) {
            Step::Forward(forward) => String::from_utf8_lossy(forward.state[0].1.as_bytes()).into_owned(),
            Step::Reply(_, reason) => reason.code_details().to_owned(),
        };
        let expected = match named.as_slice() {
            [] => "1",
            [0] => "0",
            [1] => "1",
            [2] => "2",
            [_] => "gatehouse_routing_unknown_version_in_accept",
            _ => "gatehouse_routing_conflicting_accept",
        };
        prop_assert_eq!(code, expected, "{}", text.join(","));
    }
}
