//! What a match looks at.

use std::cell::OnceCell;

use http_message::{CanonicalPath, GrpcMethod, Protocol, RequestHead};
use identity::Identity;

use crate::ambiguity::Ambiguity;
use crate::host::host_of;
use crate::twin::TwinTable;

/// A request, and what is known about it at this place of the chain.
#[derive(Debug)]
pub struct Subject<'a> {
    head: &'a RequestHead,
    path: &'a CanonicalPath,
    host: Option<&'a [u8]>,
    /// The gRPC method that it is, where it has a twin; else the path alone tells.
    decided: Option<GrpcMethod<'a>>,
    /// Whether the path names a method. Few ask: found at the first question.
    names_method: OnceCell<bool>,
    /// Whether it is called by its twin, and not by its own path.
    by_twin: bool,
    route: Option<&'a [u8]>,
    identity: Option<&'a Identity>,
}

impl<'a> Subject<'a> {
    /// A request without a route and without an identity.
    ///
    /// # Errors
    /// The path has no canonical form, or it is not clear what the host or the gRPC method is: the request must be answered
    /// with 400, whatever the rules are. No authority at all is clear: no rule for a host is for such a request.
    pub fn new(head: &'a RequestHead, twins: &'a TwinTable) -> Result<Subject<'a>, Ambiguity> {
        let path = head.path()?;
        let authority = head.authority();
        let host = host_of(authority);
        if host.is_none() && !authority.is_empty() {
            return Err(Ambiguity::Host);
        }
        let twin = twins.call(head.method(), head.raw_path(), path)?;
        let (decided, by_twin) = match twin {
            None => (None, false),
            Some(twin) => {
                let (call, by_twin) = one_call(head, path, twin, twins)?;
                (Some(call), by_twin)
            }
        };
        Ok(Subject {
            head,
            path,
            host,
            decided,
            names_method: OnceCell::new(),
            by_twin,
            route: None,
            identity: None,
        })
    }

    /// With the name of the route, as a native filter last looked it up. It may not be the route that the request takes:
    /// any header that is edited later makes the host choose again.
    #[must_use]
    pub fn with_route(self, route: Option<&'a [u8]>) -> Subject<'a> {
        Subject { route, ..self }
    }

    /// With the identity that auth found. Without one no condition on the identity holds.
    #[must_use]
    pub fn with_identity(self, identity: &'a Identity) -> Subject<'a> {
        Subject {
            identity: Some(identity),
            ..self
        }
    }

    /// The canonical path.
    pub fn path(&self) -> &'a CanonicalPath {
        self.path
    }

    /// The head.
    pub fn head(&self) -> &'a RequestHead {
        self.head
    }

    /// The gRPC method that is called: by gRPC, gRPC-Web or Connect, or by a twin. A name for logs and labels;
    /// [`RequestMatch`](crate::RequestMatch) is stricter.
    pub fn call(&self) -> Option<GrpcMethod<'a>> {
        self.possible_call()
            .filter(|_| self.by_twin || self.head.protocol().has_methods())
    }

    /// The gRPC method that an upstream may take the request for. The path alone tells: a Connect server takes a plain
    /// POST, and so does the transcoder with `auto_mapping`; a client chooses its content type freely.
    pub fn possible_call(&self) -> Option<GrpcMethod<'a>> {
        if self.decided.is_some() {
            return self.decided;
        }
        let call = in_two(self.path)?;
        let is_method = || GrpcMethod::new(call.service, call.method).is_some();
        self.names_method.get_or_init(is_method).then_some(call)
    }

    /// The host without port and final dot, if the request names one.
    pub fn host(&self) -> Option<&'a [u8]> {
        self.host
    }

    pub(crate) fn route(&self) -> Option<&'a [u8]> {
        self.route
    }

    pub(crate) fn identity(&self) -> Option<&'a Identity> {
        self.identity
    }
}

/// The path as a service and a method, whatever their names. The transcoder, where it maps methods by their names (`auto_mapping`),
/// ignores a `/` at the end.
fn in_two(path: &CanonicalPath) -> Option<GrpcMethod<'_>> {
    let text = path.as_str().strip_prefix('/')?;
    let (service, method) = text.strip_suffix('/').unwrap_or(text).split_once('/')?;
    Some(GrpcMethod { service, method })
}

/// Which of the two it becomes, if the path names a method and is the REST form of another; and whether that is the twin.
#[inline(never)]
fn one_call<'a>(
    head: &RequestHead,
    path: &'a CanonicalPath,
    by_twin: GrpcMethod<'a>,
    twins: &TwinTable,
) -> Result<(GrpcMethod<'a>, bool), Ambiguity> {
    let named = in_two(path).and_then(|call| GrpcMethod::new(call.service, call.method));
    let Some(by_name) = named else {
        return Ok((by_twin, true));
    };
    if by_name == by_twin || is_grpc_to_envoy(head.content_type()) {
        return Ok((by_name, false));
    }
    let may_be_mapped = head.method() == b"POST" && twins.knows(by_name.service);
    if head.protocol() == Protocol::Http && !may_be_mapped {
        return Ok((by_twin, true));
    }
    // A bridge makes it gRPC, or the transcoder takes it as it is: it depends on what stands there.
    Err(Ambiguity::Call)
}

/// Whether Envoy's own filters take it for gRPC (`Grpc::Common::hasGrpcContentType`): the transcoder leaves it alone then.
fn is_grpc_to_envoy(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

#[cfg(test)]
mod tests {
    use filter_config::{FieldPath, from_value};
    use http_message::HeaderMap;
    use serde_json::json;

    use super::*;

    fn twins() -> TwinTable {
        let twins = json!([
            {"method": "GET", "template": "/v1/stock/{id}", "service": "inventory.v1.Stock", "rpc": "Get"},
            {"method": "GET", "template": "/v1/stock/{id}/{part}", "service": "inventory.v1.Stock", "rpc": "Part"},
        ]);
        TwinTable::compile(from_value(twins).unwrap(), &FieldPath::root()).unwrap()
    }

    fn call(pairs: &[(&str, &str)]) -> Option<(String, String)> {
        let head = RequestHead::new(HeaderMap::from_pairs(pairs.iter().copied()));
        let twins = twins();
        let subject = Subject::new(&head, &twins).unwrap();
        subject
            .call()
            .map(|call| (call.service.to_owned(), call.method.to_owned()))
    }

    #[test]
    fn a_call_is_named_by_its_path_or_its_twin() {
        let named = |method: &str| Some(("inventory.v1.Stock".to_owned(), method.to_owned()));
        assert_eq!(
            call(&[
                (":path", "/inventory.v1.Stock/Put"),
                ("content-type", "application/grpc")
            ]),
            named("Put")
        );
        assert_eq!(
            call(&[(":path", "/v1/stock/7"), (":method", "GET")]),
            named("Get")
        );
        // What follows the `?` is no part of the path that a twin is found by.
        assert_eq!(
            call(&[(":path", "/v1/stock/7?id=/8"), (":method", "GET")]),
            named("Get")
        );
        // A REST path of two segments is not called a method, although a grpc rule would hold for it.
        assert_eq!(call(&[(":path", "/users/seven"), (":method", "GET")]), None);
    }

    // Names that no method has are no call, however often it is asked.
    #[test]
    fn a_path_of_other_names_calls_nothing() {
        let twins = TwinTable::default();
        for (path, names) in [
            ("/users/7", false),
            ("/a..B/Get", false),
            ("/a.B/Get/x", false),
            ("/a.B", false),
            ("/a.B/Get", true),
            ("/a.B/Get/", true),
        ] {
            let head = RequestHead::new(HeaderMap::from_pairs([(":path", path)]));
            let subject = Subject::new(&head, &twins).unwrap();
            for _ in 0..2 {
                assert_eq!(subject.possible_call().is_some(), names, "{path}");
            }
        }
    }

    #[test]
    fn a_request_becomes_one_call_or_is_refused() {
        let twins = json!([
            {"method": "GET", "template": "/{kind}/{id}", "service": "inventory.v1.Stock", "rpc": "Find"},
            {"method": "POST", "template": "/{kind}/{id}", "service": "inventory.v1.Stock", "rpc": "Put"},
        ]);
        let twins = TwinTable::compile(from_value(twins).unwrap(), &FieldPath::root()).unwrap();
        for (method, path, content_type, expected) in [
            // As the transcoder takes them. With the name counting too, a lax rule for Health would open Find.
            ("GET", "/grpc.health.v1.Health/Check", "", Ok("Find")),
            (
                "GET",
                "/grpc.health.v1.Health/Check",
                "text/plain",
                Ok("Find"),
            ),
            ("POST", "/shoes/left", "application/json", Ok("Put")),
            ("POST", "/a.B/Get", "application/grpc", Ok("Get")),
            ("POST", "/a.B/Get", "application/grpc+proto", Ok("Get")),
            // Only some take these for gRPC.
            (
                "POST",
                "/a.B/Get",
                "application/grpc;x=y",
                Err(Ambiguity::Call),
            ),
            ("POST", "/a.B/Get", "Application/gRPC", Err(Ambiguity::Call)),
            (
                "POST",
                "/a.B/Get",
                "application/grpc-web",
                Err(Ambiguity::Call),
            ),
            (
                "POST",
                "/a.B/Get",
                "application/connect+json",
                Err(Ambiguity::Call),
            ),
            // The transcoder may map a service that it knows by its name.
            (
                "POST",
                "/inventory.v1.Stock/Get",
                "application/json",
                Err(Ambiguity::Call),
            ),
            (
                "POST",
                "/inventory.v1.Stock/Put",
                "application/json",
                Ok("Put"),
            ),
        ] {
            let head = RequestHead::new(HeaderMap::from_pairs([
                (":method", method),
                (":path", path),
                ("content-type", content_type),
            ]));
            let call = Subject::new(&head, &twins)
                .map(|subject| subject.possible_call().map_or("", |call| call.method));
            assert_eq!(call, expected, "{method} {path} {content_type}");
        }
    }

    #[test]
    fn a_path_without_canonical_form_is_no_subject() {
        for path in ["/a/../b", "/a%2fb", "*", ""] {
            let head = RequestHead::new(HeaderMap::from_pairs([(":path", path)]));
            assert!(
                Subject::new(&head, &TwinTable::default()).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn an_unclear_host_is_no_subject() {
        // Envoy hands all of these on. A rule for the host would not hold, a laxer one behind it would, and an upstream such
        // as nginx, which cuts at the colon, would serve the protected host.
        for authority in [
            "admin.test:x",
            "a@admin.test",
            "admin.test,b",
            "admin%2etest",
            "::1",
        ] {
            let head = RequestHead::new(HeaderMap::from_pairs([
                (":path", "/a"),
                (":authority", authority),
            ]));
            assert_eq!(
                Subject::new(&head, &TwinTable::default()).err(),
                Some(Ambiguity::Host),
                "{authority}"
            );
        }
        let nowhere = RequestHead::new(HeaderMap::from_pairs([(":path", "/a")]));
        let twins = TwinTable::default();
        assert_eq!(Subject::new(&nowhere, &twins).unwrap().host(), None);
    }

    #[test]
    fn a_subject_tells_what_it_was_given() {
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":path", "/a"),
            (":authority", "Api:1"),
        ]));
        let identity = Identity::anonymous();
        let twins = TwinTable::default();
        let subject = Subject::new(&head, &twins).unwrap();
        assert_eq!((subject.route(), subject.identity()), (None, None));
        let subject = subject.with_route(Some(b"r")).with_identity(&identity);
        assert_eq!(
            (subject.route(), subject.identity()),
            (Some(&b"r"[..]), Some(&identity))
        );
        assert_eq!(subject.host(), Some(&b"Api"[..]));
        assert_eq!(subject.path().as_str(), "/a");
        assert_eq!(subject.head().raw_path(), b"/a");
    }
}
