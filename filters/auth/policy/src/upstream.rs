//! What the upstream is told about the caller, and what no client may tell it.

use filter_config::{ConfigError, FieldPath};
use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderPattern, HeaderValue, NamePatterns,
    RESERVED_REQUEST_HEADERS, is_reserved_request_header, percent_encode_value,
};
use identity::Identity;

use crate::config::UpstreamHeadersConfig;

/// The longest value of a header to the upstream, in bytes after encoding.
pub(crate) const MAX_VALUE_BYTES: usize = 4 * 1024;

/// A part of the identity that has a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Subject,
    Consumer,
    Groups,
    Scopes,
    Plan,
    Credential,
}

/// The headers to the upstream, and the names that are kept from clients.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamHeaders {
    fields: Vec<(Field, HeaderName)>,
    kept_from_clients: NamePatterns,
}

/// A value that does not fit into its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueTooLong;

impl UpstreamHeaders {
    pub(crate) fn compile(
        config: UpstreamHeadersConfig,
        strip: Vec<HeaderPattern>,
        credentials: &NamePatterns,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let strip_at = at.field("strip_headers");
        for (index, pattern) in strip.iter().enumerate() {
            if let Some(name) = RESERVED_REQUEST_HEADERS
                .iter()
                .find(|name| pattern.matches(name.as_bytes()))
            {
                let reason = format!("would take {name} from every request");
                return Err(ConfigError::new(&strip_at.index(index), reason));
            }
        }
        let at = at.field("upstream_headers");
        let mut fields: Vec<(Field, HeaderName)> = Vec::new();
        let mut ours = NamePatterns::default();
        for (field, key, name) in [
            (Field::Subject, "subject", config.subject),
            (Field::Consumer, "consumer", config.consumer),
            (Field::Groups, "groups", config.groups),
            (Field::Scopes, "scopes", config.scopes),
            (Field::Plan, "plan", config.plan),
            (Field::Credential, "credential", config.credential),
        ] {
            let Some(name) = name else { continue };
            let refuse = |reason: &str| Err(ConfigError::new(&at.field(key), reason));
            if is_reserved_request_header(&name) {
                return refuse("this header has a meaning of its own: choose another");
            }
            if credentials.matches(name.as_bytes()) {
                return refuse("this header carries a credential: choose another");
            }
            if ours.matches(name.as_bytes()) {
                return refuse(
                    "another field has the same header, or one that an upstream may take for it",
                );
            }
            ours.add_name(&name);
            fields.push((field, name));
        }
        ours.extend(strip);
        Ok(Self {
            fields,
            kept_from_clients: ours,
        })
    }

    /// Removes a client's own copies, in every spelling.
    pub(crate) fn remove_copies(&self, headers: &HeaderMap, edits: &mut HeaderEdits) {
        remove_matching(&self.kept_from_clients, headers, edits);
    }

    /// The headers for a caller; none for one who is anonymous.
    pub(crate) fn values(
        &self,
        identity: &Identity,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ValueTooLong> {
        if identity.is_anonymous() {
            return Ok(Vec::new());
        }
        let mut values = Vec::with_capacity(self.fields.len());
        for (field, name) in &self.fields {
            let text = match field {
                Field::Subject => identity.subject.as_deref().map(percent_encode_value),
                Field::Consumer => identity.consumer.as_deref().map(percent_encode_value),
                Field::Plan => identity.plan.as_deref().map(percent_encode_value),
                Field::Groups => list(&identity.groups),
                Field::Scopes => list(&identity.scopes),
                Field::Credential => Some(percent_encode_value(&format!(
                    "{}:{}",
                    identity.kind.name(),
                    identity.credential_id
                ))),
            };
            let Some(text) = text else { continue };
            if text.len() > MAX_VALUE_BYTES {
                return Err(ValueTooLong);
            }
            let value = HeaderValue::try_from(text.as_str()).map_err(|_| ValueTooLong)?;
            values.push((name.clone(), value));
        }
        Ok(values)
    }
}

/// Removes the headers that a pattern stands for, each name once however often a client repeats it.
pub(crate) fn remove_matching(
    patterns: &NamePatterns,
    headers: &HeaderMap,
    edits: &mut HeaderEdits,
) -> bool {
    let mut removed: Vec<&[u8]> = Vec::new();
    for name in patterns.matching(headers) {
        if !removed.contains(&name) {
            removed.push(name);
            edits.remove(name);
        }
    }
    !removed.is_empty()
}

fn list(texts: &[String]) -> Option<String> {
    let encoded: Vec<String> = texts
        .iter()
        .map(|text| percent_encode_value(text))
        .collect();
    (!encoded.is_empty()).then(|| encoded.join(","))
}
