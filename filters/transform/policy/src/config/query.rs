//! The edits of the query, as they are written and checked.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use serde::Deserialize;

use crate::query_edits::{Parameter, QueryEdit, QueryEdits};
use crate::template::Scope;
use crate::value::Value;

/// One edit. One of the names of edits says which.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryEditConfig {
    set: Option<Text<256>>,
    add: Option<Text<256>>,
    remove: Option<Text<256>>,
    rename: Option<Text<256>>,
    keep_only: Option<BoundedList<Text<256>, 1, 64>>,
    value: Option<Text<4096>>,
    to: Option<Text<256>>,
}

pub(super) type QueryConfig = BoundedList<QueryEditConfig, 1, 64>;

pub(super) fn compile_query(
    config: Option<QueryConfig>,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<QueryEdits, ConfigError> {
    let configs = config.into_iter().flatten().enumerate();
    let edits = configs.map(|(index, config)| compile_edit(config, scope, &at.index(index)));
    edits.collect::<Result<_, _>>().map(QueryEdits)
}

fn compile_edit(
    config: QueryEditConfig,
    scope: Scope<'_>,
    at: &FieldPath,
) -> Result<QueryEdit, ConfigError> {
    let QueryEditConfig {
        set,
        add,
        remove,
        rename,
        keep_only,
        value,
        to,
    } = config;
    let named = [
        ("set", set.is_some()),
        ("add", add.is_some()),
        ("remove", remove.is_some()),
        ("rename", rename.is_some()),
        ("keep_only", keep_only.is_some()),
    ];
    let mut named = named.iter().filter(|(_, is_there)| *is_there);
    let (Some((kind, _)), None) = (named.next(), named.next()) else {
        return Err(ConfigError::new(
            at,
            "needs exactly one of set, add, remove, rename, keep_only",
        ));
    };
    for (field, is_there, of) in [
        ("value", value.is_some(), &["set", "add"][..]),
        ("to", to.is_some(), &["rename"]),
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
    let parameter = |name: &Text<256>| Parameter::new(name.as_str());
    let value = value
        .map(|value| Value::compile(value.as_str(), scope, &at.field("value")))
        .transpose()?;
    Ok(match (set, add, remove, rename, value, to) {
        (Some(name), _, _, _, Some(value), _) => QueryEdit::Set(parameter(&name), value),
        (_, Some(name), _, _, Some(value), _) => QueryEdit::Add(parameter(&name), value),
        (_, _, Some(name), ..) => QueryEdit::Remove(parameter(&name)),
        (_, _, _, Some(from), _, Some(to)) => QueryEdit::Rename {
            from: parameter(&from),
            to: parameter(&to),
        },
        _ => QueryEdit::KeepOnly(keep_only.iter().flatten().map(parameter).collect()),
    })
}
