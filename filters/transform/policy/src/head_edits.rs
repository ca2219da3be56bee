//! The header edits of one rule, for one direction.

use http_message::{
    HeaderEdit, HeaderEdits, HeaderMap, HeaderName, HeaderPattern, HeaderValue,
    RESERVED_REQUEST_HEADERS, same_spelling,
};

use crate::condition::{Condition, InDoubt};
use crate::direction::Direction;
use crate::template::{Needs, Sources, Template};
use crate::value::{InvalidValue, Value};

/// Edits in the order of the document, each made on the head as the edits before it leave it.
#[derive(Debug)]
pub(crate) struct HeadEdits {
    pub(crate) direction: Direction,
    pub(crate) edits: Vec<HeadEdit>,
    /// Of those that are not for every message, by their place.
    pub(crate) conditions: Vec<(usize, Condition)>,
}

/// One edit.
#[derive(Debug)]
pub(crate) enum HeadEdit {
    /// This is the only value.
    Set(HeaderName, Value),
    /// This is the value where there is none.
    Add(HeaderName, Value),
    /// One more value.
    Append(HeaderName, Value),
    /// Gone, however it is spelled.
    Remove(HeaderName),
    /// Every name that begins so is gone, however it is spelled.
    RemovePrefix(HeaderPattern),
    /// Every value moves, and replaces what the other name had. Nothing to move: nothing is done.
    Rename { from: HeaderName, to: HeaderName },
    /// As `Rename`, and the old name keeps its values.
    Copy { from: HeaderName, to: HeaderName },
    /// Everything else is gone, but for what a message cannot do without.
    KeepOnly(Vec<KeptName>),
    /// Of several values these stay.
    Dedupe(HeaderName, Keep),
}

/// Which of a header's values stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keep {
    First,
    Last,
    /// Of values that are alike the first.
    Unique,
}

/// A name that stays, spelled so and not otherwise.
#[derive(Debug)]
pub(crate) struct KeptName {
    /// In lower case.
    pub(crate) name: String,
    /// Every name that begins so.
    pub(crate) prefix: bool,
}

/// What `keep_only` leaves in a message of either direction, beside what filters never write: what Envoy, gRPC, an upgrade and
/// the filters of the chain go by, and what joins the traces of a request.
const KEPT: [&str; 8] = [
    "b3",
    "forwarded",
    "http2-settings",
    "traceparent",
    "tracestate",
    "x-grpc-web",
    "x-request-id",
    "x-user-agent",
];
const KEPT_FAMILIES: [&str; 7] = [
    "connect-",
    "grpc-",
    "sec-websocket-",
    "x-b3-",
    "x-envoy-",
    "x-forwarded-",
    "x-gatehouse-",
];

/// What it leaves in a response beside these: a cache that is not told would give one caller's answer to another, and
/// routing, whose answer passes here, tells of versions that end.
const KEPT_IN_RESPONSES: [&str; 5] = ["date", "deprecation", "link", "sunset", "vary"];

/// Headers that have one value (Fetch standard section 3.3), which Envoy joins with a comma where two came.
const JOINED: [&str; 3] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-max-age",
];

/// Headers that frame a response or say what its body is.
pub(crate) const RESERVED_RESPONSE_HEADERS: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl HeadEdits {
    pub(crate) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Puts these in front.
    pub(crate) fn prepend(&mut self, edits: impl IntoIterator<Item = HeadEdit>) {
        let behind = self.edits.len();
        self.edits.splice(0..0, edits);
        let shift = self.edits.len().saturating_sub(behind);
        for (index, _) in &mut self.conditions {
            *index = index.saturating_add(shift);
        }
    }

    /// The names that the edits write whole, so that no one else's copy may stay.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &HeaderName> {
        self.edits.iter().filter_map(HeadEdit::owned)
    }

    /// Adds the edits for these headers, after those that are there. Templates and conditions see the message as `sources`
    /// have it, before any of them.
    ///
    /// # Errors
    /// A value is none that may stand in a header.
    pub(crate) fn apply(
        &self,
        headers: &HeaderMap,
        sources: &Sources<'_>,
        edits: &mut HeaderEdits,
    ) -> Result<(), InvalidValue> {
        for (index, edit) in self.edits.iter().enumerate() {
            if !self.conditions.is_empty() && !self.is_for(index, edit, sources) {
                continue;
            }
            match edit {
                // What most rules do, and nothing has to be looked at for it.
                HeadEdit::Set(name, Value::Fixed(value)) => edits.set(name.clone(), value.clone()),
                edit => self.apply_one(edit, headers, sources, edits)?,
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn apply_one(
        &self,
        edit: &HeadEdit,
        headers: &HeaderMap,
        sources: &Sources<'_>,
        edits: &mut HeaderEdits,
    ) -> Result<(), InvalidValue> {
        match edit {
            HeadEdit::Set(name, value) => match value.text(sources)? {
                Some(value) => edits.set(name.clone(), value),
                None => edits.remove(name.as_bytes()),
            },
            HeadEdit::Append(name, value) => {
                if let Some(value) = value.text(sources)? {
                    edits.append(name.clone(), value);
                }
            }
            HeadEdit::Add(name, value) => {
                if let Some(value) = value.text(sources)?
                    && values(name, headers, edits).is_ok_and(|values| values.is_empty())
                {
                    edits.append(name.clone(), value);
                }
            }
            HeadEdit::Rename { from, to } => {
                let values = values(from, headers, edits)?;
                if !values.is_empty() {
                    edits.remove(from.as_bytes());
                    replace(to, values, edits);
                }
            }
            HeadEdit::Copy { from, to } => {
                let values = values(from, headers, edits)?;
                if !values.is_empty() {
                    replace(to, values, edits);
                }
            }
            HeadEdit::Dedupe(name, keep) => {
                if headers.get_all(name.as_str()).count() == 1
                    && !edits.knows_all(name.as_bytes(), headers)
                {
                    return Ok(());
                }
                let values = values(name, headers, edits)?;
                let mut reduced = values.clone();
                if JOINED.contains(&name.as_str()) {
                    reduced = reduced.iter().flat_map(parts).collect();
                }
                keep.reduce(&mut reduced);
                if reduced != values {
                    replace(name, reduced, edits);
                }
            }
            HeadEdit::Remove(_) | HeadEdit::RemovePrefix(_) | HeadEdit::KeepOnly(_) => {
                self.remove(edit, headers, edits);
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn is_for(&self, index: usize, edit: &HeadEdit, sources: &Sources<'_>) -> bool {
        let mut conditions = self.conditions.iter().filter(|(of, _)| *of == index);
        conditions.all(|(_, condition)| condition.holds(sources, self.direction, edit.in_doubt()))
    }

    /// What has to be known to make them.
    pub(crate) fn add_needs(&self, needs: &mut Needs) {
        for template in self.edits.iter().filter_map(HeadEdit::template) {
            needs.add(&template.needs());
        }
        for (_, condition) in &self.conditions {
            condition.add_needs(needs);
        }
    }

    /// Whether [`HeadEdits::removals`] may have something to remove.
    pub(crate) fn removes(&self) -> bool {
        self.edits.iter().any(HeadEdit::is_removal)
    }

    /// Adds the removals alone, as trailers need them: what may not be in the head does not come behind it. Their conditions
    /// do not count here: what one of them is for may be hidden once too often.
    pub(crate) fn removals(&self, headers: &HeaderMap, edits: &mut HeaderEdits) {
        for edit in self.edits.iter().filter(|edit| edit.is_removal()) {
            self.remove(edit, headers, edits);
        }
    }

    fn remove(&self, edit: &HeadEdit, headers: &HeaderMap, edits: &mut HeaderEdits) {
        let is_meant = |name: &[u8]| match edit {
            HeadEdit::Remove(removed) => same_spelling(removed.as_bytes(), name),
            HeadEdit::RemovePrefix(prefix) => {
                prefix.matches(name) && !self.direction.is_reserved_as_spelled(name)
            }
            HeadEdit::KeepOnly(kept) => {
                !kept.iter().any(|kept| kept.is(name)) && !self.direction.keeps(name)
            }
            _ => false,
        };
        let written = edits.iter().map(HeaderEdit::name);
        let mut removals: Vec<HeaderEdit> = Vec::new();
        for name in headers.iter().map(|(name, _)| name).chain(written) {
            if is_meant(name) && !removals.iter().any(|removal| removal.name() == name) {
                let name = name.to_vec();
                removals.push(HeaderEdit::Remove { name });
            }
        }
        edits.extend(removals);
    }
}

impl HeadEdit {
    /// The name that this writes whole, so that no one else's copy may stay.
    fn owned(&self) -> Option<&HeaderName> {
        match self {
            HeadEdit::Set(name, _)
            | HeadEdit::Rename { to: name, .. }
            | HeadEdit::Copy { to: name, .. } => Some(name),
            _ => None,
        }
    }

    /// The name that has a value, or may have one, after this.
    pub(crate) fn written(&self) -> Option<&HeaderName> {
        match self {
            HeadEdit::Add(name, _) | HeadEdit::Append(name, _) => Some(name),
            _ => self.owned(),
        }
    }

    /// The template of its value.
    pub(crate) fn template(&self) -> Option<&Template> {
        match self {
            HeadEdit::Set(_, value) | HeadEdit::Add(_, value) | HeadEdit::Append(_, value) => {
                value.template()
            }
            _ => None,
        }
    }

    fn in_doubt(&self) -> InDoubt {
        match self {
            HeadEdit::Set(..) => InDoubt::Make,
            edit if edit.is_removal() => InDoubt::Make,
            _ => InDoubt::LeaveOut,
        }
    }

    fn is_removal(&self) -> bool {
        matches!(
            self,
            HeadEdit::Remove(_) | HeadEdit::RemovePrefix(_) | HeadEdit::KeepOnly(_)
        )
    }
}

impl Keep {
    fn reduce(self, values: &mut Vec<HeaderValue>) {
        match self {
            Keep::First => values.truncate(1),
            Keep::Last => drop(values.drain(..values.len().saturating_sub(1))),
            Keep::Unique => {
                let mut seen: Vec<HeaderValue> = Vec::new();
                values.retain(|value| {
                    let is_new = !seen.contains(value);
                    if is_new {
                        seen.push(value.clone());
                    }
                    is_new
                });
            }
        }
    }
}

impl KeptName {
    fn is(&self, name: &[u8]) -> bool {
        match self.prefix {
            true => is_in_family(name, &self.name),
            false => name.eq_ignore_ascii_case(self.name.as_bytes()),
        }
    }
}

impl Direction {
    /// Whether no edit may remove the header by its family or for being no other.
    fn is_reserved_as_spelled(self, name: &[u8]) -> bool {
        let reserved: &[&str] = match self {
            Direction::Request => &RESERVED_REQUEST_HEADERS,
            Direction::Response => &RESERVED_RESPONSE_HEADERS,
        };
        is_one_of(name, reserved) || self == Direction::Response && is_in_family(name, "grpc-")
    }

    /// Whether `keep_only` leaves the header, whatever it names.
    fn keeps(self, name: &[u8]) -> bool {
        self.is_reserved_as_spelled(name)
            || name.starts_with(b":")
            || is_one_of(name, &KEPT)
            || KEPT_FAMILIES
                .iter()
                .any(|family| is_in_family(name, family))
            || self == Direction::Response && is_one_of(name, &KEPT_IN_RESPONSES)
    }
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

fn is_in_family(name: &[u8], family: &str) -> bool {
    name.get(..family.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(family.as_bytes()))
}

/// The values that a header has by now.
///
/// # Errors
/// One is longer than a value that is written may be: nothing can be said of what is left of them.
fn values(
    name: &HeaderName,
    headers: &HeaderMap,
    edits: &HeaderEdits,
) -> Result<Vec<HeaderValue>, InvalidValue> {
    match edits.knows_all(name.as_bytes(), headers) {
        true => Ok(edits.values(name.as_bytes(), headers)),
        false => Err(InvalidValue),
    }
}

/// The values that were joined with commas.
fn parts(value: &HeaderValue) -> impl Iterator<Item = HeaderValue> {
    let parts = value.as_bytes().split(|byte| *byte == b',');
    parts.filter_map(|part| HeaderValue::try_from(part.trim_ascii()).ok())
}

/// Makes these the only values of the header.
fn replace(name: &HeaderName, values: Vec<HeaderValue>, edits: &mut HeaderEdits) {
    edits.remove(name.as_bytes());
    for value in values {
        edits.append(name.clone(), value);
    }
}

#[cfg(test)]
mod tests;
