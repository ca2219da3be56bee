//! Another path, as it is written and checked.

use std::borrow::Cow;

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::CanonicalPath;
use percent_encoding::percent_decode_str;
use regex_lite::RegexBuilder;
use request_match::PathTemplate;
use serde::Deserialize;

use crate::path_rewrite::{Part, PathRewrite, Rewriting, encode};
use crate::template::{Parsed, Scope, Template};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathConfig {
    strip_prefix: Option<Text<1024>>,
    replace_prefix: Option<FromToConfig>,
    template: Option<FromToConfig>,
    regex: Option<RegexConfig>,
    allowed_paths: BoundedList<Text<1024>, 1, 64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromToConfig {
    from: Text<1024>,
    to: Text<1024>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegexConfig {
    pattern: Text<512>,
    substitution: Text<1024>,
}

/// What a compiled pattern may take, in bytes. The time that a match takes is at most in proportion to it, and to the path.
const MAX_REGEX_BYTES: usize = 32 * 1024;
/// How deep the groups of a pattern may be.
const MAX_REGEX_DEPTH: u32 = 16;

pub(super) fn compile_path(
    config: PathConfig,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<PathRewrite, ConfigError> {
    let allowed_at = at.field("allowed_paths");
    let allowed = config.allowed_paths.iter().enumerate();
    let allowed = allowed
        .map(|(index, path)| prefix(path, &allowed_at.index(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let (rewriting, at) = compile_rewriting(config, scope, at)?;
    let rewrite = PathRewrite { rewriting, allowed };
    rewrite.check(&at)?;
    Ok(rewrite)
}

/// What becomes of a path, and where the configuration says where to.
fn compile_rewriting(
    config: PathConfig,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<(Rewriting, FieldPath), ConfigError> {
    let PathConfig {
        strip_prefix,
        replace_prefix,
        template,
        regex,
        ..
    } = config;
    match (strip_prefix, replace_prefix, template, regex) {
        (Some(from), None, None, None) => {
            let at = at.field("strip_prefix");
            let from = prefix(&from, &at)?;
            let to = CanonicalPath::parse(b"/")
                .map_err(|error| ConfigError::new(&at, error.to_string()))?;
            Ok((Rewriting::Prefix { from, to }, at))
        }
        (None, Some(replace), None, None) => {
            let at = at.field("replace_prefix");
            let to_at = at.field("to");
            let from = prefix(&replace.from, &at.field("from"))?;
            let to = prefix(&replace.to, &to_at)?;
            Ok((Rewriting::Prefix { from, to }, to_at))
        }
        (None, None, Some(template), None) => {
            let at = at.field("template");
            let to_at = at.field("to");
            let from = PathTemplate::compile(template.from.as_str(), &at.field("from"))?;
            let to = template_parts(template.to.as_str(), from.names(), scope, &to_at)?;
            Ok((Rewriting::Template { from, to }, to_at))
        }
        (None, None, None, Some(regex)) => compile_regex(&regex, &at.field("regex")),
        _ => Err(ConfigError::new(
            at,
            "needs exactly one of strip_prefix, replace_prefix, template, regex",
        )),
    }
}

fn compile_regex(
    config: &RegexConfig,
    at: &FieldPath,
) -> Result<(Rewriting, FieldPath), ConfigError> {
    let pattern = RegexBuilder::new(config.pattern.as_str())
        .size_limit(MAX_REGEX_BYTES)
        .nest_limit(MAX_REGEX_DEPTH)
        .build()
        .map_err(|error| ConfigError::new(&at.field("pattern"), error.to_string()))?;
    let to_at = at.field("substitution");
    let to = substitution_parts(config.substitution.as_str(), pattern.captures_len(), &to_at)?;
    Ok((Rewriting::Regex { pattern, to }, to_at))
}

fn prefix(text: &Text<1024>, at: &FieldPath) -> Result<CanonicalPath, ConfigError> {
    if text.as_str().contains('?') {
        return Err(ConfigError::new(at, "a path has no query"));
    }
    CanonicalPath::parse(text.as_str().as_bytes())
        .map_err(|error| ConfigError::new(at, error.to_string()))
}

/// `/${claim:tenant}/users/{id}`: a path with the variables of the other template, and with what the request has.
fn template_parts(
    text: &str,
    names: &[String],
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<Vec<Part>, ConfigError> {
    let mut parts = Vec::new();
    let mut sample = String::new();
    for piece in Template::pieces(text, scope, at)? {
        match piece {
            Parsed::Plain(text) => variable_parts(&text, names, &mut parts, &mut sample, at)?,
            Parsed::Template(template) => {
                parts.push(Part::Template(template));
                sample.push('x');
            }
        }
    }
    match CanonicalPath::parse(sample.as_bytes()) {
        Ok(_) => Ok(parts),
        Err(error) => Err(ConfigError::new(at, error.to_string())),
    }
}

/// Adds the parts of a text without placeholders.
fn variable_parts(
    text: &str,
    names: &[String],
    parts: &mut Vec<Part>,
    sample: &mut String,
    at: &FieldPath,
) -> Result<(), ConfigError> {
    let refuse = |reason: String| Err(ConfigError::new(at, reason));
    if text.contains('?') {
        return refuse("a path has no query".to_owned());
    }
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        push_text(decode(literal), parts);
        sample.push_str(literal);
        sample.push('x');
        let Some((name, after)) = after.split_once('}') else {
            return refuse("a { has no }; write %7B for the character".to_owned());
        };
        let Some(index) = names.iter().position(|known| known == name) else {
            let known = names.join(", ");
            return refuse(format!(
                "a variable that from does not have; it has: {known}"
            ));
        };
        parts.push(Part::Value(index));
        rest = after;
    }
    if rest.contains('}') {
        return refuse("a } has no {; write %7D for the character".to_owned());
    }
    push_text(decode(rest), parts);
    sample.push_str(rest);
    Ok(())
}

fn decode(literal: &str) -> String {
    match percent_decode_str(literal).decode_utf8_lossy() {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

/// `/users/\1`: text as it stands in a decoded path, and the groups of the pattern, as RE2 has them.
fn substitution_parts(text: &str, groups: usize, at: &FieldPath) -> Result<Vec<Part>, ConfigError> {
    let refuse = |reason: &str| Err(ConfigError::new(at, reason));
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_group =
            |next: Option<&char>| next.is_some_and(|next| next.is_ascii_digit() || *next == '{');
        match letter {
            '$' if is_group(letters.peek()) => {
                return refuse("the first group is \\1, not $1");
            }
            '\\' => match letters.next() {
                Some('\\') => literal.push('\\'),
                Some(digit) => {
                    let group = digit
                        .to_digit(10)
                        .and_then(|group| usize::try_from(group).ok());
                    let Some(group) = group.filter(|group| *group < groups) else {
                        return refuse(
                            "after \\ comes the number of a group of the pattern, 0 for all of the match, or \\",
                        );
                    };
                    push_text(std::mem::take(&mut literal), &mut parts);
                    parts.push(Part::Value(group));
                }
                None => return refuse("ends with \\"),
            },
            letter => literal.push(letter),
        }
    }
    push_text(literal, &mut parts);
    match CanonicalPath::parse(encode(&sample(&parts)).as_bytes()) {
        Ok(_) => Ok(parts),
        Err(error) => refuse(&error.to_string()),
    }
}

/// A path of which they may be a part.
fn sample(parts: &[Part]) -> String {
    let mut path = String::new();
    for part in parts {
        match part {
            Part::Text(text) => path.push_str(text),
            Part::Value(_) | Part::Template(_) => path.push('x'),
        }
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    path
}

fn push_text(text: String, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
}
