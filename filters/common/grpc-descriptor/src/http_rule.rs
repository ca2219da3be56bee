//! The rules of `google.api.http`: which REST requests a method answers to.

use crate::descriptor::InvalidDescriptor;
use crate::wire::{self, Fields};

/// One REST form of a method (`google/api/http.proto`), a rule or one of its `additional_bindings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    /// The HTTP method: `GET`, or what a `custom` rule names; `*` is any.
    pub method: String,
    /// The path template: `/v1/stock/{id}`.
    pub template: String,
}

/// Reads a rule and those inside it; theirs may hold none of their own, as the transcoder has it.
pub(crate) fn read(
    fields: Fields<'_>,
    rules: &mut Vec<HttpRule>,
    nested: bool,
) -> Result<(), InvalidDescriptor> {
    let mut pattern = None;
    let mut bindings = Vec::new();
    for field in fields {
        let field = field?;
        let method = match field.number {
            2 => "GET",
            3 => "PUT",
            4 => "POST",
            5 => "DELETE",
            6 => "PATCH",
            8 => {
                pattern = Some(custom(wire::message(field.value)?)?);
                continue;
            }
            11 if nested => return Err(InvalidDescriptor::NestedBindings),
            11 => {
                bindings.push(field.value);
                continue;
            }
            _ => continue,
        };
        pattern = Some(HttpRule {
            method: method.to_owned(),
            template: wire::text(field.value)?,
        });
    }
    // The last of a `oneof` counts.
    rules.extend(pattern);
    bindings
        .into_iter()
        .try_for_each(|binding| read(wire::message(binding)?, rules, true))
}

fn custom(fields: Fields<'_>) -> Result<HttpRule, InvalidDescriptor> {
    let mut rule = HttpRule {
        method: String::new(),
        template: String::new(),
    };
    for field in fields {
        let field = field?;
        match field.number {
            1 => rule.method = wire::text(field.value)?,
            2 => rule.template = wire::text(field.value)?,
            _ => {}
        }
    }
    Ok(rule)
}
