//! The tour: what is shown, in groups, a filter each.

mod callers;
mod calls;
mod changes;
mod limits;
mod surroundings;
mod versions;

use crate::places::Places;
use crate::step::Step;

/// Steps that show one thing.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// All of it.
pub(crate) fn tour(places: &Places) -> Vec<Group> {
    let group = |title, steps| Group { title, steps };
    vec![
        group("auth: who is calling, and may they", callers::steps(places)),
        group("rate-limit: how much they may call", limits::steps(places)),
        group(
            "transform: what requests and answers look like",
            changes::steps(places),
        ),
        group(
            "routing: which version, which service",
            versions::steps(places),
        ),
        group(
            "gRPC: one service, three ways to call it",
            calls::steps(places),
        ),
        group(
            "Envoy around them: browsers, compression, replicas",
            surroundings::steps(places),
        ),
    ]
}
