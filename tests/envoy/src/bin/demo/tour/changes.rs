//! transform.

use crate::places::Places;
use crate::step::Expect::{
    Body, Header, Logged, Never, Path, Printed, Sees, SeesBody, SeesNo, SeesNoBody, Status,
};
use crate::step::Step;

const CARD: &str = "4111 1111 1111 1111";
const EMAIL: &str = "ada@example.test";

pub(super) fn steps(places: &Places) -> Vec<Step> {
    let key = places.key("acme-2026");
    vec![
        Step::new(
            "On its way in: a header is set, another taken out, and of the JSON what only our own programs may say",
            places.ask(
                &format!(
                    "{key} -H 'x-debug: 1' -H 'content-type: application/json' \
                     -d '{{\"name\":\"Ada\",\"internal\":{{\"vip\":true}}}}'"
                ),
                "/customers",
            ),
            vec![
                Status(200),
                Sees("x-team", "crm"),
                SeesNo("x-debug"),
                SeesBody("\"source\":\"public-api\""),
                SeesNoBody("internal"),
            ],
        )
        .upstream(&["x-team", "x-debug"]),
        Step::new(
            "On its way out: the service tells all about a customer, the client reads what it may, as the bytes stream by",
            places.ask(&key, "/customers/17"),
            vec![
                Status(200),
                Body("\"email\":\"***\""),
                Body("\"number\":\"**** **** **** ****\""),
                Body("\"name\":\"Ada Example\""),
                Header("cache-control", "no-store"),
                Never(EMAIL),
                Never(CARD),
                Never("calls at night"),
            ],
        )
        .headers(&["cache-control"]),
        Step::new(
            "Dora is of the group support, and sees the same record whole",
            places.ask(&places.token("dora"), "/customers/17"),
            vec![Status(200), Body(EMAIL), Body(CARD)],
        ),
        Step::new(
            "The service breaks in the middle of the record: nothing that was to be masked gets out, and nobody takes it for whole",
            format!("{}; echo \"curl ended with $?\"", places.ask(&format!("-S {key}"), "/customers/17/broken")),
            vec![
                Never(CARD),
                Never(EMAIL),
                Printed("502, or an answer that visibly breaks off", |printed| {
                    printed.lines().next().is_some_and(|line| line.contains(" 502")) || !printed.contains("curl ended with 0")
                }),
            ],
        ),
        Step::new(
            "A path of old is rewritten",
            places.ask(&key, "/api/users/17"),
            vec![
                Status(200),
                Path("/users/17"),
                Logged("rule", "api"),
                Logged("route", "users-v1"),
            ],
        ),
        Step::new(
            "But leads nowhere that it may not: what the rewrite would make is not on its list",
            places.ask(&key, "/api/admin/orders"),
            vec![
                Status(403),
                Logged("details", "gatehouse_transform_path_not_allowed"),
            ],
        ),
    ]
}
