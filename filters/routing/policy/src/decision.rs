//! What is done with a request.

use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderValue, PathError, Problem, RequestHead,
};
use identity::Identity;
use request_match::Mode;

use crate::call::{Call, Spoken};
use crate::config::Policy;
use crate::counters::Counter;
use crate::reason::Reason;
use crate::version::Selection;

/// What the adapter does next.
#[derive(Debug)]
pub enum Step {
    /// Hand the request on, changed like this.
    Forward(Forward),
    /// Answer it here. The client gets the problem; the reason is for counters and the log.
    Reply(Problem, Reason),
}

/// A request that goes on.
#[derive(Debug)]
pub struct Forward {
    /// What to do to its headers.
    pub edits: HeaderEdits,
    /// What to write to filter state: names without the `wasm.` that the host puts in front, and values.
    pub state: Vec<(&'static str, HeaderValue)>,
    /// What to count.
    pub counters: Vec<Counter>,
    /// Why it would have been refused, were the mode `enforce`.
    pub shadowed: Option<Reason>,
}

/// What the transcoder writes for those who read the request behind it.
const ORIGINAL_PATH: &str = "x-envoy-original-path";

/// Filter state that carries the version.
pub const STATE_API_VERSION: &str = "gatehouse.api_version";
/// Filter state that carries the full name of the gRPC service.
pub const STATE_GRPC_SERVICE: &str = "gatehouse.grpc_service";
/// Filter state that carries the name of the gRPC method.
pub const STATE_GRPC_METHOD: &str = "gatehouse.grpc_method";

/// Filter state that carries the package of the gRPC service.
pub const STATE_GRPC_PACKAGE: &str = "gatehouse.grpc_package";
/// Filter state that carries the protocol of the client.
pub const STATE_PROTOCOL: &str = "gatehouse.protocol";

/// What is known of a request besides its head. What [`Policy::needs`] does not name may be left out.
#[derive(Debug, Default)]
pub struct Facts {
    /// The record of the caller, as filter state has it.
    pub identity: Option<Vec<u8>>,
}

/// What was found out about a request. Nothing, where a doubt remains.
struct Findings<'a> {
    selection: Option<Selection>,
    call: Call<'a>,
    spoken: Option<Spoken>,
    doubt: Option<Reason>,
}

impl Policy {
    /// Decides one request. Pure: the same head, the same step.
    pub fn decide(&self, head: &RequestHead, facts: &Facts) -> Step {
        let mut forward = self.without_claims(head);
        if self.mode == Mode::Off {
            return Step::Forward(forward);
        }
        let findings = self.findings(head, facts);
        match findings.doubt {
            Some(reason) if self.mode == Mode::Enforce => {
                return Step::Reply(self.problem(reason), reason);
            }
            doubt => forward.shadowed = doubt,
        }
        self.label(head, &findings, &mut forward);
        Step::Forward(forward)
    }

    /// The edits that a request's headers need, and its trailers, in every mode: what only this filter may write is taken out.
    /// Some upstreams take trailers for headers.
    pub fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for name in self.headers.patterns.matching(headers) {
            edits.remove(name);
        }
        edits
    }

    fn without_claims(&self, head: &RequestHead) -> Forward {
        Forward {
            edits: self.without_copies(head.headers()),
            state: Vec::new(),
            counters: Vec::new(),
            shadowed: None,
        }
    }

    fn findings<'a>(&self, head: &'a RequestHead, facts: &Facts) -> Findings<'a> {
        let (path, mut doubt) = match head.path() {
            Ok(path) => (Some(path), None),
            // CONNECT has none: no version in it, and no method.
            Err(PathError::Missing) => (None, None),
            Err(_) => (None, Some(Reason::AmbiguousPath)),
        };
        let selection = self.versions.as_ref().map(|versions| {
            versions.select(head, path).unwrap_or_else(|reason| {
                doubt = doubt.or(Some(reason));
                Selection::Default(versions.default_version())
            })
        });
        let spoken = self.headers.protocol.as_ref().map(|_| {
            let identity = Identity::read(facts.identity.as_deref()).unwrap_or_else(|_| {
                doubt = doubt.or(Some(Reason::MalformedIdentity));
                Identity::anonymous()
            });
            Spoken::of(head, &identity)
        });
        Findings {
            selection,
            call: Call::of(head, path),
            spoken,
            doubt,
        }
    }

    fn label(&self, head: &RequestHead, findings: &Findings<'_>, forward: &mut Forward) {
        if findings.doubt.is_some() {
            forward.counters.push(Counter::ShadowRefused);
        }
        if let Some(selection) = findings.selection {
            forward.counters.push(match selection {
                Selection::Named(_) => Counter::Versioned,
                Selection::Default(_) => Counter::Defaulted,
            });
            let version = selection.version().to_string();
            forward.write(&self.headers.api_version, STATE_API_VERSION, &version);
        }
        match &findings.call {
            Call::NotGrpc => {}
            Call::Unnamed => forward.counters.push(Counter::GrpcUnnamed),
            Call::Method(call) => {
                forward.counters.push(Counter::Grpc);
                forward.write(&self.headers.grpc_service, STATE_GRPC_SERVICE, call.service);
                forward.write(&self.headers.grpc_method, STATE_GRPC_METHOD, call.method);
                if let Some(header) = &self.headers.grpc_package
                    && !call.package().is_empty()
                {
                    forward.write(header, STATE_GRPC_PACKAGE, call.package());
                }
            }
        }
        if let (Some(header), Some(spoken)) = (&self.headers.protocol, findings.spoken) {
            forward.write(header, STATE_PROTOCOL, spoken.name());
            // Behind the transcoder, which alone writes it, it would pass for the path of a REST request.
            if spoken != Spoken::Transcoded
                && head.headers().get_all(ORIGINAL_PATH).next().is_some()
            {
                forward.edits.remove(ORIGINAL_PATH.as_bytes());
            }
        }
    }

    fn problem(&self, reason: Reason) -> Problem {
        let supported = match reason.counter() {
            Counter::UnknownVersion => self.supported.clone(),
            _ => None,
        };
        reason.problem(supported.into_iter().collect())
    }
}

impl Forward {
    /// The same value as header and as filter state, so that a route, a log line and the upstream cannot disagree.
    fn write(&mut self, header: &HeaderName, state: &'static str, value: &str) {
        // Digits, or the letters of a service: they fit in a header value, as a path that is longer is refused.
        if let Ok(value) = HeaderValue::try_from(value) {
            self.edits.set(header.clone(), value.clone());
            self.state.push((state, value));
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const CONFIG: &str = r#"{
        "version": 1,
        "api_version": {
            "supported": ["1", "2"],
            "default": "1",
            "sources": [{ "path_prefix": true }, { "header": "x-api-version" }, { "accept_parameter": "version" }]
        }
    }"#;

    fn policy(mode: &str) -> Policy {
        let config = CONFIG.replacen('{', &format!(r#"{{"mode":"{mode}","#), 1);
        Policy::from_bytes(config.as_bytes()).unwrap()
    }

    fn head(path: &str, headers: &[(&str, &str)]) -> RequestHead {
        let pseudo = [(":method", "GET"), (":path", path)];
        RequestHead::new(HeaderMap::from_pairs(
            pseudo.into_iter().chain(headers.iter().copied()),
        ))
    }

    fn forward(policy: &Policy, head: &RequestHead) -> Forward {
        match policy.decide(head, &Facts::default()) {
            Step::Forward(forward) => forward,
            Step::Reply(_, reason) => panic!("refused: {reason:?}"),
        }
    }

    fn refusal(path: &str, headers: &[(&str, &str)]) -> (Problem, Reason) {
        match policy("enforce").decide(&head(path, headers), &Facts::default()) {
            Step::Reply(problem, reason) => (problem, reason),
            Step::Forward(forward) => panic!("forwarded: {forward:?}"),
        }
    }

    fn state(forward: &Forward) -> Vec<(&str, &str)> {
        let text = |value| std::str::from_utf8(value).unwrap();
        forward
            .state
            .iter()
            .map(|(name, value)| (*name, text(value.as_bytes())))
            .collect()
    }

    #[test]
    fn each_source_names_a_version_and_the_first_that_does_wins() {
        for (path, headers, version, counter) in [
            ("/users", &[][..], "1", Counter::Defaulted),
            ("/v2/users", &[], "2", Counter::Versioned),
            ("/v2", &[], "2", Counter::Versioned),
            // The router may see the raw path, the upstream the decoded one; the version is that of both.
            ("/%76%32/users", &[], "2", Counter::Versioned),
            (
                "/users",
                &[("x-api-version", " v2 ")],
                "2",
                Counter::Versioned,
            ),
            (
                "/users",
                &[("accept", "a/b;version=2")],
                "2",
                Counter::Versioned,
            ),
            (
                "/v2/users",
                &[("x-api-version", "9")],
                "2",
                Counter::Versioned,
            ),
            (
                "/users",
                &[("x-api-version", "2"), ("accept", "a/b;version=1")],
                "2",
                Counter::Versioned,
            ),
            // Not meant as versions.
            ("/vault", &[], "1", Counter::Defaulted),
            ("/v", &[], "1", Counter::Defaulted),
            ("/V9/users", &[], "1", Counter::Defaulted),
            ("/v9beta1/users", &[], "1", Counter::Defaulted),
            ("/v20250101/users", &[], "1", Counter::Defaulted),
            ("/users/v9", &[], "1", Counter::Defaulted),
        ] {
            let forward = forward(&policy("enforce"), &head(path, headers));
            assert_eq!(
                state(&forward),
                [(STATE_API_VERSION, version)],
                "{path} {headers:?}"
            );
            assert_eq!(forward.counters, [counter], "{path} {headers:?}");
            assert_eq!(forward.shadowed, None);
        }
    }

    #[test]
    fn what_names_no_version_that_is_served_is_refused() {
        for (path, headers, reason) in [
            ("/v9/users", &[][..], Reason::UnknownVersionInPath),
            ("/v02/users", &[], Reason::UnknownVersionInPath),
            (
                "/users",
                &[("x-api-version", "9")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "02")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "+2")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "V2")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "vv2")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("x-api-version", "65538")],
                Reason::UnknownVersionInHeader,
            ),
            (
                "/users",
                &[("accept", "a/b;version=9")],
                Reason::UnknownVersionInAccept,
            ),
            (
                "/users",
                &[("x-api-version", "2,2")],
                Reason::RepeatedVersionHeader,
            ),
            (
                "/users",
                &[("x-api-version", "2"), ("x-api-version", "2")],
                Reason::RepeatedVersionHeader,
            ),
            (
                "/users",
                &[("accept", "a/b;version=1,c/d;version=2")],
                Reason::ConflictingAccept,
            ),
            (
                "/users",
                &[("accept", "a/b;version=\"1")],
                Reason::MalformedAccept,
            ),
            (
                "/users//x",
                &[("x-api-version", "9")],
                Reason::AmbiguousPath,
            ),
            ("*", &[], Reason::AmbiguousPath),
        ] {
            let (problem, found) = refusal(path, headers);
            assert_eq!(found, reason, "{path} {headers:?}");
            assert_eq!(problem.status, reason.status());
        }
    }

    // A client that is told what is served can repair its request by itself.
    #[test]
    fn a_refusal_of_an_unknown_version_lists_the_known_ones() {
        let (problem, _) = refusal("/v9/users", &[]);
        let [(name, value)] = problem.headers.as_slice() else {
            panic!("{:?}", problem.headers)
        };
        assert_eq!(name.as_str(), "x-gatehouse-supported-versions");
        assert_eq!(value.as_bytes(), b"1, 2");
        assert!(refusal("/users//x", &[]).0.headers.is_empty());
    }

    #[test]
    fn a_grpc_call_is_labelled_with_service_and_method() {
        let grpc = [("content-type", "application/grpc")];
        let labelled = forward(&policy("enforce"), &head("/inventory.v1.Stock/Get", &grpc));
        assert_eq!(
            state(&labelled),
            [
                (STATE_API_VERSION, "1"),
                (STATE_GRPC_SERVICE, "inventory.v1.Stock"),
                (STATE_GRPC_METHOD, "Get")
            ]
        );
        assert_eq!(labelled.counters, [Counter::Defaulted, Counter::Grpc]);
        for path in ["/a", "/a/b/c", "/", "/a-b/c"] {
            let unnamed = forward(&policy("enforce"), &head(path, &grpc));
            assert_eq!(state(&unnamed), [(STATE_API_VERSION, "1")], "{path}");
            assert_eq!(
                unnamed.counters,
                [Counter::Defaulted, Counter::GrpcUnnamed],
                "{path}"
            );
        }
        let rest = forward(&policy("enforce"), &head("/inventory.v1.Stock/Get", &[]));
        assert_eq!(rest.counters, [Counter::Defaulted]);
    }

    // Envoy's ext_authz once crashed on a CONNECT without a path.
    #[test]
    fn a_request_without_pseudo_headers_gets_the_default() {
        for headers in [
            &[(":method", "CONNECT"), (":authority", "db.test:5432")][..],
            &[("content-type", "application/grpc")],
        ] {
            let head = RequestHead::new(HeaderMap::from_pairs(headers.iter().copied()));
            let forward = forward(&policy("enforce"), &head);
            assert_eq!(state(&forward), [(STATE_API_VERSION, "1")], "{headers:?}");
        }
    }

    #[test]
    fn a_clients_own_copies_are_removed_in_every_mode() {
        let spoofed = head(
            "/users",
            &[
                ("x_gatehouse_api_version", "2"),
                ("x-gatehouse-grpc-service", "a"),
                ("x.gatehouse.grpc-method", "b"),
                ("x-gatehouse", "mine"),
            ],
        );
        for mode in ["enforce", "shadow", "off"] {
            let forward = forward(&policy(mode), &spoofed);
            let removed: Vec<_> = forward
                .edits
                .iter()
                .filter(|edit| matches!(edit, http_message::HeaderEdit::Remove { .. }))
                .map(|edit| edit.name().to_vec())
                .collect();
            assert_eq!(
                removed,
                [
                    &b"x_gatehouse_api_version"[..],
                    b"x-gatehouse-grpc-service",
                    b"x.gatehouse.grpc-method"
                ],
                "{mode}"
            );
        }
    }

    #[test]
    fn shadow_counts_what_it_would_refuse_and_forwards_the_default() {
        for (path, reason) in [
            ("/v9/users", Reason::UnknownVersionInPath),
            ("/users//x", Reason::AmbiguousPath),
        ] {
            let forward = forward(&policy("shadow"), &head(path, &[]));
            assert_eq!(forward.shadowed, Some(reason));
            assert_eq!(state(&forward), [(STATE_API_VERSION, "1")]);
            assert_eq!(
                forward.counters,
                [Counter::ShadowRefused, Counter::Defaulted]
            );
        }
        let fine = forward(&policy("shadow"), &head("/v2/users", &[]));
        assert_eq!(fine.counters, [Counter::Versioned]);
    }

    #[test]
    fn off_writes_and_refuses_nothing() {
        let forward = forward(&policy("off"), &head("/v9//users", &[]));
        assert!(
            forward.edits.is_empty() && forward.state.is_empty() && forward.counters.is_empty()
        );
    }

    #[test]
    fn without_api_version_only_grpc_is_labelled() {
        let policy = Policy::from_bytes(br#"{"version":1}"#).unwrap();
        let grpc = [("content-type", "application/grpc"), ("x-api-version", "9")];
        let forward = forward(&policy, &head("/a.B/C", &grpc));
        assert_eq!(
            state(&forward),
            [(STATE_GRPC_SERVICE, "a.B"), (STATE_GRPC_METHOD, "C")]
        );
        assert_eq!(forward.counters, [Counter::Grpc]);
    }

    // What a client spoke is not what reaches this filter, and a client can forge the traces of a bridge.
    #[test]
    fn package_and_protocol_are_written_where_they_are_asked_for() {
        let policy = Policy::from_bytes(
            br#"{"version":1,"headers":{"grpc_package":"x-package","protocol":"x-protocol"}}"#,
        )
        .unwrap();
        assert!(policy.needs().identity);
        let record = |protocol| {
            let mut identity = Identity::anonymous();
            identity.original.path = b"/a".to_vec();
            identity.original.protocol = protocol;
            Facts {
                identity: Some(identity.encode()),
            }
        };
        let call = head(
            "/inventory.v1.Stock/Get",
            &[
                ("content-type", "application/grpc"),
                ("x-envoy-original-path", "/stock/7"),
                ("x-protocol", "rest"),
                ("x_package", "admin"),
            ],
        );
        let decide = |head: &RequestHead, facts: &Facts| match policy.decide(head, facts) {
            Step::Forward(forward) => forward,
            Step::Reply(_, reason) => panic!("refused: {reason:?}"),
        };
        let original = |forward: &Forward| {
            forward
                .edits
                .iter()
                .any(|edit| edit.name() == ORIGINAL_PATH.as_bytes())
        };
        let native = decide(&call, &record(identity::RecordedProtocol::Grpc));
        assert!(state(&native).contains(&(STATE_GRPC_PACKAGE, "inventory.v1")));
        assert!(state(&native).contains(&(STATE_PROTOCOL, "grpc")));
        assert!(original(&native), "a forged trace goes");
        let transcoded = decide(&call, &record(identity::RecordedProtocol::Http));
        assert!(state(&transcoded).contains(&(STATE_PROTOCOL, "transcoded")));
        assert!(!original(&transcoded), "the transcoder's own trace stays");
        let rest = decide(&head("/a", &[]), &Facts::default());
        assert_eq!(state(&rest), [(STATE_PROTOCOL, "rest")]);
        let bare = decide(
            &head("/Stock/Get", &[("content-type", "application/grpc")]),
            &Facts::default(),
        );
        assert!(
            !state(&bare)
                .iter()
                .any(|(name, _)| *name == STATE_GRPC_PACKAGE)
        );
        let malformed = Facts {
            identity: Some(b"no record".to_vec()),
        };
        assert!(matches!(
            policy.decide(&call, &malformed),
            Step::Reply(_, Reason::MalformedIdentity)
        ));
    }
}
