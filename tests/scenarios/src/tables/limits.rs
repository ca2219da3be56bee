//! Limits: what a refusal says, and what is no way around one.
//!
//! A table has no memory: the one limit that has to be used up is so by [`gateway::spending`](crate::gateway::spending).

use crate::expect::{Header, Refusal};
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{ambiguous_path, forbidden, passes, scenario};

/// Refused, since the limit is used up.
fn spent() -> Refusal {
    Refusal::http(429, "Quota Exceeded")
        .and(Header::Contains("retry-after", "8"))
        .and(Header::Contains("ratelimit", "\"spent\";r=0;t="))
        .and(Header::Is("ratelimit-policy", "\"spent\";q=1;w=86400"))
}

/// Has two keys, or one that may be two.
fn ambiguous_key() -> Refusal {
    Refusal::http(400, "Bad Request")
}

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario(
            "a limit that is used up",
            "the client learns which limit, and when to come back",
            Request::get("/v1/anything").header("x-spent", "all"),
            spent(),
        ),
        scenario(
            "a limit that is used up, by another method and path",
            "a limit without a match is for every request of its key",
            Request::new("DELETE", "/v2/other?x=1").header("x-spent", "all"),
            spent(),
        ),
        scenario(
            "a limit that is used up, by gRPC",
            "UNAVAILABLE would make clients try again at once",
            Request::grpc("/inventory.v1.Health/Check").header("x-spent", "all"),
            Refusal::grpc(8, "Quota Exceeded").and(Header::Contains("retry-after", "8")),
        )
        .over_http2(),
        scenario(
            "a limit that is used up, by gRPC-Web",
            "a browser cannot read a plain 429",
            Request::grpc_web("/inventory.v1.Health/Check").header("x-spent", "all"),
            Refusal::grpc(8, "Quota Exceeded").and(Header::Contains("retry-after", "8")),
        ),
        scenario(
            "a limit that is used up, by somebody else",
            "one client's limit is not another's",
            Request::get("/v1/anything").header("x-spent", "nothing"),
            passes(),
        ),
        scenario(
            "no limit",
            "what a limit is not for goes on",
            Request::get("/v1/anything"),
            passes(),
        ),
        scenario(
            "a limit by tenant",
            "whoever has a key and a token goes on",
            Request::get("/v1/tenants/1").header("x-tenant", "acme"),
            passes().is("x-tenant", "acme"),
        ),
        scenario(
            "a limit by tenant, and no tenant",
            "leaving the header out would be a way around the limit",
            Request::get("/v1/tenants/1"),
            forbidden(),
        ),
        scenario(
            "a limit by tenant, and an empty one",
            "all who send none would share a bucket",
            Request::get("/v1/tenants/1").header("x-tenant", ""),
            forbidden(),
        ),
        scenario(
            "a limit by tenant, and two",
            "it would be counted by one and served as the other",
            Request::get("/v1/tenants/1")
                .header("x-tenant", "acme")
                .header("x-tenant", "other"),
            ambiguous_key(),
        ),
        scenario(
            "a limit by tenant, and one in another spelling",
            "an upstream behind CGI reads x_tenant as x-tenant",
            Request::get("/v1/tenants/1").header("x_tenant", "acme"),
            ambiguous_key(),
        ),
        scenario(
            "a limit by tenant, on an encoded path",
            "a path that is matched otherwise is served without the limit",
            Request::get("/v1/%74enants/1"),
            forbidden(),
        ),
        scenario(
            "a limit by tenant, on an ambiguous path",
            "a path that is read otherwise is served without the limit",
            Request::get("/v1//tenants/1"),
            ambiguous_path(),
        )
        .by_socket(),
        scenario(
            "a limit by consumer",
            "auth says who it is",
            Request::get("/v1/consumers/1").with(Credential::ApiKey(crate::gateway::PARTNER_KEY)),
            passes().is("x-consumer", "acme"),
        ),
        scenario(
            "a limit by consumer, and a caller that says so itself",
            "a header names nobody",
            Request::get("/v1/consumers/1").header("x-consumer", "acme"),
            forbidden(),
        ),
        scenario(
            "a limit of a gRPC method",
            "the method is limited by consumer, and nobody calls",
            Request::grpc("/inventory.v1.Health/Watch"),
            Refusal::grpc(7, "Forbidden"),
        )
        .over_http2(),
        scenario(
            "a limit of a gRPC method, by its REST twin",
            "the transcoder makes the one of the other",
            Request::get("/v1/watch/7"),
            forbidden(),
        ),
        scenario(
            "a limit of a gRPC method, by its REST twin with a slash",
            "the transcoder ignores it",
            Request::get("/v1/watch/7/"),
            forbidden(),
        ),
    ]
}
