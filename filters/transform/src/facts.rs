//! Reads what a request is decided by beside its head.

use std::time::Duration;

use http_message::RequestHead;
use proxy_host::{HostError, clock, property, random};
use transform_policy::{DRAW_BYTES, Facts, Needs, Policy};

const ROUTE: [&str; 2] = ["xds", "route_name"];
const IDENTITY: [&str; 2] = ["filter_state", "wasm.gatehouse.identity"];

/// What matches look at, and presets: one more call for each, where a rule does.
pub(crate) fn read(policy: &Policy, head: &RequestHead) -> Result<Facts, HostError> {
    let mut facts = Facts::default();
    if policy.needs_route() {
        facts.route = property::get(&ROUTE)?;
    }
    if policy.needs_identity() {
        facts.identity = property::get(&IDENTITY)?;
    }
    if policy.needs_draw(head) {
        let mut bytes = [0; DRAW_BYTES];
        random::fill(&mut bytes)?;
        facts.draw = Some(bytes);
    }
    Ok(facts)
}

/// What templates and conditions of the rule that is in force look at: again a call for each, but none twice.
pub(crate) fn complete(facts: &mut Facts, needs: &Needs) -> Result<(), HostError> {
    if needs.route && facts.route.is_none() {
        facts.route = property::get(&ROUTE)?;
    }
    if needs.identity && facts.identity.is_none() {
        facts.identity = property::get(&IDENTITY)?;
    }
    for one in &needs.properties {
        if let Some(value) = property::get(&one.path())? {
            facts.add(*one, value);
        }
    }
    facts.complete(match needs.time {
        true => clock::realtime(),
        false => Duration::ZERO,
    });
    Ok(())
}
