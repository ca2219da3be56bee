//! Who calls in the tour: what each asks the issuer for.

use upstreams::{Algorithm, TokenRequest};

/// How long the tour's tokens are good for, in seconds: a working day.
pub(crate) const TOKEN_SECONDS: i64 = 8 * 60 * 60;

/// Name of each caller, and his token.
pub(crate) fn callers() -> [(&'static str, TokenRequest); 5] {
    let token = |subject: &str| TokenRequest {
        sub: Some(subject.into()),
        azp: Some("web-shop".into()),
        ttl: Some(TOKEN_SECONDS),
        ..TokenRequest::default()
    };
    [
        (
            "alice",
            TokenRequest {
                alg: Algorithm::RS256,
                scope: Some("orders:read orders:write stock:read stock:write".into()),
                groups: Some("staff".into()),
                ..token("alice")
            },
        ),
        (
            "bob",
            TokenRequest {
                scope: Some("profile".into()),
                ..token("bob")
            },
        ),
        (
            "carol",
            TokenRequest {
                alg: Algorithm::EdDSA,
                groups: Some("admins".into()),
                ..token("carol")
            },
        ),
        (
            "dora",
            TokenRequest {
                groups: Some("support".into()),
                ..token("dora")
            },
        ),
        (
            "expired",
            TokenRequest {
                scope: Some("orders:read".into()),
                ttl: Some(-3600),
                ..token("alice")
            },
        ),
    ]
}
