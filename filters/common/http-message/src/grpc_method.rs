//! The method of a service that a gRPC path names.

use crate::path::CanonicalPath;

/// A service and one of its methods: `/inventory.v1.Stock/Get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrpcMethod<'a> {
    /// The service's full name, package included: `inventory.v1.Stock`.
    pub service: &'a str,
    /// The method's name: `Get`.
    pub method: &'a str,
}

impl<'a> GrpcMethod<'a> {
    /// The method that a path names: exactly two segments, a full service name and a method name as Protocol Buffers spell
    /// them. `None` for any other path.
    pub fn parse(path: &'a CanonicalPath) -> Option<GrpcMethod<'a>> {
        let (service, method) = path.as_str().strip_prefix('/')?.split_once('/')?;
        GrpcMethod::new(service, method)
    }

    /// A service and a method by their names, if these are names that a path can have.
    pub fn new(service: &'a str, method: &'a str) -> Option<GrpcMethod<'a>> {
        (is_identifier(method) && is_full_name(service)).then_some(GrpcMethod { service, method })
    }

    /// The package: `inventory.v1`; empty if there is none.
    pub fn package(&self) -> &'a str {
        self.service
            .rsplit_once('.')
            .map_or("", |(package, _)| package)
    }

    /// The service's name without its package: `Stock`.
    pub fn service_name(&self) -> &'a str {
        self.service
            .rsplit_once('.')
            .map_or(self.service, |(_, name)| name)
    }
}

fn is_full_name(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

/// A letter or `_`, then letters, digits and `_`.
fn is_identifier(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<(String, String)> {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        GrpcMethod::parse(&path).map(|call| (call.service.to_owned(), call.method.to_owned()))
    }

    #[test]
    fn two_names_are_a_method() {
        let call = |service: &str, method: &str| Some((service.to_owned(), method.to_owned()));
        assert_eq!(
            parse("/inventory.v1.Stock/Get"),
            call("inventory.v1.Stock", "Get")
        );
        assert_eq!(parse("/Stock/Get_2"), call("Stock", "Get_2"));
        assert_eq!(
            parse("/inventory.v1.Stock/%47et?x"),
            call("inventory.v1.Stock", "Get")
        );
    }

    #[test]
    fn anything_else_is_none() {
        for path in [
            "/", "/a", "/a/", "/a/b/", "/a/b/c", "/.a/b", "/a./b", "/a..b/c", "/1a/b", "/a/1b",
            "/a/b.c", "/a-b/c", "/a/b-c", "/a%20b/c", "/é/b", "/a/b%25",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn names_are_split_at_the_last_dot() {
        let full = GrpcMethod {
            service: "inventory.v1.Stock",
            method: "Get",
        };
        assert_eq!(
            (full.package(), full.service_name()),
            ("inventory.v1", "Stock")
        );
        let bare = GrpcMethod {
            service: "Stock",
            method: "Get",
        };
        assert_eq!((bare.package(), bare.service_name()), ("", "Stock"));
    }
}
