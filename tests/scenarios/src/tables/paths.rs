//! Paths that two parsers could read differently.

use crate::expect::Refusal;
use crate::gateway::PARTNER_KEY;
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{ambiguous_path, passes, scenario};

fn refused(name: &'static str, why: &'static str, path: &'static str) -> Scenario {
    // With a credential, so that nothing but the path can be the reason.
    let request = Request::get(path).with(Credential::ApiKey(PARTNER_KEY));
    scenario(name, why, request, ambiguous_path())
}

pub(super) fn table() -> Vec<Scenario> {
    vec![
        refused(
            "an encoded slash",
            "an upstream may decode it to another segment",
            "/public%2f..%2fadmin",
        ),
        refused(
            "an encoded slash in upper case",
            "both cases decode alike",
            "/public%2Fx",
        ),
        refused(
            "an encoded backslash",
            "Windows upstreams take it for a slash",
            "/public%5cadmin",
        ),
        refused(
            "dot segments",
            "/public/../admin is below /public for a matcher, and not for the upstream",
            "/public/../admin",
        ),
        refused(
            "encoded dot segments",
            "they are removed after decoding",
            "/public/%2e%2e/admin",
        ),
        refused(
            "dot segments with a parameter",
            "Java upstreams cut the parameter first",
            "/public/..;/admin",
        ),
        refused(
            "a path parameter",
            "Java upstreams cut it, others do not",
            "/public;a=b/x",
        ),
        refused("an empty segment", "some merge slashes", "/public//admin"),
        refused(
            "a double encoding",
            "decoded twice it is a slash",
            "/public/%252fadmin",
        ),
        refused(
            "an encoding cut short",
            "some take it literally, some refuse it",
            "/public/%2",
        ),
        refused(
            "an encoding of no digits",
            "some take it literally, some refuse it",
            "/public/%zz",
        ),
        refused(
            "an overlong slash",
            "lax decoders take %c0%af for a slash",
            "/public/%c0%afadmin",
        ),
        refused(
            "an encoded NUL",
            "C upstreams end the path there",
            "/public/%00",
        )
        .by_socket(),
        refused(
            "an encoded line end",
            "it ends a log line or a header somewhere",
            "/public/%0d%0ax",
        ),
        refused(
            "a raw backslash",
            "Windows upstreams take it for a slash",
            "/public\\admin",
        )
        .by_socket(),
        scenario(
            "an ambiguous path with no credential",
            "the path is refused before anybody is asked who calls",
            Request::get("/users/../admin"),
            ambiguous_path(),
        ),
        scenario(
            "an ambiguous path on a gRPC call",
            "a gRPC client reads a gRPC status, which must not invite a retry",
            Request::grpc("/inventory.v1.Stock%2fGet"),
            Refusal::grpc(3, "Bad Request"),
        )
        .over_http2(),
        scenario(
            "an encoding of a plain letter",
            "rules see the decoded path, and the upstream gets what the client sent",
            Request::get("/%70ublic/%6eews"),
            passes().path("/%70ublic/%6eews"),
        ),
        scenario(
            "strange bytes in the query",
            "the query is the upstream's business",
            Request::get("/public?q=%2f..%2f%00&x=//;"),
            passes().path("/public?q=%2f..%2f%00&x=//;"),
        ),
        scenario(
            "another case is another path",
            "paths are case-sensitive, and an upstream that thinks otherwise must not be reached by it",
            Request::get("/PUBLIC"),
            super::unauthorized(),
        ),
    ]
}
