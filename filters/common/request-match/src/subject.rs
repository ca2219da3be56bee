//! What a match looks at.

use std::cell::OnceCell;

use http_message::{CanonicalPath, GrpcMethod, RequestHead};
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
    twins: &'a TwinTable,
    /// What the twins make of the request, found when first asked for.
    twin_calls: OnceCell<Vec<GrpcMethod<'a>>>,
    route: Option<&'a [u8]>,
    identity: Option<&'a Identity>,
}

impl<'a> Subject<'a> {
    /// A request without a route and without an identity.
    ///
    /// # Errors
    /// The path has no canonical form, or it is not clear what the host is: the request must be answered with 400, whatever
    /// the rules are. No authority at all is clear: no rule for a host is for such a request.
    pub fn new(head: &'a RequestHead, twins: &'a TwinTable) -> Result<Subject<'a>, Ambiguity> {
        let path = head.path()?;
        let authority = head.authority();
        let host = host_of(authority);
        if host.is_none() && !authority.is_empty() {
            return Err(Ambiguity::Host);
        }
        Ok(Subject {
            head,
            path,
            host,
            twins,
            twin_calls: OnceCell::new(),
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

    /// The gRPC method that is called: the path's if the request is gRPC, gRPC-Web or Connect, else that of the first twin
    /// that fits. A name for logs and labels; [`RequestMatch`](crate::RequestMatch) is stricter.
    pub fn call(&self) -> Option<GrpcMethod<'a>> {
        let direct = if self.head.protocol().has_methods() {
            GrpcMethod::parse(self.path)
        } else {
            None
        };
        direct.or_else(|| self.twin_calls().first().copied())
    }

    /// Every gRPC method that an upstream may take the request for. The path alone tells: a Connect server takes a plain
    /// POST, and so does the transcoder with `auto_mapping`; a client chooses its content type freely.
    pub(crate) fn possible_calls(&self) -> impl Iterator<Item = GrpcMethod<'a>> {
        GrpcMethod::parse(self.path)
            .into_iter()
            .chain(self.twin_calls().iter().copied())
    }

    /// The host without port and final dot, if the request names one.
    pub(crate) fn host(&self) -> Option<&'a [u8]> {
        self.host
    }

    pub(crate) fn route(&self) -> Option<&'a [u8]> {
        self.route
    }

    pub(crate) fn identity(&self) -> Option<&'a Identity> {
        self.identity
    }

    fn twin_calls(&self) -> &[GrpcMethod<'a>] {
        self.twin_calls
            .get_or_init(|| self.twins.calls(self.head.method(), self.path).collect())
    }
}

#[cfg(test)]
mod tests {
    use filter_config::{FieldPath, from_value};
    use http_message::HeaderMap;
    use serde_json::json;

    use super::*;

    fn twins() -> TwinTable {
        let twin = json!([{"method": "GET", "template": "/v1/stock/{id}", "service": "inventory.v1.Stock", "rpc": "Get"}]);
        TwinTable::compile(from_value(twin).unwrap(), &FieldPath::root()).unwrap()
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
        // A REST path of two segments is not called a method, although a grpc rule would hold for it.
        assert_eq!(call(&[(":path", "/users/seven"), (":method", "GET")]), None);
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
