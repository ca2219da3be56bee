//! Another path.

use filter_config::{ConfigError, FieldPath};
use http_message::CanonicalPath;
use regex_lite::Regex;
use request_match::PathTemplate;

use crate::reason::Reason;
use crate::template::{Sources, Template};

/// A rewrite, whose result lies under one of `allowed`.
#[derive(Debug)]
pub(crate) struct PathRewrite {
    pub(crate) rewriting: Rewriting,
    pub(crate) allowed: Vec<CanonicalPath>,
}

/// What becomes of a path in canonical form.
#[derive(Debug)]
pub(crate) enum Rewriting {
    /// `from` at its start becomes `to`, by whole segments.
    Prefix {
        from: CanonicalPath,
        to: CanonicalPath,
    },
    /// Where the template fits the whole of it, these take its place.
    Template { from: PathTemplate, to: Vec<Part> },
    /// These take the place of the first match. Not of all: to look for the next from each place would take the square of
    /// the path's length.
    Regex { pattern: Regex, to: Vec<Part> },
}

/// A part of what a path becomes, decoded.
#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    /// The variable, or the group, of that number.
    Value(usize),
    /// What the request has for it, within one segment.
    Template(Template),
}

impl PathRewrite {
    /// The path that it leads to, encoded, or nothing if it is not for this path.
    pub(crate) fn apply(
        &self,
        path: &CanonicalPath,
        sources: &Sources<'_>,
    ) -> Result<Option<String>, Reason> {
        let Some(joined) = self.rewriting.apply(path, sources)? else {
            return Ok(None);
        };
        let target =
            CanonicalPath::parse(encode(&joined).as_bytes()).map_err(|_| Reason::PathNotAllowed)?;
        match self.allowed.iter().any(|allowed| target.is_under(allowed)) {
            true => Ok(Some(target.encode())),
            false => Err(Reason::PathNotAllowed),
        }
    }
}

impl Rewriting {
    fn apply(&self, path: &CanonicalPath, sources: &Sources<'_>) -> Result<Option<String>, Reason> {
        if let Rewriting::Template { from, to } = self {
            return match from.values(path) {
                Some(values) => join_template(to, &values, sources).map(Some),
                None => Ok(None),
            };
        }
        Ok(self.replace(path))
    }

    fn replace(&self, path: &CanonicalPath) -> Option<String> {
        match self {
            Rewriting::Prefix { from, to } => {
                if !path.is_under(from) {
                    return None;
                }
                let rest = path.as_str().strip_prefix(from.as_str())?;
                Some(join(to.as_str(), rest))
            }
            Rewriting::Template { .. } => None,
            Rewriting::Regex { pattern, to } => {
                let groups = pattern.captures(path.as_str())?;
                let found = groups.get(0)?;
                let mut joined = path.as_str().get(..found.start())?.to_owned();
                for part in to {
                    match part {
                        Part::Text(text) => joined.push_str(text),
                        Part::Value(index) => {
                            joined.push_str(groups.get(*index).map_or("", |group| group.as_str()));
                        }
                        // A substitution has none.
                        Part::Template(_) => {}
                    }
                }
                joined.push_str(path.as_str().get(found.end()..)?);
                Some(joined)
            }
        }
    }
}

/// The path that a template of paths becomes.
fn join_template(
    to: &[Part],
    values: &[Option<&str>],
    sources: &Sources<'_>,
) -> Result<String, Reason> {
    let mut joined = String::new();
    for part in to {
        match part {
            Part::Text(text) => joined.push_str(text),
            Part::Value(index) => match values.get(*index).copied().flatten() {
                Some(value) => joined.push_str(value),
                // There is nothing behind the slash, and no slash either.
                None if joined.len() > 1 && joined.ends_with('/') => {
                    joined.pop();
                }
                None => {}
            },
            Part::Template(template) => {
                let value = template.fill(sources, CanonicalPath::MAX_BYTES).ok();
                let value = value.and_then(|value| String::from_utf8(value).ok());
                // More than one segment would be a path of the client's choice; none, that of another thing.
                let value = value.filter(|value| !value.is_empty() && !value.contains('/'));
                joined.push_str(&value.ok_or(Reason::PathNotAllowed)?);
            }
        }
    }
    Ok(joined)
}

/// `rest` behind another prefix.
fn join(to: &str, rest: &str) -> String {
    match (to.strip_suffix('/'), rest.strip_prefix('/')) {
        // A prefix that ends with a slash has taken the one between it and the rest.
        (Some(to), None) if !rest.is_empty() => format!("{to}/{rest}"),
        (Some(to), Some(rest)) => format!("{to}/{rest}"),
        (None, None) if !rest.is_empty() => format!("{to}/{rest}"),
        _ => format!("{to}{rest}"),
    }
}

/// The joined path is decoded; only what would be read otherwise is encoded again.
pub(crate) fn encode(joined: &str) -> String {
    let mut encoded = String::with_capacity(joined.len());
    for letter in joined.chars() {
        match letter {
            '%' => encoded.push_str("%25"),
            '?' => encoded.push_str("%3F"),
            '#' => encoded.push_str("%23"),
            ' ' => encoded.push_str("%20"),
            letter => encoded.push(letter),
        }
    }
    encoded
}

impl PathRewrite {
    /// Its templates.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let parts = match &self.rewriting {
            Rewriting::Template { to, .. } => to.as_slice(),
            Rewriting::Prefix { .. } | Rewriting::Regex { .. } => &[],
        };
        parts.iter().filter_map(|part| match part {
            Part::Template(template) => Some(template),
            Part::Text(_) | Part::Value(_) => None,
        })
    }

    /// Refuses a rewrite that can never lead to where it may.
    pub(crate) fn check(&self, at: &FieldPath) -> Result<(), ConfigError> {
        let leads = match &self.rewriting {
            Rewriting::Prefix { to, .. } => self
                .allowed
                .iter()
                .any(|allowed| to.is_under(allowed) || allowed.is_under(to)),
            Rewriting::Template { to, .. } => self.may_begin_with(to, to.len() > 1),
            // Where anything may stand in front of the match, anything may stand in front of what becomes of it.
            Rewriting::Regex { pattern, to } => {
                let pattern = pattern.as_str();
                !pattern.starts_with('^') || pattern.contains('|') || self.may_begin_with(to, true)
            }
        };
        match leads {
            true => Ok(()),
            false => Err(ConfigError::new(at, "leads to none of allowed_paths")),
        }
    }

    /// Whether a path that begins as these do may be under one that is allowed. `open`: something may follow.
    fn may_begin_with(&self, to: &[Part], open: bool) -> bool {
        let Some(Part::Text(start)) = to.first() else {
            return true;
        };
        self.allowed.iter().any(|allowed| {
            let allowed = allowed.as_str();
            match start.strip_prefix(allowed) {
                Some(rest) => {
                    open || rest.is_empty() || rest.starts_with('/') || allowed.ends_with('/')
                }
                None => open && allowed.starts_with(start.as_str()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
