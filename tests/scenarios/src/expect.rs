//! What must come of a request, and what came of it.

use serde_json::Value;

/// What must come of a request.
#[derive(Clone, Debug)]
pub enum Expect {
    /// The upstream gets it, like this, and its answer reaches the client.
    Upstream(UpstreamSees),
    /// A filter refuses it, like this, and the upstream sees nothing.
    Refused(Refusal),
}

/// A request as the upstream must see it.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSees {
    /// Path and query, byte for byte.
    pub path: Option<&'static str>,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Its body, byte for byte.
    pub body: Option<&'static str>,
    /// The body of its answer as the client gets it, byte for byte.
    pub answered: Option<&'static str>,
    /// The headers of its answer as the client gets it.
    pub told: Vec<Header>,
}

/// A refusal as the client must see it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status; 200 for gRPC and gRPC-Web, where the status proper is [`grpc_status`](Self::grpc_status).
    pub status: u16,
    /// `grpc-status` as a header; absent from every other reply.
    pub grpc_status: Option<u32>,
    /// `title` of the problem (RFC 9457), `code` of a Connect error, or `grpc-message`.
    pub title: Option<&'static str>,
    /// Its headers.
    pub headers: Vec<Header>,
}

/// What must be true of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// Occurs once, with this value.
    Is(&'static str, &'static str),
    /// Occurs, and one of its values contains this text.
    Contains(&'static str, &'static str),
    /// Occurs, and no value of it contains this text.
    Lacks(&'static str, &'static str),
    /// Does not occur.
    Absent(&'static str),
}

/// What came of a request, as a vehicle saw it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The status that the client got, as HTTP.
    pub status: u16,
    /// The response's headers, names in lower case. For a gRPC reply without a body these are its trailers, too.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The response's body.
    pub body: Vec<u8>,
    /// The request that the upstream got, if it got one.
    pub upstream: Option<Seen>,
}

/// A request as an upstream saw it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Path and query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl UpstreamSees {
    /// With this path and query.
    pub fn path(mut self, path: &'static str) -> Self {
        self.path = Some(path);
        self
    }

    /// With this header, once.
    pub fn is(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push(Header::Is(name, value));
        self
    }

    /// With this body.
    pub fn body(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    /// And the client gets this body in answer.
    pub fn answered(mut self, body: &'static str) -> Self {
        self.answered = Some(body);
        self
    }

    /// And the client gets this header in answer, once.
    pub fn told(mut self, name: &'static str, value: &'static str) -> Self {
        self.told.push(Header::Is(name, value));
        self
    }

    /// And the client gets no such header.
    pub fn untold(mut self, name: &'static str) -> Self {
        self.told.push(Header::Absent(name));
        self
    }

    /// Without this header.
    pub fn absent(mut self, name: &'static str) -> Self {
        self.headers.push(Header::Absent(name));
        self
    }
}

impl From<UpstreamSees> for Expect {
    fn from(sees: UpstreamSees) -> Self {
        Expect::Upstream(sees)
    }
}

impl Refusal {
    /// Refused with this status, as problem+json of this title that nobody may store.
    pub fn http(status: u16, title: &'static str) -> Self {
        Refusal {
            status,
            grpc_status: None,
            title: Some(title),
            headers: vec![
                Header::Is("content-type", "application/problem+json"),
                Header::Is("cache-control", "no-store"),
                Header::Absent("grpc-message"),
            ],
        }
    }

    /// Refused with this status and code, as a Connect client reads them.
    pub fn connect(status: u16, code: &'static str) -> Self {
        Refusal {
            status,
            grpc_status: None,
            title: Some(code),
            headers: vec![
                Header::Is("content-type", "application/json"),
                Header::Is("cache-control", "no-store"),
            ],
        }
    }

    /// Refused with this gRPC status, as a gRPC client reads it.
    pub fn grpc(grpc_status: u32, title: &'static str) -> Self {
        Refusal {
            status: 200,
            grpc_status: Some(grpc_status),
            title: Some(title),
            headers: vec![Header::Contains("content-type", "application/grpc")],
        }
    }

    /// Refused with this status by Envoy or by a filter, in whatever form.
    pub fn bare(status: u16) -> Self {
        Refusal {
            status,
            grpc_status: None,
            title: None,
            headers: Vec::new(),
        }
    }

    /// With something that must be true of a header.
    pub fn and(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }
}

impl From<Refusal> for Expect {
    fn from(refusal: Refusal) -> Self {
        Expect::Refused(refusal)
    }
}

impl Expect {
    /// One line for each difference. `head` is a HEAD request, whose reply has no body.
    pub(crate) fn differences(&self, outcome: &Outcome, head: bool) -> Vec<String> {
        let mut found = Vec::new();
        match (self, &outcome.upstream) {
            (
                Expect::Upstream(sees),
                Some(Seen {
                    path,
                    headers,
                    body,
                }),
            ) => {
                let bodies = [
                    ("upstream", sees.body, body),
                    ("response", sees.answered, &outcome.body),
                ];
                for (side, wanted, is) in bodies {
                    if let Some(wanted) = wanted.filter(|wanted| wanted.as_bytes() != is) {
                        let is = String::from_utf8_lossy(is);
                        found.push(format!("{side} body is {is:?}, not {wanted:?}"));
                    }
                }
                if let Some(wanted) = sees.path.filter(|wanted| wanted != path) {
                    found.push(format!("upstream path is {path:?}, not {wanted:?}"));
                }
                differences(&sees.headers, headers, "upstream", &mut found);
                differences(&sees.told, &outcome.headers, "response", &mut found);
                if outcome.status != 200 {
                    found.push(format!(
                        "status is {}, not the upstream's 200",
                        outcome.status
                    ));
                }
            }
            (Expect::Upstream(_), None) => found.push(format!(
                "refused with {} {:?}, but must reach the upstream",
                outcome.status,
                String::from_utf8_lossy(&outcome.body)
            )),
            (Expect::Refused(refusal), upstream) => {
                if upstream.is_some() {
                    found.push("reached the upstream, but must be refused".to_owned());
                }
                refusal.differences(outcome, head, &mut found);
            }
        }
        found
    }
}

impl Refusal {
    fn differences(&self, outcome: &Outcome, head: bool, found: &mut Vec<String>) {
        if outcome.status != self.status {
            found.push(format!("status is {}, not {}", outcome.status, self.status));
        }
        let grpc_status = values(&outcome.headers, "grpc-status")
            .next()
            .map(|value| String::from_utf8_lossy(value).into_owned());
        let wanted = self.grpc_status.map(|status| status.to_string());
        if grpc_status != wanted {
            found.push(format!("grpc-status is {grpc_status:?}, not {wanted:?}"));
        }
        if let Some(title) = self.title {
            let is = match self.grpc_status {
                Some(_) => values(&outcome.headers, "grpc-message")
                    .next()
                    .map(|value| String::from_utf8_lossy(value).into_owned()),
                None if head => Some(title.to_owned()),
                None => serde_json::from_slice::<Value>(&outcome.body)
                    .ok()
                    .and_then(|body| {
                        let title = body.get("title").or_else(|| body.get("code"))?;
                        Some(title.as_str()?.to_owned())
                    }),
            };
            if is.as_deref() != Some(title) {
                found.push(format!("title is {is:?}, not {title:?}"));
            }
        }
        differences(&self.headers, &outcome.headers, "response", found);
    }
}

fn differences(
    wanted: &[Header],
    headers: &[(String, Vec<u8>)],
    side: &str,
    found: &mut Vec<String>,
) {
    for header in wanted {
        let holds = match header {
            Header::Is(name, value) => values(headers, name).eq([value.as_bytes()]),
            Header::Contains(name, text) => {
                values(headers, name).any(|value| contains(value, text))
            }
            Header::Lacks(name, text) => {
                values(headers, name).next().is_some()
                    && !values(headers, name).any(|value| contains(value, text))
            }
            Header::Absent(name) => values(headers, name).next().is_none(),
        };
        if !holds {
            let (Header::Is(name, _)
            | Header::Contains(name, _)
            | Header::Lacks(name, _)
            | Header::Absent(name)) = header;
            let is: Vec<_> = values(headers, name).map(String::from_utf8_lossy).collect();
            found.push(format!(
                "{side} header {name} is {is:?}, but must be {header:?}"
            ));
        }
    }
}

fn values<'a>(headers: &'a [(String, Vec<u8>)], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |(is, _)| is == name)
        .map(|(_, value)| value.as_slice())
}

fn contains(value: &[u8], text: &str) -> bool {
    value
        .windows(text.len().max(1))
        .any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
        Outcome {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.as_bytes().to_vec(),
            upstream: None,
        }
    }

    const PROBLEM: [(&str, &str); 2] = [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
    ];

    // A comparison that finds no difference proves every scenario.
    #[test]
    fn every_difference_is_found() {
        let expect: Expect = Refusal::http(401, "Unauthorized").into();
        let body = r#"{"title":"Unauthorized"}"#;
        assert!(
            expect
                .differences(&refused(401, &PROBLEM, body), false)
                .is_empty()
        );
        for (outcome, difference) in [
            (refused(403, &PROBLEM, body), "status is 403, not 401"),
            (refused(401, &PROBLEM, "{}"), "title is None"),
            (
                refused(401, &PROBLEM[..1], body),
                "response header cache-control is []",
            ),
            (
                refused(401, &[PROBLEM[0], PROBLEM[1], ("grpc-status", "16")], body),
                "grpc-status is Some(\"16\"), not None",
            ),
        ] {
            let found = expect.differences(&outcome, false);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(difference), "{found:?}");
        }
        let bodies: Expect = UpstreamSees::default().body("a").answered("b").into();
        let found = |sent: &str, got: &str| {
            let upstream = Some(Seen {
                body: sent.into(),
                ..Seen::default()
            });
            let outcome = Outcome {
                status: 200,
                body: got.into(),
                upstream,
                ..Outcome::default()
            };
            bodies.differences(&outcome, false).len()
        };
        assert_eq!((found("a", "b"), found("b", "b"), found("", "")), (0, 1, 2));
        let told: Expect = UpstreamSees::default()
            .told("x-a", "1")
            .untold("x-b")
            .into();
        let found = |headers: &[(&str, &str)]| {
            let reached = Outcome {
                upstream: Some(Seen::default()),
                ..refused(200, headers, "")
            };
            told.differences(&reached, false).len()
        };
        let good = [("x-a", "1")];
        let bad = [("x-a", "2"), ("x-b", "1")];
        assert_eq!((found(&good), found(&bad), found(&[])), (0, 2, 1));
        let reached = Outcome {
            upstream: Some(Seen::default()),
            ..refused(401, &PROBLEM, body)
        };
        assert_eq!(expect.differences(&reached, false).len(), 1);
    }

    #[test]
    fn a_request_that_must_reach_the_upstream_is_compared_with_what_it_saw() {
        let expect: Expect = UpstreamSees::default()
            .path("/a")
            .is("x-user", "alice")
            .absent("authorization")
            .into();
        let saw = |path: &str, headers: &[(&str, &str)]| Outcome {
            status: 200,
            upstream: Some(Seen {
                path: path.to_owned(),
                headers: refused(0, headers, "").headers,
                body: Vec::new(),
            }),
            ..Outcome::default()
        };
        assert!(
            expect
                .differences(&saw("/a", &[("x-user", "alice")]), false)
                .is_empty()
        );
        for outcome in [
            saw("/b", &[("x-user", "alice")]),
            saw("/a", &[]),
            saw("/a", &[("x-user", "alice"), ("x-user", "alice")]),
            saw("/a", &[("x-user", "alice"), ("authorization", "Bearer")]),
            refused(401, &PROBLEM, ""),
        ] {
            assert_eq!(expect.differences(&outcome, false).len(), 1, "{outcome:?}");
        }
    }

    #[test]
    fn a_grpc_refusal_is_read_from_its_headers() {
        let expect: Expect = Refusal::grpc(7, "Forbidden").into();
        let headers = [
            ("content-type", "application/grpc"),
            ("grpc-status", "7"),
            ("grpc-message", "Forbidden"),
        ];
        assert!(
            expect
                .differences(&refused(200, &headers, ""), false)
                .is_empty()
        );
        assert_eq!(
            expect
                .differences(&refused(200, &headers[..2], ""), false)
                .len(),
            1
        );
    }
}
