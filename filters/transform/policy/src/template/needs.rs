//! What has to be asked for to fill templates.

use super::property::Property;

/// What templates look at beside the heads of the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The record that auth has left.
    pub identity: bool,
    /// The name of the route.
    pub route: bool,
    /// The time.
    pub time: bool,
    /// These properties, each once.
    pub properties: Vec<Property>,
}

impl Needs {
    /// These and the others.
    pub fn add(&mut self, other: &Needs) {
        self.identity |= other.identity;
        self.route |= other.route;
        self.time |= other.time;
        for property in &other.properties {
            self.add_property(*property);
        }
    }

    pub(super) fn add_property(&mut self, property: Property) {
        if !self.properties.contains(&property) {
            self.properties.push(property);
        }
    }
}
