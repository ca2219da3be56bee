//! The language of the request header.
//!
//! `phase: operation argument …; operation … | phase: …`, for example
//! `request-headers: route before; set-header edit request x-pick yes; route after`. An operation's first
//! argument is the key under which it reports, if it does. What is not understood is reported as an error.

/// When operations are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `on_http_request_headers`.
    RequestHeaders,
    /// Each `on_http_request_body`.
    RequestBody,
    /// `on_http_request_trailers`.
    RequestTrailers,
    /// `on_http_response_headers`; it also takes the reports.
    ResponseHeaders,
    /// Each `on_http_response_body`.
    ResponseBody,
    /// `on_http_response_trailers`.
    ResponseTrailers,
    /// `on_http_call_response` of the stream.
    Answer,
    /// The next `on_tick` of the root context, acting on the stream.
    Tick,
    /// The next `on_queue_ready` of the root context, acting on the stream.
    Queue,
}

impl Phase {
    fn parse(name: &str) -> Option<Phase> {
        Some(match name {
            "request-headers" => Phase::RequestHeaders,
            "request-body" => Phase::RequestBody,
            "request-trailers" => Phase::RequestTrailers,
            "response-headers" => Phase::ResponseHeaders,
            "response-body" => Phase::ResponseBody,
            "response-trailers" => Phase::ResponseTrailers,
            "answer" => Phase::Answer,
            "tick" => Phase::Tick,
            "queue" => Phase::Queue,
            _ => return None,
        })
    }
}

/// One operation: its name and arguments.
pub type Operation = Vec<String>;

/// What to do, phase by phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<(Phase, Vec<Operation>)>);

impl Script {
    /// Reads a script; parts with an unknown phase are left out.
    #[must_use]
    pub fn parse(text: &str) -> Script {
        let part = |part: &str| {
            let (phase, operations) = part.split_once(':')?;
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
            let operations = operations.split(';').map(words).collect();
            Some((Phase::parse(phase.trim())?, operations))
        };
        Script(text.split('|').filter_map(part).collect())
    }

    /// The operations of a phase, in order.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Vec<Operation> {
        self.0
            .iter()
            .filter(|(candidate, _)| *candidate == phase)
            .flat_map(|(_, operations)| operations.clone())
            .collect()
    }

    /// Whether any phase has that operation.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let named = |operation: &Operation| operation.first().is_some_and(|first| first == name);
        self.0
            .iter()
            .any(|(_, operations)| operations.iter().any(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A fact whose script is read otherwise than meant would try nothing.
    #[test]
    fn a_script_is_read_phase_by_phase() {
        let script = Script::parse("request-headers: route a; pause | tick: gone b");
        assert_eq!(
            script.of(Phase::RequestHeaders),
            [vec!["route", "a"], vec!["pause"]]
        );
        assert_eq!(script.of(Phase::Tick), [["gone", "b"]]);
        assert!(script.of(Phase::RequestBody).is_empty());
        assert!(script.has("gone") && !script.has("trap"));
    }
}
