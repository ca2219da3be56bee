//! Which rule applies, and what it asks for.

use crate::expect::{Header, UpstreamSees};
use crate::gateway::{PARTNER_KEY, READER_KEY};
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{forbidden, passes, scenario, token, unauthorized};

pub(super) fn table() -> Vec<Scenario> {
    let partner = || Credential::ApiKey(PARTNER_KEY);
    let reader = || Credential::ApiKey(READER_KEY);
    vec![
        scenario(
            "the health route is open",
            "a load balancer has no credentials",
            Request::get("/health"),
            UpstreamSees::default().path("/health"),
        ),
        scenario(
            "an open route gives no identity",
            "an upstream must not take an anonymous caller for somebody",
            Request::get("/public/news"),
            passes()
                .absent("x-user")
                .absent("x-consumer")
                .absent("x-groups")
                .absent("x-scopes")
                .absent("x-plan"),
        ),
        scenario(
            "an open route of one method is closed to others",
            "what allows GET does not allow DELETE",
            Request::new("DELETE", "/health"),
            unauthorized(),
        ),
        scenario(
            "no rule, no credential",
            "what nobody thought of is closed",
            Request::get("/nowhere"),
            unauthorized(),
        ),
        scenario(
            "no rule, a valid credential",
            "what nobody thought of is closed to everybody; 401 would ask for a credential that was given",
            Request::get("/nowhere").with(partner()),
            forbidden(),
        ),
        scenario(
            "an exact path is not a prefix",
            "an exemption must not grow",
            Request::get("/health/secrets"),
            unauthorized(),
        ),
        scenario(
            "a prefix ends at a segment",
            "/publicity is not below /public",
            Request::get("/publicity"),
            unauthorized(),
        ),
        scenario(
            "a rule that is off is as if it were not there",
            "an operator takes a rule out with mode off, and expects it gone",
            Request::get("/retired"),
            unauthorized(),
        ),
        scenario(
            "a method that the rule does not list",
            "POST is not allowed because GET is",
            Request::new("POST", "/users").with(partner()),
            forbidden(),
        ),
        scenario(
            "HEAD where the rule lists it",
            "listed is allowed",
            Request::new("HEAD", "/users").with(partner()),
            passes().is("x-consumer", "acme"),
        ),
        scenario(
            "HEAD where the rule lists only GET",
            "no method is implied by another",
            Request::new("HEAD", "/orders").with(partner()),
            forbidden(),
        ),
        scenario(
            "OPTIONS without a credential",
            "a preflight that cors has declined gets no exemption",
            Request::new("OPTIONS", "/users")
                .header("origin", "https://elsewhere.test")
                .header("access-control-request-method", "GET"),
            unauthorized(),
        ),
        scenario(
            "TRACE without a credential",
            "an unusual method is not exempt",
            Request::new("TRACE", "/users"),
            unauthorized(),
        ),
        scenario(
            "a lower-case method is another method",
            "methods are case-sensitive (RFC 9110 section 9.1), and an upstream may think otherwise",
            Request::new("get", "/users").with(partner()),
            forbidden(),
        )
        .over_http2(),
        scenario(
            "a method override is not believed",
            "rules look at the method, not at what a header says of it",
            Request::new("POST", "/users")
                .header("x-http-method-override", "GET")
                .with(partner()),
            forbidden(),
        ),
        scenario(
            "any: the first credential",
            "either is enough",
            Request::get("/orders").with(partner()),
            passes().is("x-consumer", "acme").is("x-plan", "gold"),
        ),
        scenario(
            "any: the second credential",
            "either is enough",
            Request::get("/orders").bearer(
                token()
                    .claim("scope", "orders:read orders:write")
                    .claim("groups", vec!["staff", "night"]),
            ),
            passes().is("x-user", "alice"),
        ),
        scenario(
            "a scope is missing",
            "a valid key without the scope is not enough",
            Request::get("/orders").with(reader()),
            forbidden(),
        ),
        scenario(
            "a token's scope is missing",
            "the challenge tells the client what to ask its issuer for (RFC 6750 section 3.1)",
            Request::get("/orders").bearer(token().claim("groups", vec!["staff"])),
            forbidden().and(Header::Contains("www-authenticate", "insufficient_scope")),
        ),
        scenario(
            "part of a scope's name is not the scope",
            "scopes are compared whole",
            Request::get("/orders").bearer(
                token()
                    .claim("scope", "orders:reader read orders")
                    .claim("groups", vec!["staff"]),
            ),
            forbidden(),
        ),
        scenario(
            "a group is missing",
            "a valid token outside the group is not enough",
            Request::get("/orders").bearer(
                token()
                    .claim("scope", "orders:read")
                    .claim("groups", vec!["guests"]),
            ),
            forbidden(),
        ),
        scenario(
            "all: both credentials",
            "the rule names what comes together",
            Request::get("/admin")
                .with(partner())
                .bearer(token().claim("groups", vec!["admins"])),
            passes().is("x-user", "alice"),
        ),
        scenario(
            "all: only the key",
            "half of what is required is nothing",
            Request::get("/admin").with(partner()),
            unauthorized(),
        ),
        scenario(
            "all: only the token",
            "half of what is required is nothing",
            Request::get("/admin").bearer(token().claim("groups", vec!["admins"])),
            unauthorized(),
        ),
        scenario(
            "all: both, but not in the group",
            "credentials say who, groups say what",
            Request::get("/admin").with(partner()).bearer(token()),
            forbidden(),
        ),
        scenario(
            "a shadow rule refuses nobody",
            "an operator tries a rule before it counts",
            Request::get("/preview"),
            UpstreamSees::default().path("/preview").absent("x-user"),
        ),
        scenario(
            "a shadow rule refuses no caller without the scope",
            "an operator tries a rule before it counts, and callers go on as who they are",
            Request::get("/preview").bearer(token()),
            passes(),
        ),
        scenario(
            "a refused HEAD request",
            "a reply to HEAD has no body, and the connection must stay in step",
            Request::new("HEAD", "/users"),
            unauthorized(),
        ),
        scenario(
            "the challenge names what would be taken",
            "a client that sends nothing is told what to send (RFC 9110 section 11.6.1)",
            Request::get("/users"),
            unauthorized()
                .and(Header::Contains("www-authenticate", "Bearer realm"))
                .and(Header::Contains("www-authenticate", "ApiKey realm"))
                .and(Header::Lacks("www-authenticate", "error=")),
        ),
    ]
}
