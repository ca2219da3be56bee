//! Path templates of REST twins, as Envoy's transcoder reads them.

use filter_config::{ConfigError, FieldPath};

use crate::path::canonical_pattern;

/// A template of `google.api.http`, with the whole of its grammar: `/shelves/{shelf}/books`, `/{name=shelves/*/books/**}`,
/// `/orders/{id}:cancel`.
///
/// The transcoder (grpc-httpjson-transcoding, `path_matcher.h`) takes the verb off the path, if it is one of a template, then
/// every `/` at the end, and compares the parts that are left. So `/orders/7/:cancel` is `/orders/{id}:cancel` to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RestTemplate {
    parts: Vec<Part>,
    verb: Option<Spelling>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Spelling),
    /// `*`: one part.
    One,
    /// `**`: any number of parts; at least one if literals follow.
    Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Spelling {
    raw: String,
    decoded: String,
}

/// How a path is written whose parts are compared. The transcoder compares what is on the wire; another may decode first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    Raw,
    Decoded,
}

/// How closely a template fits a path, the smaller the closer: for each part of the path whether it is a literal, `*` or `**`
/// of the template. The transcoder takes the closest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fit(Vec<u8>);

const LITERAL: u8 = 0;
const ONE: u8 = 1;
const REST: u8 = 2;

impl RestTemplate {
    pub(crate) fn compile(text: &str, at: &FieldPath) -> Result<RestTemplate, ConfigError> {
        let refuse = |reason: &str| Err(ConfigError::new(at, reason));
        let Some(relative) = text.strip_prefix('/') else {
            return refuse("must start with \"/\"");
        };
        let (segments, verb) = split_verb(relative);
        let Some(segments) = without_variables(segments) else {
            return refuse("a variable is whole segments: {name}, {name=**} or {name=a/*/b}");
        };
        let mut parts = Vec::new();
        for segment in segments.split('/') {
            parts.push(match segment {
                "*" => Part::One,
                "**" => Part::Rest,
                literal => Part::Literal(Spelling::compile(literal, at)?),
            });
        }
        // The root path has no parts.
        if matches!(parts.as_slice(), [Part::Literal(only)] if only.raw.is_empty()) {
            parts.clear();
        }
        if parts
            .iter()
            .any(|part| matches!(part, Part::Literal(literal) if literal.raw.is_empty()))
        {
            return refuse("an empty segment, which no REST path of a method has");
        }
        let mut after_rest = parts.iter().skip_while(|part| **part != Part::Rest).skip(1);
        if !after_rest.all(|part| matches!(part, Part::Literal(_))) {
            return refuse("behind ** only literals may follow");
        }
        let verb = match verb {
            None => None,
            Some(verb) if verb.is_empty() || verb.contains(['{', '}', '*', ':']) => {
                return refuse("a verb is a name, as in {id}:cancel");
            }
            Some(verb) => Some(Spelling::compile(verb, at)?),
        };
        Ok(RestTemplate { parts, verb })
    }

    /// Its verb; empty if it has none.
    pub(crate) fn verb(&self, writing: Writing) -> &[u8] {
        self.verb.as_ref().map_or(b"", |verb| verb.bytes(writing))
    }

    /// Whether it has the same parts as another, be the verb what it may.
    pub(crate) fn same_parts(&self, other: &RestTemplate) -> bool {
        self.parts == other.parts
    }

    /// How closely it fits the parts of a path, if it does.
    pub(crate) fn fit(&self, path: &[&[u8]], writing: Writing) -> Option<Fit> {
        let rest = self.parts.iter().position(|part| *part == Part::Rest);
        let (before, after) = match rest {
            None => (self.parts.as_slice(), None),
            Some(at) => (
                self.parts.get(..at)?,
                self.parts.get(at.saturating_add(1)..),
            ),
        };
        let (head, tail) = path.split_at_checked(before.len())?;
        let mut fit = Vec::with_capacity(path.len().saturating_add(1));
        for (part, text) in before.iter().zip(head) {
            fit.push(part.fit(text, writing)?);
        }
        let Some(after) = after else {
            return tail.is_empty().then_some(Fit(fit));
        };
        let (middle, end) = tail.split_at_checked(tail.len().checked_sub(after.len())?)?;
        match middle.split_first() {
            // Nothing for "**": a template that ends before it is closer.
            None if after.is_empty() => fit.push(ONE),
            None => return None,
            Some((first, others)) => {
                fit.push(Part::Rest.fit(first, writing)?);
                fit.extend(others.iter().map(|_| REST));
            }
        }
        for (part, text) in after.iter().zip(end) {
            fit.push(part.fit(text, writing)?);
        }
        Some(Fit(fit))
    }
}

impl Part {
    fn fit(&self, text: &[u8], writing: Writing) -> Option<u8> {
        match self {
            Part::Literal(literal) => (literal.bytes(writing) == text).then_some(LITERAL),
            // The transcoder looks for the text of a part among literals and wildcards alike.
            Part::One if text == b"*" => Some(LITERAL),
            Part::Rest if text == b"**" => Some(LITERAL),
            Part::One => Some(ONE),
            Part::Rest => Some(REST),
        }
    }
}

impl Spelling {
    fn compile(raw: &str, at: &FieldPath) -> Result<Spelling, ConfigError> {
        if raw.contains('*') {
            return Err(ConfigError::new(
                at,
                "\"*\" and \"**\" are whole segments; write %2A for the character",
            ));
        }
        let path = canonical_pattern(&format!("/{raw}"), at)?;
        let decoded = path.as_str().trim_start_matches('/').to_owned();
        Ok(Spelling {
            raw: raw.to_owned(),
            decoded,
        })
    }

    fn bytes(&self, writing: Writing) -> &[u8] {
        match writing {
            Writing::Raw => self.raw.as_bytes(),
            Writing::Decoded => self.decoded.as_bytes(),
        }
    }
}

/// The parts of a path without query, and the text behind its last colon if that `is_verb`, else nothing.
pub(crate) fn path_parts(path: &[u8], is_verb: impl Fn(&[u8]) -> bool) -> (Vec<&[u8]>, &[u8]) {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let last = relative
        .iter()
        .rposition(|byte| matches!(byte, b':' | b'/'));
    let (segments, verb) = match last.and_then(|at| relative.split_at_checked(at)) {
        Some((segments, [b':', verb @ ..])) if is_verb(verb) => (segments, verb),
        _ => (relative, &b""[..]),
    };
    let mut parts: Vec<&[u8]> = segments.split(|byte| *byte == b'/').collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    (parts, verb)
}

/// A template without its verb, and the verb.
fn split_verb(template: &str) -> (&str, Option<&str>) {
    match template.rfind([':', '/', '}']) {
        Some(at) if template.get(at..).is_some_and(|rest| rest.starts_with(':')) => template
            .split_at_checked(at)
            .map_or((template, None), |(segments, verb)| {
                (segments, verb.get(1..))
            }),
        _ => (template, None),
    }
}

/// The segments with each variable replaced by its pattern; `None` if one is no variable or not whole segments.
fn without_variables(segments: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = segments;
    while let Some((before, variable)) = rest.split_once('{') {
        let (inner, after) = variable.split_once('}')?;
        let (name, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
        let whole = (before.is_empty() || before.ends_with('/'))
            && (after.is_empty() || after.starts_with('/'));
        if !whole || !is_field_path(name) || before.contains('}') || pattern.contains('{') {
            return None;
        }
        text.push_str(before);
        text.push_str(pattern);
        rest = after;
    }
    (!rest.contains('}')).then(|| text + rest)
}

fn is_field_path(name: &str) -> bool {
    name.split('.').all(|field| {
        field
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && field
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Result<RestTemplate, String> {
        RestTemplate::compile(text, &FieldPath::root().field("template"))
            .map_err(|error| error.to_string())
    }

    fn fits(text: &str, path: &str) -> bool {
        let template = template(text).unwrap();
        let own = template.verb(Writing::Raw);
        let (parts, verb) = path_parts(path.as_bytes(), |verb| !verb.is_empty() && verb == own);
        verb == own && template.fit(&parts, Writing::Raw).is_some()
    }

    // The same table, and much more, is asked of a real transcoder: `grpc::twins` of the tests on Envoy.
    #[test]
    fn a_template_fits_what_the_transcoder_takes() {
        for (text, path, expected) in [
            ("/stock/{id}", "/stock/7", true),
            ("/stock/{id}", "/stock/7/", true),
            ("/stock/{id}", "/stock/7:x", true),
            ("/stock/{id}", "/stock", false),
            ("/stock/{id}", "/stock/", false),
            ("/stock/{id}", "/stock/7/x", false),
            ("/stock/{id}:cancel", "/stock/7:cancel", true),
            ("/stock/{id}:cancel", "/stock/7/:cancel", true),
            ("/stock/{id}:cancel", "/stock/7/cancel", false),
            ("/stock/{id}:cancel", "/stock/:cancel", false),
            ("/stock/{id}:cancel", "/stock/7:cancel/", false),
            ("/stock/{id}:cancel", "/stock/7", false),
            ("/stock:list", "/stock:list", true),
            ("/stock:list", "/stock/list", false),
            ("/{name=shelves/*/books/*}", "/shelves/1/books/2", true),
            ("/{name=shelves/*/books/*}", "/shelves/1/books", false),
            ("/v1/{name=**}", "/v1", true),
            ("/v1/{name=**}", "/v1/a/b", true),
            ("/v1/{name=**}:undo", "/v1/a/b:undo", true),
            ("/v1/{name=**}:undo", "/v1:undo", true),
            ("/v1/**/end", "/v1/a/end/end", true),
            ("/*/x", "/a/x", true),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            assert_eq!(fits(text, path), expected, "{text} on {path}");
        }
    }

    #[test]
    fn templates_that_cannot_match_are_refused() {
        for (text, reason) in [
            ("", "must start with \"/\""),
            ("stock/{id}", "must start with \"/\""),
            ("/a{id}", "whole segments"),
            ("/{id}b", "whole segments"),
            ("/{id", "whole segments"),
            ("/id}", "whole segments"),
            ("/{}", "whole segments"),
            ("/{1d}", "whole segments"),
            ("/{a}{b}", "whole segments"),
            ("/{a={b}}", "whole segments"),
            ("/a*", "whole segments"),
            ("/{id=***}", "whole segments"),
            ("/{rest=**}/{id}", "only literals"),
            ("/**/**", "only literals"),
            ("/{id}:", "a verb is a name"),
            ("/{id}:*", "a verb is a name"),
            ("/a//{id}", "an empty segment"),
            ("/{id}/", "an empty segment"),
            ("/a/../{id}", "dot segment"),
            ("/a%2fb/{id}", "encoded separator"),
            ("/a;b/{id}", "path parameter"),
            ("/{a}/b?c", "query"),
        ] {
            let error = template(text).unwrap_err();
            assert!(
                error.starts_with("template: ") && error.contains(reason),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        // A configuration is refused, never a panic; nor is there one for any path.
        #[test]
        fn any_text_is_a_template_or_an_error(text in "[/{}=*:a.%;?é]{0,16}", path in "[/*:a%]{0,12}") {
            if let Ok(template) = template(&text) {
                for verb in [true, false] {
                    let (parts, _) = path_parts(path.as_bytes(), |_| verb);
                    let _ = template.fit(&parts, Writing::Decoded);
                }
            }
        }
    }
}
