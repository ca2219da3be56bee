//! What has to be asked of the host for a request.

use crate::attribute::Attribute;
use crate::config::Policy;
use crate::key::KeyPart;

/// What has to be asked of the host for a request. Each is a call that returns data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The record that auth has written.
    pub identity: bool,
    /// The address of the client.
    pub address: bool,
    /// The name of the route.
    pub route: bool,
    /// These properties.
    pub attributes: Vec<Attribute>,
}

impl Policy {
    /// What the limits look at, besides the head.
    pub fn needs(&self) -> Needs {
        let any =
            |test: fn(&KeyPart) -> bool| self.active().any(|rule| rule.value.keys().any(test));
        let matches_identity = self.active().any(|rule| {
            rule.matcher.needs_identity()
                || rule.value.cost.needs_identity()
                || rule.value.plans.is_some()
        });
        Needs {
            identity: self.caller.is_of_auth()
                && (matches_identity || any(KeyPart::needs_identity)),
            address: any(KeyPart::needs_address),
            route: self
                .active()
                .any(|rule| rule.matcher.needs_route() || rule.value.cost.needs_route())
                || any(|part| matches!(part, KeyPart::Route)),
            attributes: self.attributes.clone(),
        }
    }

    /// The properties that the limits look at, each once.
    pub(crate) fn all_attributes(&self) -> Vec<Attribute> {
        let mut all: Vec<Attribute> = Vec::new();
        let mut add = |attribute: &Attribute| {
            if !all.contains(attribute) {
                all.push(attribute.clone());
            }
        };
        for rule in self.active() {
            for part in rule.value.keys() {
                if let KeyPart::Attribute(attribute) = part {
                    add(attribute);
                }
            }
            rule.value.override_at.iter().for_each(&mut add);
        }
        if self.active().next().is_some() {
            self.caller.attributes().into_iter().for_each(&mut add);
        }
        all
    }
}
