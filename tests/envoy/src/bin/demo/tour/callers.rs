//! auth.

use crate::places::Places;
use crate::step::Expect::{Header, Logged, Never, Sees, SeesNo, Service, Status};
use crate::step::Step;

pub(super) fn steps(places: &Places) -> Vec<Step> {
    let ask = |arguments: &str, path: &str| places.ask(arguments, path);
    let (key, token) = (|id| places.key(id), |caller| places.token(caller));
    let mut steps = vec![
        Step::new(
            "Health needs no credential and no upstream",
            ask("", "/healthz"),
            vec![Status(200), Logged("rule", "health"), Logged("identity", "anonymous")],
        ),
        Step::new(
            "Without a credential nothing else answers; the challenges say what would be taken",
            ask("", "/users/17"),
            vec![
                Status(401),
                Header("content-type", "application/problem+json"),
                Header("www-authenticate", "Bearer realm=\"api\""),
                Header("www-authenticate", "ApiKey realm=\"api\""),
                Logged("reason", "credential_missing"),
            ],
        )
        .headers(&["www-authenticate", "content-type"]),
        Step::new(
            "A wrong key gets the same answer; only the access log knows the difference",
            ask("-H 'x-api-key: guess'", "/users/17"),
            vec![Status(401), Logged("decision", "deny"), Logged("reason", "api_key_unknown")],
        )
        .headers(&["www-authenticate"]),
        Step::new(
            "A right key: the upstream is told who calls, and never sees the key",
            ask(&key("acme-2026"), "/users/17"),
            vec![
                Status(200),
                Service("users"),
                Sees("x-consumer", "acme"),
                Sees("x-plan", "gold"),
                SeesNo("x-api-key"),
                Logged("identity", "api_key:acme-2026"),
            ],
        )
        .upstream(&["x-consumer", "x-plan", "x-groups", "x-api-key"]),
        Step::new(
            "A token, signed with RSA (RS256), with the scope that reading orders takes",
            ask(&token("alice"), "/orders/4711"),
            vec![
                Status(200),
                Service("orders"),
                Sees("x-user", "alice"),
                SeesNo("authorization"),
                Logged("identity", "jwt:alice"),
            ],
        )
        .upstream(&["x-user", "x-scopes", "x-groups", "authorization"]),
        Step::new(
            "A token signed on the curve P-256 (ES256)",
            ask(&token("bob"), "/users/17"),
            vec![Status(200), Sees("x-user", "bob"), SeesNo("authorization")],
        )
        .upstream(&["x-user", "x-scopes"]),
        Step::new(
            "Admins prove two things at once: the machine by its key, the person by her token (Ed25519, EdDSA)",
            ask(&format!("{} {}", key("ops-2026"), token("carol")), "/admin/orders"),
            vec![Status(200), Sees("x-user", "carol"), Logged("rule", "admin")],
        )
        .upstream(&["x-user", "x-consumer", "x-groups"]),
    ];
    // An issuer that shares a secret is not for a file that others read, so not every gateway has one.
    if places.knows("erin") {
        steps.push(
            Step::new(
                "A token of another issuer, under a secret shared with it (HS256); here it only says who is there",
                ask(&token("erin"), "/public/prices"),
                vec![
                    Status(200),
                    Sees("x-user", "erin"),
                    SeesNo("authorization"),
                    Logged("identity", "jwt:erin"),
                ],
            )
            .upstream(&["x-user"]),
        );
    }
    steps.extend([
        Step::new(
            "A token of yesterday is no credential at all, not even where none is needed",
            ask(&token("expired"), "/public/prices"),
            vec![Status(401), Logged("rule", "public"), Logged("reason", "token_expired")],
        )
        .headers(&["www-authenticate"]),
        Step::new(
            "Bob's token is good, but lacks the scope that reading orders takes",
            ask(&token("bob"), "/orders/4711"),
            vec![
                Status(403),
                Header("www-authenticate", "insufficient_scope"),
                Logged("reason", "scope_missing"),
            ],
        )
        .headers(&["www-authenticate"]),
        Step::new(
            "Nobody can say for himself who he is: a client's own identity headers are removed, on open paths too",
            ask("-H 'x-user: root' -H 'x-authenticated-by: me'", "/public/prices"),
            vec![
                Status(200),
                SeesNo("x-user"),
                SeesNo("x-authenticated-by"),
                Logged("rule", "public"),
            ],
        )
        .upstream(&["x-user", "x-authenticated-by"]),
        Step::new(
            "A path that two parsers could read differently is refused",
            ask(&format!("--path-as-is {}", key("acme-2026")), "/users/..%2fadmin/orders"),
            vec![Status(400), Never("orders-")],
        ),
        Step::new(
            "A rule on trial (mode: shadow) lets through what it would refuse, and says so in the log",
            ask("", "/reports/2026"),
            vec![
                Status(200),
                Logged("rule", "reports"),
                Logged("decision", "shadow_deny"),
            ],
        )
        .upstream(&["x-user"]),
    ]);
    steps
}
