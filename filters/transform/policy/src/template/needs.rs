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
    /// What bodies have told.
    pub captures: bool,
    /// These properties, each once.
    pub properties: Vec<Property>,
}

impl Needs {
    /// Whether there is nothing to ask for.
    pub fn is_empty(&self) -> bool {
        *self == Needs::default()
    }

    /// These and the others.
    pub fn add(&mut self, other: &Needs) {
        self.identity |= other.identity;
        self.route |= other.route;
        self.time |= other.time;
        self.captures |= other.captures;
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
