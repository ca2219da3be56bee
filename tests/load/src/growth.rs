//! How the cost grows: with rules, with keys, with headers, with bodies.

use std::sync::Arc;

use crate::requests::{Credentials, Requests, customers};
use crate::variant::Expected::{self, Header, HeaderIsThere, InBody, NoHeader, NotInBody};
use crate::variant::{Kind, Variant};
use crate::{ours, report::Point};

const USER: Expected = Header("seen-x-user", "user-0");
const LIMITED: Expected = HeaderIsThere("ratelimit");
const VERSION: Expected = Header("seen-x-gatehouse-api-version", "1");

/// The curves and their sizes. As many rules, limits and keys as a configuration may have, where that is less than asked for.
pub(crate) fn variants() -> Vec<Variant> {
    let mut all = vec![
        Variant::new(Kind::Base, "unfiltered", ""),
        Variant::new(Kind::Base, "proxied", "").proxied(),
    ];
    for rules in [1, 10, 100, 1_000] {
        all.push(
            at("auth, rules", rules)
                .with([ours::auth_with_rules(None, rules)])
                .expecting([USER]),
        );
    }
    for rules in [1, 4, 16] {
        all.push(
            at("rate-limit, limits", rules)
                .with([ours::rate_limit_with_rules(rules)])
                .expecting([LIMITED]),
        );
    }
    for rules in [1, 16, 256] {
        let set = [
            Header("seen-x-team", "crm"),
            Header("x-frame-options", "DENY"),
        ];
        all.push(
            at("transform, rules", rules)
                .with([ours::transform_with_rules(rules)])
                .proxied()
                .expecting(set),
        );
    }
    for keys in [1, 100, 10_000, 25_000] {
        all.push(
            at("auth, API keys", keys)
                .with([ours::auth_keys(keys)])
                .sending(Requests {
                    credentials: Credentials::ApiKey,
                    ..Requests::default()
                })
                .expecting([NoHeader("seen-x-api-key")]),
        );
    }
    for tenants in [1, 100, 10_000, 100_000] {
        all.push(
            at("rate-limit, clients", tenants)
                .with([ours::rate_limit()])
                .sending(Requests {
                    tenants,
                    ..Requests::default()
                })
                .expecting([LIMITED]),
        );
    }
    for more_headers in [1, 16, 64] {
        let sent = Requests {
            more_headers,
            ..Requests::default()
        };
        let base = format!("headers_{more_headers}");
        all.push(
            Variant::new(Kind::Base, base.clone(), "")
                .proxied()
                .sending(sent)
                .against(base.clone()),
        );
        all.push(
            at("our four, headers", more_headers)
                .with(ours::chain())
                .proxied()
                .sending(sent)
                .against(base)
                .expecting([USER, LIMITED, VERSION]),
        );
    }
    for kib in [1, 10, 100, 1_024] {
        let body: Arc<str> = customers(kib << 10).into();
        let base = format!("body_{kib}");
        all.push(Variant::new(Kind::Base, base.clone(), "").answering(&body, base.clone()));
        all.push(
            at("masking, KiB", kib)
                .with([ours::masking()])
                .answering(&body, base)
                .expecting([InBody("\"email\":\"***\""), NotInBody("@mail")]),
        );
    }
    all
}

/// What is measured with one worker and with two, which take from the same buckets.
pub(crate) fn workers(workers: usize) -> Vec<Variant> {
    let at = |curve| {
        Variant::new(
            Kind::Growth(Point {
                curve,
                size: workers,
            }),
            curve,
            "",
        )
    };
    vec![
        Variant::new(Kind::Base, "unfiltered", ""),
        Variant::new(Kind::Base, "proxied", "").proxied(),
        at("rate-limit, workers")
            .with([ours::rate_limit()])
            .expecting([LIMITED]),
        at("our four, workers")
            .with(ours::chain())
            .proxied()
            .expecting([USER, LIMITED, VERSION]),
    ]
}

fn at(curve: &'static str, size: usize) -> Variant {
    Variant::new(
        Kind::Growth(Point { curve, size }),
        format!("{curve} {size}"),
        "",
    )
}
