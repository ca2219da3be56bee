//! What of the operations on a body depends on the message.

use filter_config::{ConfigError, FieldPath};
use json_stream::{Bindings, Slot, Text};
use serde_json::Value;

use crate::condition::{Condition, InDoubt};
use crate::direction::Direction;
use crate::json_template::JsonTemplate;
use crate::template::{Needs, Scope, Sources, Template};
use crate::value::InvalidValue;

/// The templates and conditions of a program.
#[derive(Clone, Debug)]
pub(crate) struct Variables {
    direction: Direction,
    /// Of each slot of the program.
    values: Vec<JsonTemplate>,
    /// Of those operations that are not for every message, by their place.
    conditions: Vec<(usize, Condition, InDoubt)>,
    operations: usize,
    /// A body is read also where no operation is for it: there are limits that it has to keep.
    has_limits: bool,
}

impl Variables {
    pub(crate) fn new(direction: Direction, has_limits: bool) -> Variables {
        Variables {
            direction,
            values: Vec::new(),
            conditions: Vec::new(),
            operations: 0,
            has_limits,
        }
    }

    /// What an operation writes: the value, or the slot of one that has a template in it.
    pub(crate) fn text(
        &mut self,
        value: Value,
        scope: Scope<'_>,
        at: &FieldPath,
    ) -> Result<Text, ConfigError> {
        match JsonTemplate::compile(value, scope, at)? {
            JsonTemplate::Fixed(value) => Ok(Text::from(&value)),
            template => {
                let slot = Slot(self.values.len());
                self.values.push(template);
                Ok(Text::Slot(slot))
            }
        }
    }

    /// Counts one more operation.
    pub(crate) fn add_operation(&mut self, condition: Option<Condition>, doubt: InDoubt) {
        let of_this = condition.map(|condition| (self.operations, condition, doubt));
        self.conditions.extend(of_this);
        self.operations = self.operations.saturating_add(1);
    }

    /// Whether an operation may be for this message, as far as it is known by now.
    pub(crate) fn may_apply(&self, sources: &Sources<'_>) -> bool {
        let is_out = |(_, condition, _): &&(usize, Condition, InDoubt)| {
            !condition.holds(sources, self.direction, InDoubt::Make)
        };
        self.has_limits || self.conditions.iter().filter(is_out).count() < self.operations
    }

    /// The values and operations for this message; `None` if no operation is for it, and its body need not be read.
    ///
    /// # Errors
    /// A value would be too long.
    pub(crate) fn bind(&self, sources: &Sources<'_>) -> Result<Option<Bindings>, InvalidValue> {
        let left_out: Vec<usize> = self
            .conditions
            .iter()
            .filter(|(_, condition, doubt)| !condition.holds(sources, self.direction, *doubt))
            .map(|(operation, ..)| *operation)
            .collect();
        if left_out.len() == self.operations && !self.has_limits {
            return Ok(None);
        }
        let values = self.values.iter().map(|value| value.fill(sources));
        let values = values
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| InvalidValue)?;
        let mut bindings = Bindings::new(values);
        for operation in left_out {
            bindings.leave_out(operation);
        }
        Ok(Some(bindings))
    }

    /// What has to be known for them.
    pub(crate) fn add_needs(&self, needs: &mut Needs) {
        for template in self.templates() {
            needs.add(&template.needs());
        }
        for (_, condition, _) in &self.conditions {
            condition.add_needs(needs);
        }
    }

    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.values.iter().flat_map(JsonTemplate::templates)
    }
}
