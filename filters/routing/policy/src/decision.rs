//! What is done with a request.

use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderValue, Problem, ProblemType, RequestHead,
};
use request_match::Mode;

use crate::call::TRACES;
use crate::config::Policy;
use crate::counters::Counter;
use crate::reason::Reason;
use crate::route_override::RouteMetadata;
use crate::version::{ApiVersion, UnknownStatus};

/// What the adapter does next.
#[derive(Debug)]
pub enum Step {
    /// Hand the request on, changed like this.
    Forward(Forward),
    /// Answer it here. The client gets the problem; the reason is for counters and the log.
    Reply(Problem, Reason),
}

/// A request that goes on.
#[derive(Debug)]
pub struct Forward {
    /// What to do to its headers.
    pub edits: HeaderEdits,
    /// What to write to filter state: names without the `wasm.` that the host puts in front, and values.
    pub state: Vec<(&'static str, HeaderValue)>,
    /// What to count.
    pub counters: Vec<Counter>,
    /// Why it would have been refused, were the mode `enforce`.
    pub shadowed: Option<Reason>,
    /// What the response is to tell besides.
    pub answer: Vec<(HeaderName, HeaderValue)>,
    /// What to look for in the response.
    pub watch: Option<Watch>,
}

/// What the response of a call is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Where its status and its time are counted: a place in [`Policy::statistics`].
    pub statistic: Option<usize>,
    /// Whether the router waits no longer than the filter has told it.
    pub deadline: bool,
}
/// What is known of a request besides its head. What [`Policy::needs`] does not name may be left out.
#[derive(Debug, Default)]
pub struct Facts {
    /// The record of the caller, as filter state has it.
    pub identity: Option<Vec<u8>>,
    /// The host's `source.address`.
    pub address: Option<Vec<u8>>,
    /// Random bytes, if [`Policy::needs_draw`] asks for them.
    pub draw: Option<[u8; 16]>,
    /// What the route says for itself.
    pub route: RouteMetadata,
}

impl Policy {
    /// Decides one request. Pure: the same head, the same step.
    pub fn decide(&self, head: &RequestHead, facts: &Facts) -> Step {
        let (mut forward, traced) = self.without_claims(head);
        if self.mode == Mode::Off {
            return Step::Forward(forward);
        }
        let findings = self.findings(head, facts);
        match findings.doubt {
            Some(reason) if self.mode == Mode::Enforce => {
                return Step::Reply(self.problem(reason), reason);
            }
            doubt => forward.shadowed = doubt.or(findings.shadowed),
        }
        // As many as most requests have.
        forward.counters = Vec::with_capacity(4);
        forward.state = Vec::with_capacity(4);
        self.label(&findings, traced, head, &mut forward);
        Step::Forward(forward)
    }

    /// The edits that a request's headers need, and its trailers, in every mode: what only this filter may write is taken out.
    /// Some upstreams take trailers for headers.
    pub fn without_copies(&self, headers: &HeaderMap) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for name in self.headers.patterns.matching(headers) {
            edits.remove(name);
        }
        edits
    }

    /// The request without what only this filter may write, and which traces of the transcoder it has: one look at each header.
    fn without_claims(&self, head: &RequestHead) -> (Forward, [bool; TRACES.len()]) {
        let (mut edits, mut traced) = (HeaderEdits::new(), [false; TRACES.len()]);
        for (name, _) in head.headers() {
            if !self.headers.may_concern(name) {
                continue;
            }
            if self.headers.patterns.matches(name) {
                edits.remove(name);
            }
            for (trace, found) in TRACES.iter().zip(&mut traced) {
                *found |= name.eq_ignore_ascii_case(trace.as_bytes());
            }
        }
        let forward = Forward {
            edits,
            state: Vec::new(),
            counters: Vec::new(),
            shadowed: None,
            answer: Vec::new(),
            watch: None,
        };
        (forward, traced)
    }

    fn problem(&self, reason: Reason) -> Problem {
        let about_version = is_about_version(reason);
        let headers = self.supported.iter().filter(|_| about_version);
        let unknown = self.versions.as_ref().and_then(|versions| versions.unknown);
        let status = match (reason.counter(), unknown) {
            (Counter::UnknownVersion, Some(UnknownStatus::NotFound)) => 404,
            (Counter::UnknownVersion, Some(UnknownStatus::NotAcceptable)) => 406,
            _ => reason.status(),
        };
        reason.problem_of(status, headers.cloned().collect())
    }

    /// What kind of problem a refusal tells: where a version is not served, those that are.
    pub fn problem_type(&self, reason: Reason) -> ProblemType {
        let versions = self.versions.iter().filter(|_| is_about_version(reason));
        let supported = versions.flat_map(|versions| &versions.supported);
        ProblemType {
            supported_versions: supported.map(ApiVersion::to_string).collect(),
            ..ProblemType::default()
        }
    }
}

fn is_about_version(reason: Reason) -> bool {
    matches!(
        reason.counter(),
        Counter::UnknownVersion | Counter::RetiredVersion
    )
}

#[cfg(test)]
mod tests;
