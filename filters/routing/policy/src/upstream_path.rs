//! The path as the upstream gets it: with the version, without it, or with another.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use http_message::{CanonicalPath, HeaderValue};
use serde::Deserialize;

use crate::reason::Reason;
use crate::version::ApiVersion;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamPathConfig {
    version: Form,
    allowed_paths: BoundedList<Text<1024>, 1, 64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// `/v2/users` becomes `/users`.
    Strip,
    /// `/users` and `/v3/users` become `/v2/users`, where 2 is the version that is served.
    Write,
}

/// How the path changes. The result lies under one of `allowed`: the route that it leads to is one that no rule of the filters
/// in front has seen.
#[derive(Debug)]
pub(crate) struct UpstreamPath {
    form: Form,
    allowed: Vec<CanonicalPath>,
}

impl UpstreamPath {
    pub(crate) fn compile(
        config: UpstreamPathConfig,
        at: &FieldPath,
    ) -> Result<UpstreamPath, ConfigError> {
        let at = at.field("allowed_paths");
        let allowed = config.allowed_paths.into_iter().enumerate();
        let allowed = allowed.map(|(index, text)| {
            CanonicalPath::parse(text.as_str().as_bytes())
                .map_err(|error| ConfigError::new(&at.index(index), error.to_string()))
        });
        Ok(UpstreamPath {
            form: config.version,
            allowed: allowed.collect::<Result<_, _>>()?,
        })
    }

    /// The new request target, or nothing if it stays. `raw` is the one on the wire; `has_version` says whether its first segment is a
    /// version.
    pub(crate) fn apply(
        &self,
        raw: &[u8],
        has_version: bool,
        version: ApiVersion,
    ) -> Result<Option<HeaderValue>, Reason> {
        let rest = match has_version {
            true => behind_first_segment(raw),
            false => raw,
        };
        let mut target = match self.form {
            Form::Strip if rest.len() == raw.len() => return Ok(None),
            Form::Strip => Vec::new(),
            Form::Write => format!("/v{version}").into_bytes(),
        };
        // `/v2` and `/` are the root, with a query or without.
        let is_root = matches!(rest, [] | [b'?', ..]);
        if self.form == Form::Strip && is_root {
            target.push(b'/');
        }
        target.extend_from_slice(match (self.form, rest) {
            (Form::Write, [b'/']) => &[],
            (Form::Write, [b'/', query @ ..]) if query.starts_with(b"?") => query,
            (_, rest) => rest,
        });
        let lands = CanonicalPath::parse(&target).map_err(|_| Reason::PathNotAllowed)?;
        if !self.allowed.iter().any(|allowed| lands.is_under(allowed)) {
            return Err(Reason::PathNotAllowed);
        }
        if target == raw {
            return Ok(None);
        }
        HeaderValue::try_from(target)
            .map(Some)
            .map_err(|_| Reason::PathNotAllowed)
    }
}

/// What follows the first segment: a path, a query, or nothing.
fn behind_first_segment(raw: &[u8]) -> &[u8] {
    let after_slash = raw.get(1..).unwrap_or_default();
    let end = after_slash
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'));
    end.and_then(|end| after_slash.get(end..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(form: Form, allowed: &str, target: &str) -> Result<Option<String>, Reason> {
        let allowed = vec![CanonicalPath::parse(allowed.as_bytes()).unwrap()];
        let path = CanonicalPath::parse(target.as_bytes()).unwrap();
        let has_version = matches!(path.segments().next(), Some("v2" | "v3"));
        let version = ApiVersion::from_digits(*b"2").unwrap();
        let found =
            UpstreamPath { form, allowed }.apply(target.as_bytes(), has_version, version)?;
        Ok(found.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap()))
    }

    #[test]
    fn the_version_goes_or_comes_and_all_else_stays() {
        for (target, stripped, written) in [
            ("/v2/users?a=%20b", Some("/users?a=%20b"), None),
            ("/v3/users", Some("/users"), Some("/v2/users")),
            ("/%762/us%65rs", Some("/us%65rs"), Some("/v2/us%65rs")),
            ("/v2", Some("/"), None),
            ("/v2/", Some("/"), Some("/v2")),
            ("/v2?x=1", Some("/?x=1"), None),
            ("/users", None, Some("/v2/users")),
            ("/", None, Some("/v2")),
            ("/?x=1", None, Some("/v2?x=1")),
            ("/users/v2", None, Some("/v2/users/v2")),
            ("/vault", None, Some("/v2/vault")),
        ] {
            assert_eq!(
                apply(Form::Strip, "/", target).unwrap().as_deref(),
                stripped,
                "{target}"
            );
            assert_eq!(
                apply(Form::Write, "/", target).unwrap().as_deref(),
                written,
                "{target}"
            );
        }
    }

    // auth has decided on /v2/admin; that it becomes /admin was for the operator to allow.
    #[test]
    fn only_allowed_paths_are_reached() {
        assert_eq!(
            apply(Form::Strip, "/users", "/v2/admin"),
            Err(Reason::PathNotAllowed)
        );
        assert_eq!(
            apply(Form::Write, "/v2/users", "/admin"),
            Err(Reason::PathNotAllowed)
        );
        assert_eq!(
            apply(Form::Strip, "/users", "/v2/v2/users"),
            Err(Reason::PathNotAllowed)
        );
        assert!(apply(Form::Strip, "/users", "/v2/users/7").is_ok());
    }
}
