//! Another prefix for the path.

use filter_config::{ConfigError, FieldPath};
use http_message::{CanonicalPath, HeaderValue, Query};

use crate::reason::Reason;

/// `from` at the start of a path becomes `to`, by whole segments; the result lies under one of `allowed`.
#[derive(Debug)]
pub(crate) struct PathRewrite {
    from: CanonicalPath,
    to: CanonicalPath,
    allowed: Vec<CanonicalPath>,
}

impl PathRewrite {
    pub(crate) fn compile(
        from: &str,
        to: &str,
        allowed: &[&str],
        at: &FieldPath,
    ) -> Result<PathRewrite, ConfigError> {
        let replace_at = at.field("replace_prefix");
        let from = prefix(from, &replace_at.field("from"))?;
        let to = prefix(to, &replace_at.field("to"))?;
        let allowed_at = at.field("allowed_paths");
        let allowed = allowed
            .iter()
            .enumerate()
            .map(|(index, path)| prefix(path, &allowed_at.index(index)))
            .collect::<Result<Vec<_>, _>>()?;
        if !allowed
            .iter()
            .any(|allowed| to.is_under(allowed) || allowed.is_under(&to))
        {
            return Err(ConfigError::new(
                &replace_at.field("to"),
                "leads to none of allowed_paths",
            ));
        }
        Ok(PathRewrite { from, to, allowed })
    }

    /// The new target, or nothing if the path does not begin with the prefix. The query stays as it came.
    pub(crate) fn apply(
        &self,
        path: &CanonicalPath,
        query: Query<'_>,
    ) -> Result<Option<HeaderValue>, Reason> {
        if !path.is_under(&self.from) {
            return Ok(None);
        }
        let rest = path
            .as_str()
            .strip_prefix(self.from.as_str())
            .unwrap_or_default();
        let to = self.to.as_str();
        let joined = match (to.strip_suffix('/'), rest.strip_prefix('/')) {
            // A prefix that ends with a slash has taken the one between it and the rest.
            (Some(to), None) if !rest.is_empty() => format!("{to}/{rest}"),
            (Some(to), Some(rest)) => format!("{to}/{rest}"),
            (None, None) if !rest.is_empty() => format!("{to}/{rest}"),
            _ => format!("{to}{rest}"),
        };
        let target = CanonicalPath::parse(self.encode(&joined).as_bytes())
            .map_err(|_| Reason::PathNotAllowed)?;
        if !self.allowed.iter().any(|allowed| target.is_under(allowed)) {
            return Err(Reason::PathNotAllowed);
        }
        let mut value = target.encode().into_bytes();
        if !query.as_bytes().is_empty() {
            value.push(b'?');
            value.extend_from_slice(query.as_bytes());
        }
        HeaderValue::try_from(value)
            .map(Some)
            .map_err(|_| Reason::PathNotAllowed)
    }

    /// The joined path is decoded; only what would be read otherwise is encoded again.
    fn encode(&self, joined: &str) -> String {
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
}

fn prefix(text: &str, at: &FieldPath) -> Result<CanonicalPath, ConfigError> {
    if text.contains('?') {
        return Err(ConfigError::new(at, "a path has no query"));
    }
    CanonicalPath::parse(text.as_bytes()).map_err(|error| ConfigError::new(at, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(
        from: &str,
        to: &str,
        allowed: &[&str],
        target: &str,
    ) -> Result<Option<String>, Reason> {
        let rewrite = PathRewrite::compile(from, to, allowed, &FieldPath::root()).unwrap();
        let path = CanonicalPath::parse(target.as_bytes()).unwrap();
        let value = rewrite.apply(&path, Query::of(target.as_bytes()))?;
        Ok(value.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap()))
    }

    #[test]
    fn whole_segments_are_replaced_and_the_query_stays() {
        for (from, to, target, result) in [
            ("/api", "/v1", "/api/users?a=%20b", Some("/v1/users?a=%20b")),
            ("/api", "/v1", "/api", Some("/v1")),
            ("/api", "/v1", "/api/", Some("/v1/")),
            ("/api", "/", "/api/users", Some("/users")),
            ("/api", "/", "/api", Some("/")),
            ("/", "/v1", "/users", Some("/v1/users")),
            ("/api/", "/v1/", "/api/users", Some("/v1/users")),
            ("/api/", "/v1", "/api/users", Some("/v1/users")),
            ("/api", "/v1", "/apix", None),
            ("/api", "/v1", "/x/api", None),
            ("/api", "/v1", "/api/a%20b%C3%A9", Some("/v1/a%20b%C3%A9")),
            ("/%61pi", "/v1", "/ap%69/x", Some("/v1/x")),
        ] {
            let found = rewrite(from, to, &["/"], target).unwrap();
            assert_eq!(found.as_deref(), result, "{from} {to} {target}");
        }
    }

    // The route that a rewrite leads to is one that no rule in front of it has seen.
    #[test]
    fn only_allowed_paths_are_reached() {
        let allowed = &["/users", "/orders"];
        assert!(rewrite("/api", "/", allowed, "/api/users/7").is_ok());
        for target in ["/api/admin", "/api/usersx", "/api", "/api/"] {
            assert_eq!(
                rewrite("/api", "/", allowed, target),
                Err(Reason::PathNotAllowed),
                "{target}"
            );
        }
        let error =
            PathRewrite::compile("/api", "/admin", allowed, &FieldPath::root()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "replace_prefix.to: leads to none of allowed_paths"
        );
        let error =
            PathRewrite::compile("/api?x", "/users", allowed, &FieldPath::root()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "replace_prefix.from: a path has no query"
        );
    }
}
