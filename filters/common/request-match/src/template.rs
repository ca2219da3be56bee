//! Path templates: `/users/{id}/orders/{rest=**}`.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::CanonicalPath;
use serde::Deserialize;

use crate::path::canonical_pattern;

/// A variable of a path template, whose value a filter reads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathParameterConfig")]
pub struct PathParameter {
    template: Template,
    /// Which segment it is, or the first of those that `{name=**}` stands for.
    index: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathParameterConfig {
    template: Text<1024>,
    name: Text<256>,
}

impl TryFrom<PathParameterConfig> for PathParameter {
    type Error = String;

    fn try_from(config: PathParameterConfig) -> Result<PathParameter, String> {
        let template = Template::compile(config.template.as_str(), &FieldPath::root())
            .map_err(|error| error.reason().to_owned())?;
        let parameter = template.parameter(config.name.as_str());
        // Of the rest of a path a client makes as many values as it likes.
        let parameter = parameter.filter(|found| found.index < found.template.segments.len());
        parameter.ok_or_else(|| {
            "the template has no variable of this name that stands for one segment".to_owned()
        })
    }
}

impl PathParameter {
    /// The value in a path that the template fits.
    pub fn value<'p>(&self, path: &'p CanonicalPath) -> Option<&'p str> {
        let value = match self.template.segments.get(self.index) {
            Some(Segment::Literal(_)) => None,
            Some(Segment::Variable { suffix, .. }) => {
                let segment = path.segments().nth(self.index)?;
                segment.strip_suffix(suffix.as_str())
            }
            // Without a segment there is nothing.
            None => {
                let relative = path.as_str().strip_prefix('/')?;
                relative
                    .splitn(self.index.saturating_add(1), '/')
                    .nth(self.index)
            }
        }?;
        self.template.matches(path).then_some(value)
    }
}

/// A path template, compared with decoded segments. A part of the grammar of `google.api.http`:
///
/// - `{name}` (or `{name=*}`) stands for one segment that is not empty; in the last segment a verb may follow, `{id}:cancel`;
/// - `{name=**}` stands for any number of segments, none too, and comes last;
/// - all else stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    /// The name of the `{name=**}` that follows the segments.
    pub(crate) rest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    /// Any text that is longer than the suffix and ends with it.
    Variable {
        name: String,
        suffix: String,
    },
}

impl Template {
    pub(crate) fn compile(text: &str, at: &FieldPath) -> Result<Template, ConfigError> {
        let refuse = |reason: &str| Err(ConfigError::new(at, reason));
        let Some(relative) = text.strip_prefix('/') else {
            return refuse("must start with \"/\"");
        };
        let mut segments = Vec::new();
        let mut rest = None;
        for segment in relative.split('/') {
            if rest.is_some() {
                return refuse("{name=**} may only be the last segment");
            }
            match variable(segment) {
                None if segment.contains(['{', '}']) => {
                    return refuse(
                        "a variable is a whole segment, {name} or {name=**}, or the last one with a verb, {name}:verb",
                    );
                }
                None if matches!(segment, "*" | "**") => {
                    return refuse("give the wildcard a name: {name} or {name=**}");
                }
                None => segments.push(Segment::Literal(segment.to_owned())),
                Some((name, "**", "")) => rest = Some(name.to_owned()),
                Some((name, "*", suffix)) => segments.push(Segment::Variable {
                    name: name.to_owned(),
                    suffix: suffix.to_owned(),
                }),
                Some(_) => {
                    return refuse(
                        "a variable is {name}, {name=*} or, as the last segment, {name=**}",
                    );
                }
            }
        }
        let verbs = segments.iter().rev().skip(usize::from(rest.is_none()));
        if verbs.into_iter().any(
            |segment| matches!(segment, Segment::Variable { suffix, .. } if !suffix.is_empty()),
        ) {
            return refuse("a verb may only follow the last segment");
        }
        let mut template = Template { segments, rest };
        template.decode(at)?;
        Ok(template)
    }

    /// The names of its variables, by the segment, and of what follows the segments.
    pub(crate) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        let names = self.segments.iter().map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Variable { name, .. } => Some(name.as_str()),
        });
        names.chain([self.rest.as_deref()])
    }

    /// The variable of this name; `None` if there is none, or more than one.
    pub(crate) fn parameter(&self, name: &str) -> Option<PathParameter> {
        let mut found = self
            .names()
            .enumerate()
            .filter(|(_, other)| *other == Some(name));
        let (index, _) = found.next()?;
        found.next().is_none().then(|| PathParameter {
            template: self.clone(),
            index,
        })
    }

    /// Whether the template fits the whole path.
    pub(crate) fn matches(&self, path: &CanonicalPath) -> bool {
        let mut segments = path.segments();
        self.segments.iter().all(|wanted| {
            segments
                .next()
                .is_some_and(|segment| wanted.matches(segment))
        }) && (self.rest.is_some() || segments.next().is_none())
    }

    /// Makes the literals canonical: decoded, and with whatever no request can have refused.
    fn decode(&mut self, at: &FieldPath) -> Result<(), ConfigError> {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Variable { suffix, .. } => {
                    text.push('x');
                    text.push_str(suffix);
                }
            }
        }
        if self.rest.is_some() {
            text.push_str("/x");
        }
        let path = canonical_pattern(&text, at)?;
        for (segment, decoded) in self.segments.iter_mut().zip(path.segments()) {
            match segment {
                Segment::Literal(literal) => decoded.clone_into(literal),
                Segment::Variable { suffix, .. } => {
                    decoded
                        .strip_prefix('x')
                        .unwrap_or_default()
                        .clone_into(suffix);
                }
            }
        }
        Ok(())
    }
}

impl Segment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Segment::Literal(literal) => segment == literal,
            Segment::Variable { suffix, .. } => {
                segment.len() > suffix.len() && segment.ends_with(suffix.as_str())
            }
        }
    }
}

/// The name, the pattern (`*` if none is given) and the suffix of a segment that is a variable.
fn variable(segment: &str) -> Option<(&str, &str, &str)> {
    let (inner, suffix) = segment.strip_prefix('{')?.split_once('}')?;
    let (name, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
    let is_name = name.split('.').all(|field| {
        field
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && field
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    let is_verb = suffix.is_empty()
        || (suffix.starts_with(':') && suffix.len() > 1 && !suffix.contains(['{', '}']));
    (is_name && is_verb).then_some((name, pattern, suffix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The value is what a limit counts by: two spellings of a path must not be two.
    #[test]
    fn a_parameter_is_read_where_the_template_fits() {
        let parameter = |template: &str, name: &str| {
            let config = serde_json::json!({ "template": template, "name": name });
            filter_config::from_value::<PathParameter>(config).map_err(|error| error.to_string())
        };
        let id = parameter("/v1/{kind}/{id}:cancel", "id").unwrap();
        let value = |text: &[u8]| {
            let path = CanonicalPath::parse(text).unwrap();
            id.value(&path).map(str::to_owned)
        };
        assert_eq!(value(b"/v1/orders/7:cancel").as_deref(), Some("7"));
        assert_eq!(value(b"/v1/orders/%37:cancel?x=1").as_deref(), Some("7"));
        for other in [
            &b"/v1/orders/7"[..],
            b"/v2/orders/7:cancel",
            b"/v1/orders/7:cancel/x",
        ] {
            assert_eq!(value(other), None);
        }
        for (template, name) in [
            ("/v1/{id}", "other"),
            ("/v1/{id=**}", "id"),
            ("/{id}/{id}", "id"),
            ("v1/{id}", "id"),
        ] {
            assert!(parameter(template, name).is_err(), "{template}");
        }
        assert!(parameter("/{rest}/{tail=**}", "rest").is_ok());
    }

    // What a rule's own template names: also the rest of a path, with its slashes.
    #[test]
    fn a_rest_is_read_whole() {
        let template = template("/files/{bucket}/{key=**}").unwrap();
        let value = |name: &str, target: &str| {
            let parameter = template.parameter(name).unwrap();
            parameter.value(&path(target)).map(str::to_owned)
        };
        for (name, target, expected) in [
            ("bucket", "/files/b/x/y", Some("b")),
            ("key", "/files/b/x/y%20z", Some("x/y z")),
            ("key", "/files/b/x/", Some("x/")),
            ("key", "/files/b/", Some("")),
            ("key", "/files/b", None),
            ("key", "/other/b/x", None),
        ] {
            assert_eq!(value(name, target).as_deref(), expected, "{name} {target}");
        }
        assert!(template.parameter("files").is_none());
    }

    fn template(text: &str) -> Result<Template, String> {
        Template::compile(text, &FieldPath::root().field("template"))
            .map_err(|error| error.to_string())
    }

    fn path(target: &str) -> CanonicalPath {
        CanonicalPath::parse(target.as_bytes()).unwrap()
    }

    #[test]
    fn variables_stand_for_whole_segments() {
        for (text, target, fits) in [
            ("/users/{id}", "/users/7", true),
            ("/users/{id}", "/%75sers/%37", true),
            ("/users/{id}", "/users/a%20b", true),
            ("/users/{id}", "/users/", false),
            ("/users/{id}", "/users", false),
            ("/users/{id}", "/users/7/", false),
            ("/users/{id}", "/users/7/orders", false),
            ("/users/{id}", "/user/7", false),
            ("/users/{id=*}", "/users/7", true),
            ("/users/{user.id}", "/users/7", true),
            ("/{a}/{b}", "/x/y", true),
            ("/{a}/{b}", "/x", false),
            ("/users/{id}/", "/users/7/", true),
            ("/users/{id}/", "/users/7", false),
            ("/users", "/users", true),
            ("/", "/", true),
            ("/", "/a", false),
            ("/a%20b/{c}", "/a%20b/1", true),
            ("/caf%C3%A9/{c}", "/café/1", true),
        ] {
            assert_eq!(
                template(text).unwrap().matches(&path(target)),
                fits,
                "{text} on {target}"
            );
        }
    }

    #[test]
    fn the_rest_is_any_number_of_segments() {
        for (text, target, fits) in [
            ("/users/{id}/{rest=**}", "/users/7/orders/1", true),
            ("/users/{id}/{rest=**}", "/users/7/", true),
            ("/users/{id}/{rest=**}", "/users/7", true),
            ("/users/{id}/{rest=**}", "/users", false),
            ("/users/{id}/{rest=**}", "/users/", false),
            ("/{rest=**}", "/", true),
            ("/{rest=**}", "/a/b/c", true),
        ] {
            assert_eq!(
                template(text).unwrap().matches(&path(target)),
                fits,
                "{text} on {target}"
            );
        }
    }

    #[test]
    fn a_verb_is_part_of_the_last_segment() {
        let cancel = template("/orders/{id}:cancel").unwrap();
        assert!(cancel.matches(&path("/orders/7:cancel")));
        assert!(cancel.matches(&path("/orders/7%3Acancel")));
        for target in [
            "/orders/7",
            "/orders/:cancel",
            "/orders/7:cancels",
            "/orders/7:cancel/x",
        ] {
            assert!(!cancel.matches(&path(target)), "{target}");
        }
        // The transcoder may or may not take ":cancel" for a verb, so the plain template fits too.
        assert!(
            template("/orders/{id}")
                .unwrap()
                .matches(&path("/orders/7:cancel"))
        );
    }

    #[test]
    fn templates_that_cannot_match_are_refused() {
        for (text, reason) in [
            ("users/{id}", "must start with \"/\""),
            ("", "must start with \"/\""),
            ("/{rest=**}/x", "only be the last segment"),
            ("/{rest=**}/", "only be the last segment"),
            ("/a{id}", "a whole segment"),
            ("/{id}b", "a whole segment"),
            ("/{id", "a whole segment"),
            ("/id}", "a whole segment"),
            ("/{}", "a whole segment"),
            ("/{1d}", "a whole segment"),
            ("/{a}{b}", "a whole segment"),
            ("/{name=shelves/*}", "a whole segment"),
            ("/{id}:", "a whole segment"),
            ("/{id=***}", "a variable is {name}"),
            ("/{id=x}", "a variable is {name}"),
            ("/{rest=**}:verb", "a variable is {name}"),
            ("/*", "give the wildcard a name"),
            ("/a/**", "give the wildcard a name"),
            ("/{id}:verb/x", "a verb may only follow"),
            ("/{id}:verb/{rest=**}", "a verb may only follow"),
            ("/a//{id}", "empty segment"),
            ("/a/../{id}", "dot segment"),
            ("/a%2f{id}", "a whole segment"),
            ("/a%2fb/{id}", "encoded separator"),
            ("/a;b/{id}", "path parameter"),
            ("/{id}:a;b", "path parameter"),
            ("/a?b={c}", "a whole segment"),
            ("/{a}/b?c", "query"),
            ("/{a}/b#c", "fragment"),
        ] {
            let error = template(text).unwrap_err();
            assert!(
                error.starts_with("template: ") && error.contains(reason),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        // A template in which each segment of a path is a literal or a variable fits that path.
        #[test]
        fn a_template_made_of_a_path_fits_it(
            segments in proptest::collection::vec(("[a-z0-9_-]{1,4}", any::<bool>()), 1..6),
            open in any::<bool>(),
        ) {
            let target: String = segments.iter().map(|(text, _)| format!("/{text}")).collect();
            let mut text: String = segments.iter()
                .map(|(text, literal)| if *literal { format!("/{text}") } else { "/{v}".to_owned() })
                .collect();
            if open {
                text.push_str("/{rest=**}");
            }
            let template = template(&text).unwrap();
            prop_assert!(template.matches(&path(&target)));
            prop_assert_eq!(template.matches(&path(&format!("{target}/more"))), open);
        }

        // A configuration is refused, never a panic.
        #[test]
        fn any_text_is_a_template_or_an_error(text in "[/{}=*:a.%;?é]{0,16}") {
            let _ = template(&text);
        }
    }
}
