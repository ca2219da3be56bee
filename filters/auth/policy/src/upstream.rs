//! What the upstream is told about the caller, and what no client may tell it.

use filter_config::{ConfigError, FieldPath};
use http_message::{
    HeaderEdits, HeaderMap, HeaderName, HeaderPattern, HeaderValue, NamePatterns,
    RESERVED_REQUEST_HEADERS, is_reserved_request_header, percent_encode_value,
};
use identity::Identity;

use crate::config::UpstreamHeadersConfig;
use crate::extraction::Extraction;

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
    payload: Option<HeaderName>,
    labels: Vec<(String, HeaderName)>,
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
        extraction: &mut Extraction,
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
        let mut take = |name: &HeaderName, at: &FieldPath| {
            let refuse = |reason: &str| Err(ConfigError::new(at, reason));
            if is_reserved_request_header(name) {
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
            ours.add_name(name);
            Ok(())
        };
        for (field, key, name) in [
            (Field::Subject, "subject", config.subject),
            (Field::Consumer, "consumer", config.consumer),
            (Field::Groups, "groups", config.groups),
            (Field::Scopes, "scopes", config.scopes),
            (Field::Plan, "plan", config.plan),
            (Field::Credential, "credential", config.credential),
        ] {
            let Some(name) = name else { continue };
            take(&name, &at.field(key))?;
            fields.push((field, name));
        }
        if let Some(name) = &config.payload {
            take(name, &at.field("payload"))?;
        }
        let claims_at = at.field("claims");
        for (index, claim) in config.claims.into_iter().enumerate() {
            take(&claim.header, &claims_at.index(index).field("header"))?;
            extraction.header(claim.path, claim.format, claim.header);
        }
        let labels_at = at.field("labels");
        let mut labels = Vec::with_capacity(config.labels.len());
        for (label, name) in config.labels.iter() {
            take(name, &labels_at.field(label.as_str()))?;
            labels.push((label.as_str().to_owned(), name.clone()));
        }
        ours.extend(strip);
        Ok(Self {
            fields,
            payload: config.payload,
            labels,
            kept_from_clients: ours,
        })
    }

    /// Whether no client may send a header of this name.
    pub(crate) fn is_copy(&self, name: &[u8]) -> bool {
        self.kept_from_clients.matches(name)
    }

    /// Removes a client's own copies, in every spelling.
    pub(crate) fn remove_copies(&self, headers: &HeaderMap, edits: &mut HeaderEdits) {
        remove_matching(&self.kept_from_clients, headers, edits);
    }

    /// Whether the upstream gets the payload of tokens.
    pub(crate) fn wants_payload(&self) -> bool {
        self.payload.is_some()
    }

    /// The headers that say who calls; none for one who is anonymous.
    pub(crate) fn of_identity(
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
            values.push((name.clone(), value(text.as_bytes())?));
        }
        for (label, name) in &self.labels {
            if let Some((_, text)) = identity.labels.iter().find(|(known, _)| known == label) {
                values.push((name.clone(), value(percent_encode_value(text).as_bytes())?));
            }
        }
        Ok(values)
    }

    /// The header with the payload of the token by which the caller is known.
    pub(crate) fn of_payload(
        &self,
        payload: Option<&[u8]>,
    ) -> Result<Option<(HeaderName, HeaderValue)>, ValueTooLong> {
        match (&self.payload, payload) {
            (Some(name), Some(payload)) => Ok(Some((name.clone(), value(payload)?))),
            _ => Ok(None),
        }
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

fn value(bytes: &[u8]) -> Result<HeaderValue, ValueTooLong> {
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(ValueTooLong);
    }
    HeaderValue::try_from(bytes).map_err(|_| ValueTooLong)
}

fn list(texts: &[String]) -> Option<String> {
    let encoded: Vec<String> = texts
        .iter()
        .map(|text| percent_encode_value(text))
        .collect();
    (!encoded.is_empty()).then(|| encoded.join(","))
}
