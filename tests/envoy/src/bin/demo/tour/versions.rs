//! routing.

use crate::places::Places;
use crate::step::Expect::{Header, Logged, NoHeader, Path, Sees, Status};
use crate::step::Step;

pub(super) fn steps(places: &Places) -> Vec<Step> {
    let key = places.key("acme-2026");
    vec![
        Step::new(
            "Version 1, by path: the prefix is cut off, the upstream gets the version as a header; and it is going",
            places.ask(&key, "/v1/users/17"),
            vec![
                Status(200),
                Path("/users/17"),
                Sees("x-gatehouse-api-version", "1"),
                Header("deprecation", "@"),
                Logged("route", "users-v1"),
            ],
        )
        .headers(&["deprecation"])
        .upstream(&["x-gatehouse-api-version"]),
        Step::new(
            "Version 2, by path",
            places.ask(&key, "/v2/users/17"),
            vec![
                Status(200),
                Path("/users/17"),
                Sees("x-gatehouse-api-version", "2"),
                NoHeader("deprecation"),
                Logged("route", "users-v2"),
            ],
        )
        .upstream(&["x-gatehouse-api-version"]),
        Step::new(
            "Version 2, by Accept",
            places.ask(
                &format!("{key} -H 'accept: application/json;version=2'"),
                "/users/17",
            ),
            vec![
                Status(200),
                Sees("x-gatehouse-api-version", "2"),
                Logged("route", "users-v2"),
            ],
        )
        .upstream(&["x-gatehouse-api-version"]),
        Step::new(
            "A version that there is not",
            places.ask(&format!("{key} -H 'x-api-version: 9'"), "/users/17"),
            vec![
                Status(406),
                Header("content-type", "application/problem+json"),
                Header("x-gatehouse-supported-versions", "2"),
            ],
        )
        .headers(&["content-type", "x-gatehouse-supported-versions"]),
        Step::new(
            "A gRPC call, routed by service and method",
            format!(
                "{} --output -",
                places.ask(
                    &format!(
                        "{key} -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @{}/empty.grpc",
                        places.folder.display()
                    ),
                    "/users.v1.Users/Get"
                )
            ),
            vec![
                Status(200),
                Sees("x-gatehouse-grpc-service", "users.v1.Users"),
                Sees("x-gatehouse-grpc-method", "Get"),
                Logged("route", "users-grpc"),
            ],
        )
        .headers(&["content-type"])
        .upstream(&["x-gatehouse-grpc-service", "x-gatehouse-grpc-method"]),
    ]
}
