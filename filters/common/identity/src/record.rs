//! The record itself.

use crate::credential_kind::CredentialKind;
use crate::malformed::MalformedIdentity;
use crate::original_request::OriginalRequest;
use crate::wire;

/// Who calls, as auth found out, and what the request looked like then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What the caller proved its identity with.
    pub kind: CredentialKind,
    /// The id of the API key, or the name of the provider that the token is from. Never a secret. Empty if anonymous.
    pub credential_id: String,
    /// The organisation or application that calls.
    pub consumer: Option<String>,
    /// The user, from the token's `sub`.
    pub subject: Option<String>,
    /// The token's issuer, from `iss`.
    pub issuer: Option<String>,
    /// The plan that the caller is on.
    pub plan: Option<String>,
    /// The groups that the caller is in, in the order of the credential.
    pub groups: Vec<String>,
    /// The scopes that the caller was granted, in the order of the credential.
    pub scopes: Vec<String>,
    /// What the operator wrote beside the credential; each name once.
    pub labels: Vec<(String, String)>,
    /// Claims of the token that the operator selected; each name once. A text as it is, anything else as JSON.
    pub claims: Vec<(String, String)>,
    /// The request as the client sent it.
    pub original: OriginalRequest,
}

impl Identity {
    /// A caller without credentials, of a request about which nothing is recorded.
    pub fn anonymous() -> Self {
        Identity {
            kind: CredentialKind::Anonymous,
            credential_id: String::new(),
            consumer: None,
            subject: None,
            issuer: None,
            plan: None,
            groups: Vec::new(),
            scopes: Vec::new(),
            labels: Vec::new(),
            claims: Vec::new(),
            original: OriginalRequest::default(),
        }
    }

    /// Whether no credential stands behind this identity.
    pub fn is_anonymous(&self) -> bool {
        self.kind == CredentialKind::Anonymous
    }

    /// The bytes of all its texts, for those who keep records and have to bound them.
    pub fn text_bytes(&self) -> usize {
        let optional = [&self.consumer, &self.subject, &self.issuer, &self.plan];
        let texts = optional
            .into_iter()
            .flatten()
            .chain(&self.groups)
            .chain(&self.scopes);
        let pairs = self.labels.iter().chain(&self.claims);
        texts
            .chain(pairs.flat_map(|(name, value)| [name, value]))
            .chain([&self.credential_id])
            .map(String::len)
            .fold(self.original.text_bytes(), usize::saturating_add)
    }

    /// The wire form, at most [`MAX_RECORD_BYTES`](crate::MAX_RECORD_BYTES).
    ///
    /// A record that [`check`](Identity::check) refuses becomes one that [`decode`](Identity::decode) refuses, so
    /// that a reader denies. A caller that wants to answer such a request itself calls `check` first.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads the wire form.
    ///
    /// # Errors
    ///
    /// Everything that [`encode`](Identity::encode) does not write is refused, with the reason.
    pub fn decode(bytes: &[u8]) -> Result<Identity, MalformedIdentity> {
        wire::decode(bytes)
    }

    /// Reads what filter state holds: absent is anonymous.
    ///
    /// # Errors
    ///
    /// As [`decode`](Identity::decode); the request is to be denied then. An empty value is malformed, not absent.
    pub fn read(state: Option<&[u8]>) -> Result<Identity, MalformedIdentity> {
        match state {
            None => Ok(Identity::anonymous()),
            Some(bytes) => wire::decode(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Filters that run without auth in front would deny everything.
    #[test]
    fn absent_reads_as_anonymous() {
        assert_eq!(Identity::read(None), Ok(Identity::anonymous()));
        assert!(Identity::anonymous().is_anonymous());
    }

    // An emptied property would pass as an anonymous caller.
    #[test]
    fn an_empty_value_is_malformed() {
        assert_eq!(Identity::read(Some(b"")), Err(MalformedIdentity::Truncated));
    }
}
