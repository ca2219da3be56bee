//! What a vehicle saw of an exchange, and how that differs from what a fact expects.

use crate::facts::Expect;

/// What was seen. Names of headers are lower-case; of several headers with one name the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The response's status; zero if there was none.
    pub status: u16,
    /// The response's headers.
    pub headers: Vec<(String, String)>,
    /// The response's body.
    pub body: String,
    /// The headers that the upstream got; none if the request did not reach it.
    pub upstream_headers: Vec<(String, String)>,
    /// The body that the upstream got.
    pub upstream_body: String,
    /// The name of the route that was taken.
    pub route: String,
}

impl Observation {
    /// A line for each thing that is not as expected.
    #[must_use]
    pub fn differences(&self, expect: &Expect) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, seen: &str, expected: &str| {
            if seen != expected {
                found.push(format!("{what} is {seen:?}, not {expected:?}"));
            }
        };
        let status = self.status.to_string();
        compare("status", &status, &expect.status.to_string());
        for (name, value) in expect.headers {
            let name = match name.strip_prefix('=') {
                Some(plain) => plain.to_owned(),
                None => format!("x-probe-{name}"),
            };
            compare(&name, first(&self.headers, &name), value);
        }
        // An operation that the filter did not understand tried nothing.
        compare("x-probe-error", first(&self.headers, "x-probe-error"), "");
        for (name, value) in expect.upstream_headers {
            let what = format!("upstream {name}");
            compare(&what, first(&self.upstream_headers, name), value);
        }
        let texts = [
            ("body", &self.body, expect.body),
            ("upstream body", &self.upstream_body, expect.upstream_body),
            ("route", &self.route, expect.route),
        ];
        for (what, seen, expected) in texts {
            compare(what, seen, expected.unwrap_or(seen));
        }
        found
    }
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let found = headers.iter().find(|(candidate, _)| candidate == name);
    found.map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::FACTS;

    // A comparison that finds nothing would make every fact hold.
    #[test]
    fn nothing_seen_is_never_as_expected() {
        for fact in FACTS {
            for exchange in fact.exchanges {
                let nothing = Observation::default();
                assert!(!nothing.differences(&exchange.expect).is_empty());
            }
        }
    }
}
