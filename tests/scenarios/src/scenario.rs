//! One row of a table.

use crate::expect::{Expect, Outcome};
use crate::request::Request;

/// A request, and what must come of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Unique, in words.
    pub name: &'static str,
    /// What would be broken if it came out otherwise.
    pub why: &'static str,
    /// An HTTP client library refuses to send it: it needs a socket. HTTP/1.1 unless [`http2`](Self::http2) is set as well.
    pub raw: bool,
    /// Only over HTTP/2: gRPC, and what Envoy's HTTP/1.1 parser refuses before any filter sees it.
    pub http2: bool,
    /// What the client sends.
    pub request: Request,
    /// What must come of it.
    pub expect: Expect,
}

impl Scenario {
    /// Compares what a vehicle saw with what must be. The error is one line for each difference.
    pub fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let differences = self
            .expect
            .differences(outcome, self.request.method == "HEAD");
        if differences.is_empty() {
            return Ok(());
        }
        let mut report = format!("{}: {}", self.name, self.why);
        for difference in differences {
            report.push_str("\n  ");
            report.push_str(&difference);
        }
        Err(report)
    }

    /// The same scenario, for a socket only.
    pub(crate) fn by_socket(mut self) -> Self {
        self.raw = true;
        self
    }

    /// The same scenario, over HTTP/2 only.
    pub(crate) fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }
}
