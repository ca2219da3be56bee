//! `WWW-Authenticate`: which credentials would be taken (RFC 9110 section 11.6.1, RFC 6750 section 3).

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

/// A realm that cannot be quoted as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidRealm;

const WWW_AUTHENTICATE: HeaderName = HeaderName::from_static("www-authenticate");

impl Challenges {
    /// The challenges of `realm`, which has to be visible ASCII and spaces without `"` and `\`.
    pub(crate) fn new(realm: &str) -> Result<Self, InvalidRealm> {
        let allowed =
            |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\';
        if realm.is_empty() || !realm.bytes().all(allowed) {
            return Err(InvalidRealm);
        }
        let value = |text: String| HeaderValue::try_from(text.as_str()).map_err(|_| InvalidRealm);
        Ok(Self {
            bearer: value(format!("Bearer realm=\"{realm}\""))?,
            bearer_invalid: value(format!("Bearer realm=\"{realm}\", error=\"invalid_token\""))?,
            bearer_insufficient: format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\""),
            api_key: value(format!("ApiKey realm=\"{realm}\""))?,
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
