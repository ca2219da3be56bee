//! What a template may look at, by the place where it stands.

use request_match::RequestMatch;

use crate::direction::Direction;

/// The place of a template: in which rule, for which message.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The message that it is for. A request has no response yet.
    pub direction: Direction,
    /// The rule's match, whose path template names the parameters of the path.
    pub matcher: &'a RequestMatch,
    /// The names that the rule captures.
    pub captures: &'a [String],
}
