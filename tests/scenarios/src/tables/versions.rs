//! Which version of the API a request names.

use crate::expect::{Header, Refusal};
use crate::request::Request;
use crate::scenario::Scenario;

use super::{passes, scenario};

fn is(name: &'static str, why: &'static str, request: Request, version: &'static str) -> Scenario {
    scenario(
        name,
        why,
        request,
        passes().is("x-gatehouse-api-version", version),
    )
}

fn unknown(name: &'static str, why: &'static str, request: Request, status: u16) -> Scenario {
    let title = if status == 404 {
        "Not Found"
    } else {
        "Not Acceptable"
    };
    let refusal =
        Refusal::http(status, title).and(Header::Is("x-gatehouse-supported-versions", "1, 2"));
    scenario(name, why, request, refusal)
}

fn ambiguous(name: &'static str, why: &'static str, request: Request) -> Scenario {
    scenario(name, why, request, Refusal::http(400, "Bad Request"))
}

pub(super) fn table() -> Vec<Scenario> {
    let public = || Request::get("/public");
    vec![
        is(
            "no version",
            "a client that names none gets the default",
            public(),
            "1",
        ),
        is(
            "a version in the path",
            "the first source",
            Request::get("/v2/users"),
            "2",
        ),
        is(
            "a path that is only the version",
            "the first segment may be the last",
            Request::get("/v2"),
            "2",
        ),
        is(
            "a version in the header",
            "the second source",
            public().header("x-api-version", "2"),
            "2",
        ),
        is(
            "a version with its letter",
            "v2 is the version 2",
            public().header("x-api-version", "v2"),
            "2",
        ),
        is(
            "a version in Accept",
            "the third source",
            public().header("accept", "text/html;q=0.4, application/json; Version=2"),
            "2",
        ),
        is(
            "a quoted version in Accept",
            "a parameter's value may be quoted (RFC 9110 section 5.6.6)",
            public().header("accept", r#"application/json;version="2""#),
            "2",
        ),
        is(
            "a version inside another parameter",
            "what is quoted is text, not a parameter",
            public().header("accept", r#"application/json;note="a;version=2,b""#),
            "1",
        ),
        is(
            "a version that the client refuses",
            "q=0 says not this one (RFC 9110 section 12.4.2)",
            public().header(
                "accept",
                "application/json;version=9;q=0, application/json;version=2",
            ),
            "2",
        ),
        is(
            "path before header",
            "sources are asked in order, and the first answer counts",
            Request::get("/v2/users")
                .header("x-api-version", "1")
                .header("accept", "application/json;version=1"),
            "2",
        ),
        is(
            "header before Accept",
            "sources are asked in order, and the first answer counts",
            public()
                .header("x-api-version", "2")
                .header("accept", "application/json;version=1"),
            "2",
        ),
        is(
            "Accept of a browser",
            "what does not name a version is none of the filter's business",
            public().header("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            "1",
        ),
        unknown(
            "an unknown version in the path",
            "there is no such resource, and the client learns what there is",
            Request::get("/v9/users"),
            404,
        ),
        unknown(
            "an unknown version in the header",
            "the resource is there, but not in this form",
            public().header("x-api-version", "9"),
            406,
        ),
        unknown(
            "an unknown version in Accept",
            "the resource is there, but not in this form",
            public().header("accept", "application/json;version=9"),
            406,
        ),
        unknown(
            "no version in the version header",
            "what is no version is not the default",
            public().header("x-api-version", "latest"),
            406,
        ),
        unknown(
            "a version with a leading zero",
            "02 is not another spelling of 2, or two parsers would differ",
            public().header("x-api-version", "02"),
            406,
        ),
        unknown(
            "an empty version header",
            "an upstream could take it for something",
            public().header("x-api-version", ""),
            406,
        ),
        unknown(
            "a version that is not text",
            "one byte that is not UTF-8 must not cost the filter its VM",
            public().header("x-api-version", b"\xff2"),
            406,
        ),
        ambiguous(
            "the version header twice",
            "two readers could take two different ones",
            public()
                .header("x-api-version", "1")
                .header("x-api-version", "2"),
        ),
        ambiguous(
            "the version header as a list",
            "a proxy may join two headers into one",
            public().header("x-api-version", "1, 2"),
        ),
        ambiguous(
            "two versions in Accept",
            "a client that would take either must say which",
            public().header(
                "accept",
                "application/json;version=1, application/xml;version=2",
            ),
        ),
        ambiguous(
            "Accept with an open quote",
            "where the quote ends is a guess",
            public().header("accept", r#"application/json;version="2"#),
        ),
        is(
            "a version in the query",
            "the fourth source",
            Request::get("/public?page=1&api-version=v2"),
            "2",
        ),
        is(
            "a version in an escaped query",
            "what an upstream decodes to the version is the version",
            Request::get("/public?api%2Dversion=%32"),
            "2",
        ),
        is(
            "a vendor media type",
            "the fifth source",
            public().header("accept", "application/vnd.Example.v2+json, */*;q=0.1"),
            "2",
        ),
        is(
            "the package of a gRPC service",
            "the last source",
            Request::grpc("/inventory.v2.Open/Get"),
            "2",
        )
        .over_http2(),
        unknown(
            "an unknown version in the query",
            "there is no such resource, and the client learns what there is",
            Request::get("/public?api-version=9"),
            404,
        ),
        unknown(
            "an unknown vendor media type",
            "the resource is there, but not in this form",
            public().header("accept", "application/vnd.example.v9+json"),
            406,
        ),
        ambiguous(
            "two versions in the query",
            "an upstream could take the other one",
            Request::get("/public?api-version=1&api-version=2"),
        ),
        scenario(
            "a retired version",
            "it was here once: who finds nothing searches for the fault in himself",
            public().header("x-api-version", "7"),
            Refusal::http(410, "Gone").and(Header::Is("x-gatehouse-supported-versions", "1, 2")),
        ),
        scenario(
            "a retired version of a gRPC service",
            "UNIMPLEMENTED is not tried again",
            Request::grpc("/inventory.v1.Health/Check").header("x-api-version", "7"),
            Refusal::grpc(12, "Gone").and(Header::Is("x-gatehouse-supported-versions", "1, 2")),
        )
        .over_http2(),
        scenario(
            "a version on its way out",
            "a client that is told in time moves in time",
            public().header("x-api-version", "2"),
            passes()
                .told("deprecation", "@1767225600")
                .told("sunset", "Thu, 31 Dec 2026 23:59:59 GMT")
                .told("link", "</v3>; rel=\"successor-version\""),
        ),
        scenario(
            "a version that stays",
            "a client that is told too much believes nothing",
            public(),
            passes()
                .untold("deprecation")
                .untold("sunset")
                .untold("link"),
        ),
    ]
}
