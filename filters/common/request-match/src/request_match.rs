//! A compiled match.

use filter_config::{ConfigError, FieldPath, Text};

use crate::caller::CallerTest;
use crate::config::MatchConfig;
use crate::grpc::GrpcPattern;
use crate::header::HeaderTest;
use crate::host::HostPattern;
use crate::method::check_method;
use crate::path::PathPattern;
use crate::placement::Placement;
use crate::query::QueryTest;
use crate::subject::Subject;
use crate::template::PathParameter;

/// The conditions of a rule, all of which must hold. The default has none and matches every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMatch {
    methods: Vec<Text<32>>,
    path: Option<PathPattern>,
    hosts: Vec<HostPattern>,
    route: Option<Text<256>>,
    grpc: Option<GrpcPattern>,
    headers: Vec<HeaderTest>,
    query: Vec<QueryTest>,
    identity: Option<CallerTest>,
    /// Whether there is a condition on anything but the method and the path.
    looks_further: bool,
}

impl RequestMatch {
    /// Checks the match that stands at `at`.
    ///
    /// # Errors
    /// The first condition that can never hold or is not a condition, with its path and, where it helps, the fix.
    pub fn compile(
        config: MatchConfig,
        at: &FieldPath,
        placement: Placement,
    ) -> Result<RequestMatch, ConfigError> {
        let Some(conditions) = config.0 else {
            return Ok(RequestMatch::default());
        };
        let mut compiled = RequestMatch {
            route: conditions.route,
            ..RequestMatch::default()
        };
        let hosts_at = at.field("hosts");
        for (index, host) in conditions.hosts.iter().flatten().enumerate() {
            compiled
                .hosts
                .push(HostPattern::compile(host.as_str(), &hosts_at.index(index))?);
        }
        if let Some(path) = conditions.path {
            compiled.path = Some(PathPattern::compile(path, &at.field("path"))?);
        }
        let methods_at = at.field("methods");
        for (index, method) in conditions.methods.into_iter().flatten().enumerate() {
            check_method(method.as_str(), &methods_at.index(index))?;
            compiled.methods.push(method);
        }
        let headers_at = at.field("headers");
        for (index, header) in conditions.headers.into_iter().flatten().enumerate() {
            compiled
                .headers
                .push(HeaderTest::compile(header, &headers_at.index(index))?);
        }
        let query_at = at.field("query");
        for (index, query) in conditions.query.into_iter().flatten().enumerate() {
            compiled
                .query
                .push(QueryTest::compile(query, &query_at.index(index))?);
        }
        if let Some(grpc) = conditions.grpc {
            compiled.grpc = Some(GrpcPattern::compile(grpc, &at.field("grpc"))?);
        }
        if let Some(identity) = conditions.identity {
            compiled.identity = Some(CallerTest::compile(
                identity,
                &at.field("identity"),
                placement,
            )?);
        }
        if compiled == RequestMatch::default() {
            return Err(ConfigError::new(
                at,
                "name at least one condition, or leave match out",
            ));
        }
        compiled.looks_further = !compiled.hosts.is_empty()
            || compiled.route.is_some()
            || compiled.grpc.is_some()
            || !compiled.headers.is_empty()
            || !compiled.query.is_empty()
            || compiled.identity.is_some();
        Ok(compiled)
    }

    /// Whether every condition holds.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let head = subject.head();
        (self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|method| method.as_str().as_bytes() == head.method()))
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.matches(subject.path()))
            && (!self.looks_further || self.others_hold(subject))
    }

    /// Whether the conditions hold that few rules have.
    #[inline(never)]
    fn others_hold(&self, subject: &Subject<'_>) -> bool {
        let head = subject.head();
        (self.hosts.is_empty()
            || subject
                .host()
                .is_some_and(|host| self.hosts.iter().any(|pattern| pattern.matches(host))))
            && self
                .route
                .as_ref()
                .is_none_or(|route| subject.route() == Some(route.as_str().as_bytes()))
            && self.headers.iter().all(|test| test.matches(head.headers()))
            && self.query.iter().all(|test| test.matches(head.query()))
            && self.grpc.as_ref().is_none_or(|grpc| {
                subject
                    .possible_call()
                    .is_some_and(|call| grpc.matches(&call))
            })
            && self.identity.as_ref().is_none_or(|test| {
                subject
                    .identity()
                    .is_some_and(|caller| test.matches(caller))
            })
    }

    /// The variable of this name in the path's template; `None` if there is none, or more than one.
    pub fn path_parameter(&self, name: &str) -> Option<PathParameter> {
        self.path.as_ref()?.parameter(name)
    }

    /// Whether a condition looks at the route, so that the filter has to ask the host for it.
    pub fn needs_route(&self) -> bool {
        self.route.is_some()
    }

    /// What of the identity the conditions look at: `groups`, `plans`, `scopes`, as the configuration names them.
    pub fn identity_fields(&self) -> impl Iterator<Item = &'static str> {
        self.identity.iter().flat_map(CallerTest::fields)
    }

    /// Whether a condition looks at the identity, so that the filter has to ask the host for it.
    pub fn needs_identity(&self) -> bool {
        self.identity.is_some()
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use http_message::{CanonicalPath, HeaderMap, RequestHead};
    use identity::Identity;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::twin::TwinTable;

    fn compile_at(config: Value, placement: Placement) -> Result<RequestMatch, String> {
        let root = FieldPath::root().field("rules").index(1).field("match");
        from_value::<MatchConfig>(config)
            .and_then(|config| RequestMatch::compile(config, &root, placement))
            .map_err(|error| error.to_string())
    }

    fn compile(config: Value) -> RequestMatch {
        compile_at(config, Placement { identity: true }).unwrap()
    }

    fn head(method: &str, path: &str, more: &[(&str, &str)]) -> RequestHead {
        let pseudo = [
            (":method", method),
            (":path", path),
            (":authority", "api.example.com:8443"),
        ];
        RequestHead::new(HeaderMap::from_pairs(pseudo.iter().chain(more).copied()))
    }

    fn twins() -> TwinTable {
        let configs = json!([
            {"method": "GET", "template": "/v1/stock/{id}", "service": "inventory.v1.Stock", "rpc": "Get"},
            {"method": "DELETE", "template": "/v1/stock/{id}", "service": "inventory.v1.Stock", "rpc": "Delete"},
        ]);
        TwinTable::compile(from_value(configs).unwrap(), &FieldPath::root()).unwrap()
    }

    fn matches(config: Value, head: &RequestHead) -> bool {
        compile(config).matches(&Subject::new(head, &twins()).unwrap())
    }

    #[test]
    fn an_absent_match_is_for_every_request() {
        let all = RequestMatch::compile(
            MatchConfig::default(),
            &FieldPath::root(),
            Placement { identity: false },
        );
        let all = all.unwrap();
        for head in [head("GET", "/", &[]), head("BREW", "/x", &[("x-a", "b")])] {
            assert!(all.matches(&Subject::new(&head, &TwinTable::default()).unwrap()));
        }
        assert!(!all.needs_route());
    }

    #[test]
    fn all_conditions_must_hold() {
        let config = json!({
            "route": "orders",
            "hosts": ["api.example.com", "*.example.org"],
            "path": {"prefix": "/orders"},
            "methods": ["GET", "POST"],
            "headers": [{"name": "x-a", "exact": "b"}, {"name": "x-b", "present": false}],
            "query": [{"name": "debug", "exact": "1"}],
            "identity": {"groups": ["staff"]},
        });
        let matcher = compile(config);
        assert!(matcher.needs_route());
        let identity = Identity {
            groups: vec!["staff".to_owned()],
            ..Identity::anonymous()
        };
        let check = |head: &RequestHead, route: Option<&[u8]>, identity: &Identity| {
            let twins = TwinTable::default();
            let subject = Subject::new(head, &twins)
                .unwrap()
                .with_route(route)
                .with_identity(identity);
            matcher.matches(&subject)
        };
        let target = "/orders/7?debug=1";
        let orders = Some(&b"orders"[..]);
        let good = head("GET", target, &[("x-a", "b")]);
        assert!(check(&good, orders, &identity));
        // Each condition by itself turns it down.
        assert!(!check(&good, None, &identity));
        assert!(!check(&good, Some(b"users"), &identity));
        assert!(!check(&good, orders, &Identity::anonymous()));
        assert!(!check(
            &head("PUT", target, &[("x-a", "b")]),
            orders,
            &identity
        ));
        assert!(!check(
            &head("GET", "/users?debug=1", &[("x-a", "b")]),
            orders,
            &identity
        ));
        assert!(!check(
            &head("GET", "/orders/7", &[("x-a", "b")]),
            orders,
            &identity
        ));
        assert!(!check(&head("GET", target, &[]), orders, &identity));
        assert!(!check(
            &head("GET", target, &[("x-a", "b"), ("x-b", "")]),
            orders,
            &identity
        ));
        let elsewhere = RequestHead::new(HeaderMap::from_pairs([
            (":method", "GET"),
            (":path", target),
            (":authority", "api.example.net"),
            ("x-a", "b"),
        ]));
        assert!(!check(&elsewhere, orders, &identity));
    }

    // Methods and paths are looked at first, the others only where there are any: one that counted as none would let everything
    // match the rule that has it alone.
    #[test]
    fn each_condition_holds_alone() {
        let pairs = [(":method", "PUT"), (":path", "/x"), (":authority", "a")];
        let other = RequestHead::new(HeaderMap::from_pairs(pairs));
        let path = "/orders/7?debug=1";
        let meets = head(
            "GET",
            path,
            &[("x-a", "b"), ("content-type", "application/grpc")],
        );
        let call = head("GET", "/p.S/M", &[("content-type", "application/grpc")]);
        let twins = TwinTable::default();
        let identity = Identity {
            groups: vec!["staff".to_owned()],
            ..Identity::anonymous()
        };
        for (config, meets) in [
            (json!({"methods": ["GET"]}), &meets),
            (json!({"path": {"prefix": "/orders"}}), &meets),
            (json!({"hosts": ["api.example.com"]}), &meets),
            (json!({"route": "orders"}), &meets),
            (json!({"grpc": {"service": "p.S"}}), &call),
            (json!({"headers": [{"name": "x-a", "exact": "b"}]}), &meets),
            (json!({"query": [{"name": "debug", "exact": "1"}]}), &meets),
            (json!({"identity": {"groups": ["staff"]}}), &meets),
        ] {
            let matcher = compile(config.clone());
            let subject = Subject::new(meets, &twins).unwrap();
            let subject = subject.with_route(Some(b"orders")).with_identity(&identity);
            assert!(matcher.matches(&subject), "{config}");
            let subject = Subject::new(&other, &twins).unwrap();
            assert!(!matcher.matches(&subject), "{config}");
        }
    }

    #[test]
    fn methods_are_compared_as_they_are() {
        // "get" is another method to an upstream, and HEAD is not implied by GET.
        let get = json!({"methods": ["GET"]});
        assert!(matches(get.clone(), &head("GET", "/", &[])));
        for method in ["get", "HEAD", "GETS", "GE", ""] {
            assert!(!matches(get.clone(), &head(method, "/", &[])), "{method}");
        }
        assert!(matches(
            json!({"methods": ["M-SEARCH", "purge"]}),
            &head("purge", "/", &[])
        ));
    }

    #[test]
    fn without_an_identity_no_condition_on_it_holds() {
        assert!(!matches(
            json!({"identity": {"scopes": ["a"]}}),
            &head("GET", "/", &[])
        ));
    }

    #[test]
    fn grpc_rules_hold_for_whatever_becomes_the_call() {
        let get = json!({"grpc": {"service": "inventory.v1.Stock", "method": "Get"}});
        for (head, what) in [
            (
                head(
                    "POST",
                    "/inventory.v1.Stock/Get",
                    &[("content-type", "application/grpc")],
                ),
                "gRPC",
            ),
            (
                head(
                    "POST",
                    "/inventory.v1.Stock/Get",
                    &[("content-type", "application/grpc-web")],
                ),
                "gRPC-Web",
            ),
            (
                head(
                    "POST",
                    "/inventory.v1.Stock/Get",
                    &[("connect-protocol-version", "1")],
                ),
                "Connect",
            ),
            (
                head("GET", "/inventory.v1.Stock/Get?connect=v1&message=x", &[]),
                "Connect by GET",
            ),
            // A Connect server takes it without the header, the transcoder with auto_mapping.
            (
                head(
                    "POST",
                    "/inventory.v1.Stock/Get",
                    &[("content-type", "application/json")],
                ),
                "JSON",
            ),
            (
                head(
                    "POST",
                    "/inventory.v1.Stock/%47et",
                    &[("content-type", "application/grpc")],
                ),
                "encoded",
            ),
            // To a transcoder with auto_mapping the final slash is nothing.
            (
                head("POST", "/inventory.v1.Stock/Get/", &[]),
                "a final slash",
            ),
            (head("GET", "/v1/stock/7", &[]), "the twin"),
            (
                head(
                    "GET",
                    "/v1/stock/7",
                    &[("content-type", "application/grpc")],
                ),
                "the twin, called gRPC",
            ),
            (
                head("GET", "/v1/stock/7/", &[]),
                "the twin with a final slash",
            ),
            (head("GET", "/v1/st%6Fck/7?x", &[]), "the twin, encoded"),
        ] {
            assert!(matches(get.clone(), &head), "{what}");
        }
        for (head, what) in [
            (
                head(
                    "POST",
                    "/inventory.v1.Stock/Delete",
                    &[("content-type", "application/grpc")],
                ),
                "another method",
            ),
            (
                head(
                    "POST",
                    "/inventory.v1.stock/Get",
                    &[("content-type", "application/grpc")],
                ),
                "another service",
            ),
            (
                head("POST", "/inventory.v1.Stock/Get/x", &[]),
                "not a method",
            ),
            (
                head("DELETE", "/v1/stock/7", &[]),
                "the twin of another method",
            ),
            (head("GET", "/v1/stock", &[]), "no twin"),
        ] {
            assert!(!matches(get.clone(), &head), "{what}");
        }
    }

    #[test]
    fn a_service_alone_means_all_of_its_methods() {
        let stock = json!({"grpc": {"service": "inventory.v1.Stock"}});
        assert!(matches(
            stock.clone(),
            &head("POST", "/inventory.v1.Stock/Any", &[])
        ));
        assert!(matches(stock.clone(), &head("DELETE", "/v1/stock/7", &[])));
        assert!(!matches(
            stock.clone(),
            &head("POST", "/inventory.v1.Stocks/Any", &[])
        ));
        assert!(!matches(stock, &head("POST", "/v1.Stock/Any", &[])));
    }

    #[test]
    fn faults_are_told_with_their_place_and_fix() {
        for (config, error) in [
            (
                json!({}),
                "rules[1].match: name at least one condition, or leave match out",
            ),
            (
                json!({"path": {"prefix": "orders"}}),
                "rules[1].match.path.prefix: must start with \"/\"",
            ),
            (
                json!({"path": {}}),
                "rules[1].match.path: expected exactly one of exact, prefix, template",
            ),
            (
                json!({"methods": ["GET", "post"]}),
                "rules[1].match.methods[1]: methods are case-sensitive, did you mean POST?",
            ),
            (
                json!({"methods": ["GET POST"]}),
                "rules[1].match.methods[0]: not a method, expected a token such as GET",
            ),
            (
                json!({"hosts": ["a", "*"]}),
                "rules[1].match.hosts[1]: \"*\" is every host: leave hosts out",
            ),
            (
                json!({"headers": [{"name": "x-a"}]}),
                "rules[1].match.headers[0]: expected exactly one of exact, prefix, suffix, contains, present",
            ),
            (
                json!({"query": [{"name": "a", "present": true}, {"name": "b"}]}),
                "rules[1].match.query[1]: expected exactly one of exact, present",
            ),
            (
                json!({"grpc": {"service": "inventory.v1.Stock/Get"}}),
                "rules[1].match.grpc.service: expected the service's full name, as in inventory.v1.Stock",
            ),
            (
                json!({"grpc": {"service": "S", "method": "a.B"}}),
                "rules[1].match.grpc.method: expected the method's name alone, as in Get",
            ),
        ] {
            assert_eq!(
                compile_at(config.clone(), Placement { identity: true }),
                Err(error.to_owned()),
                "{config}"
            );
        }
        let misplaced = compile_at(
            json!({"identity": {"groups": ["staff"]}}),
            Placement { identity: false },
        );
        assert_eq!(
            misplaced,
            Err("rules[1].match.identity: identity is known only behind auth".to_owned())
        );
    }

    #[test]
    fn lists_are_neither_empty_nor_endless() {
        // An empty list would match nothing or everything, and nobody remembers which.
        for member in ["hosts", "methods", "headers", "query"] {
            let error = compile_at(json!({member: []}), Placement { identity: true }).unwrap_err();
            assert!(
                error.starts_with(member) && error.contains("found 0"),
                "{error}"
            );
        }
        let many: Vec<_> = (0..65).map(|n| format!("h{n}")).collect();
        assert!(compile_at(json!({"hosts": many}), Placement { identity: true }).is_err());
        for config in [
            json!({"route": ""}),
            json!({"route": null}),
            json!(null),
            json!([]),
            json!({"pathh": {"exact": "/"}}),
        ] {
            assert!(
                compile_at(config.clone(), Placement { identity: true }).is_err(),
                "{config}"
            );
        }
    }

    proptest! {
        // However a path is encoded, a rule sees the path that the upstream sees.
        #[test]
        fn encoding_does_not_get_past_a_rule(segments in proptest::collection::vec("[a-c]{1,2}", 1..4), encode in any::<u16>()) {
            let plain: String = segments.iter().map(|segment| format!("/{segment}")).collect();
            let encoded: String = plain.bytes().enumerate()
                .map(|(index, byte)| match byte {
                    b'/' => "/".to_owned(),
                    _ if encode >> (index % 16) & 1 == 1 => format!("%{byte:02X}"),
                    _ => char::from(byte).to_string(),
                })
                .collect();
            for config in [json!({"path": {"exact": plain}}), json!({"path": {"prefix": plain}}), json!({"path": {"template": plain}})] {
                prop_assert!(matches(config, &head("GET", &encoded, &[])));
            }
        }

        // What a client sends, matched or refused, is no panic, and a prefix of "/" holds for all that is not refused.
        #[test]
        fn any_head_is_decided(
            path in proptest::collection::vec(any::<u8>(), 0..24),
            authority in proptest::collection::vec(any::<u8>(), 0..12),
            method in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let pairs = [(&b":path"[..], path), (b":authority", authority), (b":method", method)];
            let head = RequestHead::new(HeaderMap::from_pairs(pairs));
            let twins = twins();
            if let Ok(subject) = Subject::new(&head, &twins) {
                let all = compile(json!({"path": {"prefix": "/"}}));
                prop_assert!(all.matches(&subject));
                let _ = compile(json!({"hosts": ["*.a"], "methods": ["GET"], "grpc": {"service": "a"}})).matches(&subject);
            } else {
                prop_assert!(
                    CanonicalPath::parse(head.raw_path()).is_err() || crate::host::host_of(head.authority()).is_none()
                );
            }
        }
    }
}
