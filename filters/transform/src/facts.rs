//! Reads what a request is decided by beside its head.

use proxy_host::{HostError, clock, property};
use transform_policy::{Facts, Needs, Policy};

const ROUTE: [&str; 2] = ["xds", "route_name"];
const IDENTITY: [&str; 2] = ["filter_state", "wasm.gatehouse.identity"];

/// What matches look at: one more call that returns data for each, where a rule does.
pub(crate) fn read(policy: &Policy) -> Result<Facts, HostError> {
    let mut facts = Facts::default();
    if policy.needs_route() {
        facts.route = property::get(&ROUTE)?;
    }
    if policy.needs_identity() {
        facts.identity = property::get(&IDENTITY)?;
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
        false => std::time::Duration::ZERO,
    });
    Ok(())
}
