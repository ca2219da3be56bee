//! A path template whose variables are read.

use filter_config::{ConfigError, FieldPath};
use http_message::CanonicalPath;

use crate::template::{Segment, Template};

/// A template as `match.path.template` has it: `/users/{id}/{rest=**}`, with its variables by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    template: Template,
    names: Vec<String>,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, also that a name comes twice.
    pub fn compile(text: &str, at: &FieldPath) -> Result<PathTemplate, ConfigError> {
        let template = Template::compile(text, at)?;
        let mut names: Vec<String> = Vec::new();
        for name in template.names().flatten() {
            if names.iter().any(|other| other == name) {
                return Err(ConfigError::new(at, "two variables have the same name"));
            }
            names.push(name.to_owned());
        }
        Ok(PathTemplate { template, names })
    }

    /// The names of its variables, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The values of its variables, in order, in a path that it fits. That of `{name=**}` is everything behind the slash in
    /// front of it; it is absent where the path ends before that slash.
    pub fn values<'p>(&self, path: &'p CanonicalPath) -> Option<Vec<Option<&'p str>>> {
        if !self.template.matches(path) {
            return None;
        }
        let mut values = Vec::with_capacity(self.names.len());
        let mut rest = path.as_str().strip_prefix('/');
        for wanted in &self.template.segments {
            let (segment, after) = match rest?.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (rest?, None),
            };
            rest = after;
            if let Segment::Variable { suffix, .. } = wanted {
                values.push(Some(segment.strip_suffix(suffix.as_str())?));
            }
        }
        if self.template.rest.is_some() {
            values.push(rest);
        }
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_path() {
        for (text, target, values) in [
            (
                "/api/{version}/users/{id}",
                "/api/v2/users/%37",
                Some(vec![Some("v2"), Some("7")]),
            ),
            ("/api/{version}/users/{id}", "/api/v2/orders/7", None),
            ("/a/{rest=**}", "/a/b/c", Some(vec![Some("b/c")])),
            ("/a/{rest=**}", "/a/", Some(vec![Some("")])),
            ("/a/{rest=**}", "/a", Some(vec![None])),
            ("/{rest=**}", "/", Some(vec![Some("")])),
            ("/o/{id}:cancel", "/o/7:cancel", Some(vec![Some("7")])),
            ("/a", "/a", Some(vec![])),
        ] {
            let template = PathTemplate::compile(text, &FieldPath::root()).unwrap();
            let path = CanonicalPath::parse(target.as_bytes()).unwrap();
            assert_eq!(template.values(&path), values, "{text} on {target}");
        }
        let template = PathTemplate::compile("/{a}/{b=**}", &FieldPath::root()).unwrap();
        assert_eq!(template.names(), ["a", "b"]);
        assert!(PathTemplate::compile("/{a}/{a}", &FieldPath::root()).is_err());
    }
}
