//! The edits of headers, as they are written and checked.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::{
    HeaderName, HeaderPattern, NamePatterns, fold_name, is_reserved_request_header, same_spelling,
};
use serde::Deserialize;

use super::Transform;
use super::condition::{TestsConfig, compile_condition};
use crate::direction::Direction;
use crate::head_edits::{HeadEdit, HeadEdits, Keep, KeptName, RESERVED_RESPONSE_HEADERS};
use crate::template::{Scope, Template};
use crate::value::Value;

/// One edit. One of the names of edits says which.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderEditConfig {
    set: Option<HeaderName>,
    add: Option<HeaderName>,
    append: Option<HeaderName>,
    remove: Option<HeaderName>,
    remove_prefix: Option<Text<256>>,
    rename: Option<HeaderName>,
    copy: Option<HeaderName>,
    keep_only: Option<BoundedList<Text<256>, 1, 64>>,
    dedupe: Option<HeaderName>,
    value: Option<Text<4096>>,
    to: Option<HeaderName>,
    keep: Option<Keep>,
    when: Option<TestsConfig>,
    unless: Option<TestsConfig>,
}

pub(super) type HeadersConfig = BoundedList<HeaderEditConfig, 1, 64>;

pub(super) fn compile_headers(
    config: Option<HeadersConfig>,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<HeadEdits, ConfigError> {
    let direction = scope.direction;
    let mut edits: Vec<HeadEdit> = Vec::new();
    let mut conditions = Vec::new();
    for (index, mut config) in config.into_iter().flatten().enumerate() {
        let at = at.index(index);
        let condition =
            compile_condition(config.when.take(), config.unless.take(), direction, &at)?;
        let Some(edit) = compile_edit(config, scope, &at)? else {
            continue;
        };
        conditions.extend(condition.map(|condition| (edits.len(), condition)));
        // An upstream that takes them for one would be told two things by one rule.
        if let Some(name) = edit.written()
            && let Some(other) = edits
                .iter()
                .filter_map(HeadEdit::written)
                .find(|other| *other != name && is_same(other, name))
        {
            let reason = format!("this rule writes {other}, which an upstream may take for it");
            return Err(ConfigError::new(&at, reason));
        }
        edits.push(edit);
    }
    Ok(HeadEdits {
        direction,
        edits,
        conditions,
    })
}

/// `None` for an edit that changes nothing, as a rename to the same name in capitals.
fn compile_edit(
    config: HeaderEditConfig,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<Option<HeadEdit>, ConfigError> {
    let direction = scope.direction;
    let HeaderEditConfig {
        set,
        add,
        append,
        remove,
        remove_prefix,
        rename,
        copy,
        keep_only,
        dedupe,
        value,
        to,
        keep,
        when: _,
        unless: _,
    } = config;
    let named = [
        ("set", set.is_some()),
        ("add", add.is_some()),
        ("append", append.is_some()),
        ("remove", remove.is_some()),
        ("remove_prefix", remove_prefix.is_some()),
        ("rename", rename.is_some()),
        ("copy", copy.is_some()),
        ("keep_only", keep_only.is_some()),
        ("dedupe", dedupe.is_some()),
    ];
    let mut named = named.iter().filter(|(_, is_there)| *is_there);
    let (Some((kind, _)), None) = (named.next(), named.next()) else {
        return Err(ConfigError::new(
            at,
            "needs exactly one of set, add, append, remove, remove_prefix, rename, copy, keep_only, dedupe",
        ));
    };
    for (field, is_there, of) in [
        ("value", value.is_some(), &["set", "add", "append"][..]),
        ("to", to.is_some(), &["rename", "copy"]),
        ("keep", keep.is_some(), &["dedupe"]),
    ] {
        if is_there != of.contains(kind) {
            return Err(match is_there {
                true => {
                    let reason = format!("is for {}", of.join(", "));
                    ConfigError::new(&at.field(field), reason)
                }
                false => ConfigError::new(at, format!("{kind} needs {field}")),
            });
        }
    }
    let field = at.field(kind);
    let check = |name: HeaderName| match is_reserved(&name, direction) {
        false => Ok(name),
        true => {
            let reason = format!("{name} is not for filters to write");
            Err(ConfigError::new(&field, reason))
        }
    };
    let edit = if let (Some(from), Some(to)) = (rename.clone().or(copy), to) {
        let is_rename = rename.is_some();
        if from == to {
            return Ok(None);
        }
        let from = match is_rename || !is_copied(&from) {
            true => check(from)?,
            false => from,
        };
        check_target(&from, &to, direction, &at.field("to"))?;
        match is_rename {
            true => HeadEdit::Rename { from, to },
            false => HeadEdit::Copy { from, to },
        }
    } else if let Some(value) = value {
        let value = Value::compile(value.as_str(), scope, &at.field("value"))?;
        match (set, add, append) {
            (Some(name), _, _) => HeadEdit::Set(check(name)?, value),
            (_, Some(name), _) => HeadEdit::Add(check(name)?, value),
            (_, _, Some(name)) => HeadEdit::Append(check(name)?, value),
            (None, None, None) => return Ok(None),
        }
    } else if let (Some(name), Some(keep)) = (dedupe, keep) {
        HeadEdit::Dedupe(check(name)?, keep)
    } else if let Some(name) = remove {
        HeadEdit::Remove(check(name)?)
    } else if let Some(prefix) = remove_prefix {
        HeadEdit::RemovePrefix(compile_prefix(prefix.as_str(), &field)?)
    } else {
        let names = keep_only.into_iter().flatten().enumerate();
        HeadEdit::KeepOnly(
            names
                .map(|(index, name)| compile_kept(name.as_str(), &field.index(index)))
                .collect::<Result<_, _>>()?,
        )
    };
    Ok(Some(edit))
}

/// Where a value of a client's may be put.
fn check_target(
    from: &HeaderName,
    to: &HeaderName,
    direction: Direction,
    at: &FieldPath,
) -> Result<(), ConfigError> {
    let reason = if is_reserved(to, direction) {
        "that header is not for filters to write"
    } else if direction == Direction::Request && is_read_by_proxies(to) {
        "proxies act on that header, and a client would choose its value; use set"
    } else if is_same(from, to) {
        "an upstream may take the two names for one"
    } else {
        return Ok(());
    };
    Err(ConfigError::new(at, reason))
}

fn compile_prefix(prefix: &str, at: &FieldPath) -> Result<HeaderPattern, ConfigError> {
    if prefix.contains('*') {
        return Err(ConfigError::new(at, "a prefix needs no \"*\""));
    }
    HeaderPattern::try_from(format!("{prefix}*"))
        .map_err(|error| ConfigError::new(at, error.to_string()))
}

fn compile_kept(text: &str, at: &FieldPath) -> Result<KeptName, ConfigError> {
    let (name, prefix) = match text.strip_suffix('*') {
        Some(name) => (name, true),
        None => (text, false),
    };
    if prefix && name.is_empty() {
        return Err(ConfigError::new(
            at,
            "\"*\" keeps everything: leave keep_only out",
        ));
    }
    if name.contains('*') {
        return Err(ConfigError::new(at, "\"*\" may only be the last character"));
    }
    let name =
        HeaderName::try_from(name).map_err(|error| ConfigError::new(at, error.to_string()))?;
    Ok(KeptName {
        name: name.as_str().to_owned(),
        prefix,
    })
}

/// What a rule does with what a client may not send: `owned` are the names that all rules write.
pub(super) fn check_against_owned(
    edits: &HeadEdits,
    owned: &NamePatterns,
    at: &FieldPath,
) -> Result<(), ConfigError> {
    for (index, edit) in edits.edits.iter().enumerate() {
        let (field, name, reason) = match edit {
            HeadEdit::Rename { from, .. } => (
                "rename",
                from,
                "a rule writes that header, so a client cannot send it",
            ),
            HeadEdit::Copy { from, .. } => (
                "copy",
                from,
                "a rule writes that header, so a client cannot send it",
            ),
            HeadEdit::Append(name, _) => (
                "append",
                name,
                "a rule sets that header, so a client's copy is removed; set it here first",
            ),
            HeadEdit::Add(name, _) => (
                "add",
                name,
                "a rule sets that header, so a client's copy is removed; use set",
            ),
            _ => continue,
        };
        let before = edits.edits.iter().take(index);
        let is_written_before = before
            .filter_map(HeadEdit::written)
            .any(|other| other == name);
        if owned.matches(name.as_bytes()) && !is_written_before {
            return Err(ConfigError::new(&at.index(index).field(field), reason));
        }
    }
    Ok(())
}

/// What a template copies from a header that another rule writes, a client has written: no client may send that header.
pub(super) fn check_copies(
    rule: &Transform,
    owned: &NamePatterns,
    at: &FieldPath,
) -> Result<(), ConfigError> {
    for name in rule.templates().flat_map(Template::request_headers) {
        let is_own = rule.owned().any(|own| own.as_str() == name);
        if owned.matches(name.as_bytes()) && !is_own {
            let reason = format!(
                "a template copies {name}, which another rule writes, so a client cannot send it"
            );
            return Err(ConfigError::new(at, reason));
        }
    }
    Ok(())
}

fn is_same(a: &HeaderName, b: &HeaderName) -> bool {
    same_spelling(a.as_bytes(), b.as_bytes())
}

/// Headers by which Envoy, and proxies behind it, are told what to do with a request.
pub(super) fn is_read_by_proxies(name: &HeaderName) -> bool {
    const FAMILIES: [&str; 3] = ["x-envoy-", "x-forwarded-", "x-gatehouse-"];
    let is_in = |family: &&str| {
        let letters = fold_name(name.as_bytes()).take(family.len());
        letters.eq(family.bytes())
    };
    FAMILIES.iter().any(is_in) || name.as_str() == "forwarded"
}

/// Headers that filters do not write and whose values may all the same stand under another name: no credentials.
fn is_copied(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept"
            | "cache-control"
            | "content-encoding"
            | "content-type"
            | "x-forwarded-for"
            | "x-request-id"
    )
}

/// Headers that frame a message or say what its body is belong to the filter itself, and gRPC's to the call.
pub(super) fn is_reserved(name: &HeaderName, direction: Direction) -> bool {
    match direction {
        Direction::Request => is_reserved_request_header(name),
        Direction::Response => {
            let same = |other: &&str| same_spelling(other.as_bytes(), name.as_bytes());
            RESERVED_RESPONSE_HEADERS.iter().any(same)
                || fold_name(name.as_bytes()).take(5).eq(*b"grpc-")
        }
    }
}
