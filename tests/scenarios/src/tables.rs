//! The tables, one file a subject.

mod admission;
mod credentials;
mod groups;
mod grpc;
mod limits;
mod methods;
mod paths;
mod rules;
mod spoofing;
mod tokens;
mod transform;
mod versions;

use crate::expect::{Expect, Header, Refusal, UpstreamSees};
use crate::request::Request;
use crate::scenario::Scenario;
use crate::token::{Key, TokenSpec};

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        admission::table(),
        rules::table(),
        credentials::table(),
        tokens::table(),
        spoofing::table(),
        paths::table(),
        versions::table(),
        methods::table(),
        groups::table(),
        transform::table(),
        grpc::table(),
        limits::table(),
    ]
    .concat()
}

fn scenario(
    name: &'static str,
    why: &'static str,
    request: Request,
    expect: impl Into<Expect>,
) -> Scenario {
    Scenario {
        name,
        why,
        raw: false,
        http2: false,
        request,
        expect: expect.into(),
    }
}

/// Reaches the upstream, which sees no credential.
fn passes() -> UpstreamSees {
    UpstreamSees::default()
        .absent("authorization")
        .absent("x-api-key")
}

/// Has no valid credential.
fn unauthorized() -> Refusal {
    Refusal::http(401, "Unauthorized")
        .and(Header::Contains("www-authenticate", "realm=\"scenarios\""))
}

/// Has a valid credential, which is not enough.
fn forbidden() -> Refusal {
    Refusal::http(403, "Forbidden")
}

/// Has a path that can be read in two ways.
fn ambiguous_path() -> Refusal {
    Refusal::http(400, "Bad Request")
}

/// A good token of alice's.
fn token() -> TokenSpec {
    TokenSpec::new(Key::Es256)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // Two of one name could not be told apart in a report.
    #[test]
    fn names_are_unique_and_say_something() {
        let scenarios = all();
        let names: BTreeSet<_> = scenarios.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), scenarios.len());
        assert!(scenarios.len() >= 40, "{}", scenarios.len());
        for scenario in scenarios {
            assert!(scenario.why.len() > 10, "{}: why?", scenario.name);
        }
    }

    // A vehicle takes names as they are: an upper-case one would be refused by an HTTP/2 client, not by a filter.
    #[test]
    fn header_names_are_lower_case_and_not_framing() {
        for scenario in all() {
            for (name, _) in &scenario.request.headers {
                assert_eq!(*name, name.to_ascii_lowercase(), "{}", scenario.name);
                assert!(
                    !["host", "content-length", "transfer-encoding"].contains(name),
                    "{}",
                    scenario.name
                );
            }
        }
    }
}
