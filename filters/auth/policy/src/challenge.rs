//! `WWW-Authenticate`: which credentials would be taken (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC 9728).

use filter_config::{ConfigError, FieldPath};
use http_message::{HeaderName, HeaderValue};

/// Something that a client could authenticate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    ApiKey,
}

/// The challenges of one realm.
#[derive(Clone, Debug)]
pub(crate) struct Challenges {
    bearer: HeaderValue,
    bearer_invalid: HeaderValue,
    bearer_insufficient: String,
    api_key: HeaderValue,
}

const WWW_AUTHENTICATE: HeaderName = HeaderName::from_static("www-authenticate");

impl Challenges {
    /// The challenges of a realm, those for tokens with the URL of a metadata document (RFC 9728 section 5.1) if there is one. An API
    /// key that is sent under a scheme is asked for by that scheme.
    ///
    /// # Errors
    /// What cannot be quoted as it is, or is no URL.
    pub(crate) fn compile(
        realm: &str,
        resource_metadata: Option<&str>,
        key_scheme: Option<&str>,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let quotable = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if !realm.bytes().all(|byte| byte == b' ' || quotable(byte)) {
            let reason = "a realm is visible ASCII and spaces, without \" and \\";
            return Err(ConfigError::new(&at.field("realm"), reason));
        }
        let metadata = match resource_metadata {
            None => String::new(),
            Some(url) if url.starts_with("https://") && url.bytes().all(quotable) => {
                format!(", resource_metadata=\"{url}\"")
            }
            Some(_) => {
                let reason = "expected a URL that starts with https:// and holds neither \" nor \\";
                return Err(ConfigError::new(&at.field("resource_metadata"), reason));
            }
        };
        let value = |text: String| {
            HeaderValue::try_from(text.as_str())
                .map_err(|_| ConfigError::new(&at.field("realm"), "cannot be quoted"))
        };
        let bearer = |error: &str| format!("Bearer realm=\"{realm}\"{error}{metadata}");
        Ok(Self {
            bearer: value(bearer(""))?,
            bearer_invalid: value(bearer(", error=\"invalid_token\""))?,
            bearer_insufficient: bearer(", error=\"insufficient_scope\""),
            api_key: value(format!(
                "{} realm=\"{realm}\"",
                key_scheme.unwrap_or("ApiKey")
            ))?,
        })
    }

    /// One challenge for each scheme. `invalid_token` says that the token which was sent is not good.
    pub(crate) fn unauthenticated(
        &self,
        schemes: &[Scheme],
        invalid_token: bool,
    ) -> Vec<(HeaderName, HeaderValue)> {
        schemes
            .iter()
            .map(|scheme| match scheme {
                Scheme::Bearer if invalid_token => &self.bearer_invalid,
                Scheme::Bearer => &self.bearer,
                Scheme::ApiKey => &self.api_key,
            })
            .map(|value| (WWW_AUTHENTICATE, value.clone()))
            .collect()
    }

    /// The challenge to a token that lacks one of `scopes`, or a group where there are none.
    pub(crate) fn insufficient(&self, scopes: &[String]) -> Vec<(HeaderName, HeaderValue)> {
        let text = if scopes.is_empty() {
            self.bearer_insufficient.clone()
        } else {
            format!(
                "{}, scope=\"{}\"",
                self.bearer_insufficient,
                scopes.join(" ")
            )
        };
        // Realm and scopes were checked when they were configured; together they stay below the cap of a value.
        HeaderValue::try_from(text.as_str())
            .map(|value| vec![(WWW_AUTHENTICATE, value)])
            .unwrap_or_default()
    }
}
