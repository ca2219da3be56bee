//! rate-limit, behind auth and in front of it.

use crate::places::Places;
use crate::step::Expect::{Counted, Header, Logged, Printed, Status};
use crate::step::{Step, answers, times};

/// How often each status came, and each Retry-After.
const COUNT: &str = "tr -d '\\r' | grep -iE '^(HTTP|retry-after)' | sort | uniq -c";

pub(super) fn steps(places: &Places) -> Vec<Step> {
    let order = format!("-X POST {}", places.token("alice"));
    vec![
        Step::new(
            "Alice may write ten orders a second, twenty at once. Each answer says what is left of that",
            places.ask(&order, "/orders/1"),
            vec![
                Status(200),
                Header("ratelimit-policy", "\"orders-write\";q=20;w=2"),
                Header("ratelimit", "\"orders-write\";r=19"),
            ],
        )
        .headers(&["ratelimit-policy", "ratelimit"]),
        Step::new(
            "A burst of eighty: what is over the limit is refused, and told when to come back",
            format!("{} | {COUNT}", places.ask_many(&order, "/orders/[1-80]")),
            vec![
                Printed("19 or more answers 200, others 429, eighty in all", |printed| {
                    let good = answers(printed, "200");
                    let refused = answers(printed, "429");
                    good >= 19 && refused > 0 && good + refused == 80
                }),
                Printed("Retry-After: 1 with each 429", |printed| {
                    times(printed, "retry-after: 1") == answers(printed, "429")
                }),
                Counted(
                    "wasmcustom.gatehouse.rate_limit.limited",
                    "the number of answers 429",
                    |printed| answers(printed, "429"),
                ),
            ],
        ),
        Step::new(
            "A second later, as Retry-After said, the next one is served",
            format!("sleep 1; {}", places.ask(&order, "/orders/2")),
            vec![Status(200), Logged("rule", "orders-write")],
        )
        .headers(&["ratelimit"]),
        Step::new(
            "A flood of guesses at the admin's door: stopped by address, before auth looks at a single further token",
            format!(
                "{} | {COUNT}",
                places.ask_many("-H 'authorization: Bearer guess'", "/admin/[1-200]")
            ),
            vec![
                Printed("some answers 401, others 429, two hundred in all", |printed| {
                    let guessed = answers(printed, "401");
                    let refused = answers(printed, "429");
                    guessed > 0 && refused > 0 && guessed + refused == 200
                }),
                Counted(
                    "wasmcustom.gatehouse.auth.denied",
                    "the number of answers 401",
                    |printed| answers(printed, "401"),
                ),
            ],
        ),
        Step::new(
            "The flood hurts nobody elsewhere: the same address, another door",
            places.ask(&places.key("acme-2026"), "/users/17"),
            vec![Status(200), Logged("decision", "allow")],
        ),
    ]
}
