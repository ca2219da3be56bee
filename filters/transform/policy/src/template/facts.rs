//! What the host tells about a request beside its head.

use std::time::Duration;

use super::property::Property;
use crate::presets::DRAW_BYTES;

/// Attributes of a request, each asked for once, and only where a rule looks at it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The name of the route.
    pub route: Option<Vec<u8>>,
    /// The record that auth has left, as the host hands it over.
    pub identity: Option<Vec<u8>>,
    /// Random bytes, where a rule may have to make something of them.
    pub draw: Option<[u8; DRAW_BYTES]>,
    properties: Vec<(Property, Vec<u8>)>,
    now: Option<Duration>,
}

impl Facts {
    /// Adds a property, in the host's bytes.
    pub fn add(&mut self, property: Property, value: Vec<u8>) {
        self.properties.push((property, value));
    }

    /// Whatever the rule needs has been asked for, at `now`, the time since the Unix epoch.
    pub fn complete(&mut self, now: Duration) {
        self.now = Some(now);
    }

    /// When it was complete.
    pub(crate) fn completed(&self) -> Option<Duration> {
        self.now
    }

    pub(super) fn get(&self, property: Property) -> Option<&[u8]> {
        let mut found = self.properties.iter().filter(|(is, _)| *is == property);
        found.next().map(|(_, value)| value.as_slice())
    }

    /// What a response may be made of: the record has been read by then.
    pub(crate) fn for_response(&self) -> Facts {
        Facts {
            route: self.route.clone(),
            identity: None,
            draw: None,
            properties: self.properties.clone(),
            now: self.now,
        }
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        let properties = self.properties.iter().map(|(_, value)| value.len());
        let others = [&self.route, &self.identity];
        let others = others.into_iter().flatten().map(Vec::len);
        others.chain(properties).fold(0, usize::saturating_add)
    }
}
