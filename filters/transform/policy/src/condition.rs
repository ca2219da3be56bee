//! For which messages an edit is.

use http_message::{HeaderMap, Occurrence};

use crate::direction::Direction;
use crate::template::{Needs, Sources};

/// Tests of a message that all have to hold; of the values of one, any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tests {
    pub(crate) groups: Vec<String>,
    pub(crate) plans: Vec<String>,
    pub(crate) statuses: Vec<StatusTest>,
    /// Types, in lower case: whole, or with `*` in place of the part behind the slash.
    pub(crate) content_types: Vec<String>,
}

/// When an edit is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    /// Only where these hold.
    pub(crate) when: Option<Tests>,
    /// But not where these do.
    pub(crate) unless: Option<Tests>,
}

/// A status, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusTest {
    Exact(u16),
    /// `2` for `2xx`.
    Class(u16),
}

/// What is to be done about an edit where nobody can tell whether its condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InDoubt {
    /// It takes something away: it is made.
    Make,
    /// It shows something: it is left out.
    LeaveOut,
}

impl Condition {
    /// Whether the edit is made to this message. Where there is no response yet, what depends on it is in doubt.
    pub(crate) fn holds(
        &self,
        sources: &Sources<'_>,
        direction: Direction,
        doubt: InDoubt,
    ) -> bool {
        let when = self
            .when
            .as_ref()
            .map_or(Some(true), |tests| tests.hold(sources, direction));
        let unless = self
            .unless
            .as_ref()
            .map_or(Some(false), |tests| tests.hold(sources, direction));
        match (when, unless) {
            (Some(false), _) | (_, Some(true)) => false,
            (Some(true), Some(false)) => true,
            (None, _) | (_, None) => doubt == InDoubt::Make,
        }
    }

    /// What has to be known for it.
    pub(crate) fn add_needs(&self, needs: &mut Needs) {
        let mut tests = self.when.iter().chain(&self.unless);
        needs.identity |= tests.any(|tests| !tests.groups.is_empty() || !tests.plans.is_empty());
    }
}

impl Tests {
    /// `None` where nobody can tell.
    fn hold(&self, sources: &Sources<'_>, direction: Direction) -> Option<bool> {
        let headers = match direction {
            Direction::Request => Some(sources.head.headers()),
            Direction::Response => sources.response,
        };
        let all = [
            self.has_group(sources),
            self.has_plan(sources),
            self.has_status(sources),
            self.has_type(headers),
        ];
        // One that fails settles it, whatever the others would say.
        if all.contains(&Some(false)) {
            return Some(false);
        }
        all.iter().all(Option::is_some).then_some(true)
    }

    fn has_group(&self, sources: &Sources<'_>) -> Option<bool> {
        let caller = sources.identity;
        if self.groups.is_empty() {
            return Some(true);
        }
        let is_in = |group: &String| caller.is_some_and(|caller| caller.groups.contains(group));
        Some(self.groups.iter().any(is_in))
    }

    fn has_plan(&self, sources: &Sources<'_>) -> Option<bool> {
        if self.plans.is_empty() {
            return Some(true);
        }
        let plan = sources.identity.and_then(|caller| caller.plan.as_ref());
        Some(plan.is_some_and(|plan| self.plans.contains(plan)))
    }

    fn has_status(&self, sources: &Sources<'_>) -> Option<bool> {
        if self.statuses.is_empty() {
            return Some(true);
        }
        let Occurrence::Once(status) = sources.response?.occurrence(":status") else {
            return None;
        };
        let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
        Some(self.statuses.iter().any(|test| test.is(status)))
    }

    fn has_type(&self, headers: Option<&HeaderMap>) -> Option<bool> {
        if self.content_types.is_empty() {
            return Some(true);
        }
        // Without a type, or with two, a reader may take the body for anything.
        let Occurrence::Once(content_type) = headers?.occurrence("content-type") else {
            return None;
        };
        let essence = content_type.split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        let is = |wanted: &String| match wanted.strip_suffix('*') {
            Some(family) => essence
                .get(..family.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(family.as_bytes())),
            None => essence.eq_ignore_ascii_case(wanted.as_bytes()),
        };
        Some(self.content_types.iter().any(is))
    }
}

impl StatusTest {
    fn is(self, status: u16) -> bool {
        match self {
            StatusTest::Exact(exact) => status == exact,
            StatusTest::Class(class) => status.div_euclid(100) == class,
        }
    }
}

#[cfg(test)]
mod tests;
