//! What the host has told about a request beside its head.

use proxy_host::{HostError, clock, property};
use transform_policy::{Facts, Needs};

/// Attributes of a request, each read once, and only if a rule looks at it.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) route: Option<Vec<u8>>,
    pub(crate) identity: Option<Vec<u8>>,
    /// What templates look at.
    pub(crate) facts: Option<Facts>,
}

impl Known {
    /// Reads the route.
    pub(crate) fn add_route(&mut self) -> Result<(), HostError> {
        if self.route.is_none() {
            self.route = property::get(&["xds", "route_name"])?;
        }
        Ok(())
    }

    /// Reads the record of the caller.
    pub(crate) fn add_identity(&mut self) -> Result<(), HostError> {
        if self.identity.is_none() {
            self.identity = property::get(&["filter_state", "wasm.gatehouse.identity"])?;
        }
        Ok(())
    }

    /// Reads what else a rule needs.
    pub(crate) fn add(&mut self, needs: &Needs) -> Result<(), HostError> {
        if needs.route {
            self.add_route()?;
        }
        if needs.identity {
            self.add_identity()?;
        }
        let mut facts = match needs.time {
            true => Facts::at(clock::realtime()),
            false => Facts::default(),
        };
        for one in &needs.properties {
            if let Some(value) = property::get(&one.path())? {
                facts.add(*one, value);
            }
        }
        self.facts = Some(facts);
        Ok(())
    }
}
