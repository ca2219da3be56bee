//! JSON whose strings are made of the message.

use filter_config::{ConfigError, FieldPath};
use serde_json::{Map, Value};

use crate::template::{Parsed, Scope, Sources, Template, TooLong};

/// A JSON value with a template for at least one of its strings, or none.
#[derive(Clone, Debug)]
pub(crate) enum JsonTemplate {
    /// The same for every message.
    Fixed(Value),
    String(Template),
    Array(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// Reads a value of the configuration. The names of members are no templates.
    pub(crate) fn compile(
        value: Value,
        scope: Scope<'_>,
        at: &FieldPath,
    ) -> Result<JsonTemplate, ConfigError> {
        match value {
            Value::String(text) => Ok(match Template::parse(&text, scope, at)? {
                Parsed::Plain(text) => JsonTemplate::Fixed(text.into()),
                Parsed::Template(template) => JsonTemplate::String(template),
            }),
            Value::Array(values) => {
                let values = values.into_iter().enumerate();
                let values = values
                    .map(|(index, value)| JsonTemplate::compile(value, scope, &at.index(index)))
                    .collect::<Result<Vec<_>, _>>()?;
                let fixed: Option<Vec<Value>> = values.iter().map(JsonTemplate::fixed).collect();
                Ok(match fixed {
                    Some(fixed) => JsonTemplate::Fixed(fixed.into()),
                    None => JsonTemplate::Array(values),
                })
            }
            Value::Object(members) => {
                let members = members
                    .into_iter()
                    .map(|(name, value)| {
                        if name.contains("${") {
                            return Err(ConfigError::new(
                                at,
                                "the name of a member is no template",
                            ));
                        }
                        let value = JsonTemplate::compile(value, scope, &at.field(&name))?;
                        Ok((name, value))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                // Collected, they would be sorted: that alone is 5 KB of code.
                let mut fixed = Map::new();
                for (name, value) in &members {
                    let Some(value) = value.fixed() else {
                        return Ok(JsonTemplate::Object(members));
                    };
                    fixed.insert(name.clone(), value);
                }
                Ok(JsonTemplate::Fixed(fixed.into()))
            }
            value => Ok(JsonTemplate::Fixed(value)),
        }
    }

    fn fixed(&self) -> Option<Value> {
        match self {
            JsonTemplate::Fixed(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// The value for one message. What is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// One of its strings would be too long.
    pub(crate) fn fill(&self, sources: &Sources<'_>) -> Result<Value, TooLong> {
        Ok(match self {
            JsonTemplate::Fixed(value) => value.clone(),
            JsonTemplate::String(template) => {
                let text = template.fill(sources, Template::MAX_BYTES)?;
                String::from_utf8_lossy(&text).into_owned().into()
            }
            JsonTemplate::Array(values) => {
                let values = values.iter().map(|value| value.fill(sources));
                Value::Array(values.collect::<Result<_, _>>()?)
            }
            JsonTemplate::Object(members) => {
                let mut filled = Map::new();
                for (name, value) in members {
                    filled.insert(name.clone(), value.fill(sources)?);
                }
                Value::Object(filled)
            }
        })
    }

    /// Its templates.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            JsonTemplate::Fixed(_) => Vec::new(),
            JsonTemplate::String(template) => vec![template],
            JsonTemplate::Array(values) => {
                values.iter().flat_map(JsonTemplate::templates).collect()
            }
            JsonTemplate::Object(members) => {
                let values = members.iter().map(|(_, value)| value);
                values.flat_map(JsonTemplate::templates).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_message::{HeaderMap, RequestHead};
    use request_match::RequestMatch;
    use serde_json::json;

    use super::*;
    use crate::direction::Direction;
    use crate::template::Facts;

    fn compile(value: Value) -> Result<JsonTemplate, String> {
        let scope = Scope {
            direction: Direction::Request,
            matcher: &RequestMatch::default(),
            captures: &[],
        };
        let at = FieldPath::root().field("value");
        JsonTemplate::compile(value, scope, &at).map_err(|error| error.to_string())
    }

    fn fill(value: Value, header: &[u8]) -> Result<Value, TooLong> {
        let head = RequestHead::new(HeaderMap::from_pairs([("x-a", header)]));
        let sources = Sources {
            head: &head,
            now: std::time::Duration::ZERO,
            identity: None,
            facts: &Facts::default(),
            response: None,
            captures: &[],
        };
        compile(value).unwrap().fill(&sources)
    }

    // A value with a quote in it would be a member of its own.
    #[test]
    fn strings_are_filled_wherever_they_stand() {
        let value = json!({ "a": ["x ${header:x-a}", 1, null, { "b": "${header:x-none}", "c": "$${d}" }], "e": true });
        for header in [
            "plain",
            "a\",\"admin\":true,\"b\":\"",
            "${header:x-a}",
            "\\u0041",
        ] {
            let expected = json!({ "a": [format!("x {header}"), 1, null, { "b": "", "c": "${d}" }], "e": true });
            assert_eq!(fill(value.clone(), header.as_bytes()), Ok(expected));
        }
        assert_eq!(
            fill(json!("${header:x-a}"), b"a\xffb\x01"),
            Ok(json!("a\u{fffd}b\u{1}"))
        );
        assert_eq!(fill(json!("${header:x-a}"), &[b'a'; 70_000]), Err(TooLong));
    }

    #[test]
    fn what_has_no_template_is_fixed() {
        for value in [
            json!(null),
            json!([1, "a", { "b": {} }]),
            json!({ "a": "$5" }),
        ] {
            match compile(value.clone()).unwrap() {
                JsonTemplate::Fixed(fixed) => assert_eq!(fixed, value),
                other => panic!("{other:?}"),
            }
        }
        let templates = compile(json!({ "a": ["${method}", "${path}"], "b": 1 })).unwrap();
        assert_eq!(templates.templates().len(), 2);
    }

    #[test]
    fn faults_are_told_with_their_place() {
        assert_eq!(
            compile(json!({ "a": [0, "${metod}"] })).err().as_deref(),
            Some("value.a[1]: placeholder 1: unknown source, did you mean method?")
        );
        assert_eq!(
            compile(json!({ "${method}": 1 })).err().as_deref(),
            Some("value: the name of a member is no template")
        );
    }
}
