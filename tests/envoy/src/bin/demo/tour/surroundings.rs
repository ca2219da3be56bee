//! What Envoy's own filters and its load balancer do, with ours between them.

use crate::places::Places;
use crate::step::Expect::{Body, Header, Logged, Never, NoHeader, Printed, Status};
use crate::step::{Crash, Step, answers, times};

/// The page that the configuration lets call.
const PAGE: &str = "-H 'origin: https://app.gatehouse.test'";
const PREFLIGHT: &str = "-X OPTIONS -H 'access-control-request-method: GET'";

pub(super) fn steps(places: &Places) -> Vec<Step> {
    let key = places.key("acme-2026");
    vec![
        Step::new(
            "A browser asks whether a page of https://app.gatehouse.test may call: yes, and no credential is needed to be told",
            places.ask(&format!("{PREFLIGHT} {PAGE}"), "/users/17"),
            vec![
                Status(200),
                Header("access-control-allow-origin", "https://app.gatehouse.test"),
                Header("access-control-allow-headers", "authorization"),
            ],
        )
        .headers(&["access-control-allow-origin", "access-control-allow-headers"]),
        Step::new(
            "A page of another origin is told nothing: its preflight is a request without a credential, like any other",
            places.ask(&format!("{PREFLIGHT} -H 'origin: https://other.test'"), "/users/17"),
            vec![
                Status(401),
                NoHeader("access-control-allow-origin"),
                Logged("reason", "credential_missing"),
            ],
        ),
        Step::new(
            "The page may read a refusal too, and so knows why",
            places.ask(PAGE, "/users/17"),
            vec![
                Status(401),
                Header("access-control-allow-origin", "https://app.gatehouse.test"),
                Header("access-control-expose-headers", "www-authenticate"),
            ],
        )
        .headers(&["access-control-allow-origin", "www-authenticate"]),
        Step::new(
            "Compressed for who asks for it, and masked before that",
            places.ask(&format!("--compressed {key}"), "/customers/17"),
            vec![
                Status(200),
                Header("content-encoding", "gzip"),
                Body("\"email\":\"***\""),
                Never("ada@example.test"),
            ],
        )
        .headers(&["content-encoding", "vary"]),
        Step::new(
            "Both replicas of the service answer",
            format!(
                "{} | tr -d '\\r' | grep -i '^x-replica' | sort | uniq -c",
                places.ask_many(&key, "/users/[1-40]")
            ),
            vec![Printed("both replicas, forty answers in all", |printed| {
                let [one, two] = ["x-replica: users-1", "x-replica: users-2"].map(|line| times(printed, line));
                one > 0 && two > 0 && one + two == 40
            })],
        ),
        Step::new(
            "One of them crashes while three hundred requests are under way: the other takes over, and none is lost",
            format!(
                "{} | tr -d '\\r' | grep '^HTTP' | sort | uniq -c",
                places.ask_many("--parallel-max 20", "/public/[1-300]/delay/20")
            ),
            vec![Printed("three hundred answers 200", |printed| {
                answers(printed, "200") == 300
            })],
        )
        .crash(Crash {
            cluster: "users",
            replica: "users-1",
            after: 60,
        }),
        Step::new(
            "It is back, Envoy has noticed, and it gets its share again",
            format!(
                "for try in $(seq 60); do {} | grep 'replica: users-1' && break; sleep 0.2; done",
                places.ask("", "/public/prices")
            ),
            vec![Printed("an answer of users-1", |printed| {
                printed.contains("x-replica: users-1")
            })],
        ),
    ]
}
