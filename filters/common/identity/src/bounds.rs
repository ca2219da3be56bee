//! How large a record may be.

use crate::credential_kind::CredentialKind;
use crate::malformed::MalformedIdentity;
use crate::record::Identity;
use crate::wire;

/// The largest record in bytes. A token that fits in a request header cannot fill it, a hostile content type can.
pub const MAX_RECORD_BYTES: usize = 32 * 1024;
/// The most groups in a record.
pub const MAX_GROUPS: usize = 256;
/// The most scopes in a record.
pub const MAX_SCOPES: usize = 256;
/// The most labels in a record.
pub const MAX_LABELS: usize = 64;
/// The most selected claims in a record.
pub const MAX_CLAIMS: usize = 64;

fn has_repeated(pairs: &[(String, String)]) -> bool {
    // A few at most: comparing them allocates nothing.
    let mut earlier = pairs.iter().enumerate();
    earlier.any(|(index, (name, _))| pairs.iter().take(index).any(|(other, _)| other == name))
}

impl Identity {
    /// Whether a reader would accept this record.
    ///
    /// # Errors
    ///
    /// The reason why [`Identity::decode`] would refuse it: too large, too many groups, scopes, labels or claims, a label
    /// or a claim given twice, an anonymous caller with claims, a credential without an id.
    pub fn check(&self) -> Result<(), MalformedIdentity> {
        let is_bare = self.credential_id.is_empty()
            && self.consumer.is_none()
            && self.subject.is_none()
            && self.issuer.is_none()
            && self.plan.is_none()
            && self.groups.is_empty()
            && self.scopes.is_empty()
            && self.labels.is_empty()
            && self.claims.is_empty();
        match self.kind {
            CredentialKind::Anonymous if !is_bare => {
                return Err(MalformedIdentity::AnonymousWithClaims);
            }
            CredentialKind::ApiKey | CredentialKind::Jwt if self.credential_id.is_empty() => {
                return Err(MalformedIdentity::MissingCredentialId);
            }
            _ => {}
        }
        if self.groups.len() > MAX_GROUPS
            || self.scopes.len() > MAX_SCOPES
            || self.labels.len() > MAX_LABELS
            || self.claims.len() > MAX_CLAIMS
        {
            return Err(MalformedIdentity::TooMany);
        }
        if has_repeated(&self.labels) {
            return Err(MalformedIdentity::RepeatedLabel);
        }
        if has_repeated(&self.claims) {
            return Err(MalformedIdentity::RepeatedClaim);
        }
        if wire::encoded_len(self) > MAX_RECORD_BYTES {
            return Err(MalformedIdentity::TooLarge);
        }
        Ok(())
    }
}
