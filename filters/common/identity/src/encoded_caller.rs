//! A record that is encoded once for a caller, and completed for each request.

use crate::bounds::MAX_RECORD_BYTES;
use crate::malformed::MalformedIdentity;
use crate::original_request::OriginalRequest;
use crate::record::Identity;
use crate::wire;

/// The wire form of a record but for the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedCaller(Box<[u8]>);

impl EncodedCaller {
    /// Encodes who calls; the request of `identity` does not count.
    ///
    /// # Errors
    ///
    /// As [`Identity::check`].
    pub fn new(identity: &Identity) -> Result<Self, MalformedIdentity> {
        identity.check()?;
        let mut bytes = Vec::new();
        wire::put_caller(&mut bytes, identity);
        Ok(EncodedCaller(bytes.into()))
    }

    /// The whole record, for a request of this caller.
    ///
    /// # Errors
    ///
    /// [`MalformedIdentity::TooLarge`] past [`MAX_RECORD_BYTES`].
    pub fn with(&self, original: &OriginalRequest) -> Result<Vec<u8>, MalformedIdentity> {
        let length = [
            self.0.len(),
            original.path.len(),
            original.content_type.len(),
        ]
        .into_iter()
        .fold(wire::LENGTH_BYTES.saturating_mul(2), usize::saturating_add);
        if length > MAX_RECORD_BYTES {
            return Err(MalformedIdentity::TooLarge);
        }
        let mut record = Vec::with_capacity(length);
        record.extend_from_slice(&self.0);
        wire::put_original(&mut record, original);
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CredentialKind, RecordedProtocol};

    fn caller() -> Identity {
        Identity {
            kind: CredentialKind::Jwt,
            credential_id: "main".to_owned(),
            subject: Some("alice".to_owned()),
            groups: vec!["staff".to_owned()],
            ..Identity::anonymous()
        }
    }

    // One byte of difference, and every filter behind auth denies the request.
    #[test]
    fn what_is_completed_is_what_is_encoded_whole() {
        let original = OriginalRequest {
            path: b"/orders/7".to_vec(),
            content_type: b"application/grpc".to_vec(),
            protocol: RecordedProtocol::Grpc,
        };
        for identity in [caller(), Identity::anonymous()] {
            let whole = Identity {
                original: original.clone(),
                ..identity.clone()
            };
            let encoded = EncodedCaller::new(&identity).unwrap();
            assert_eq!(encoded.with(&original).unwrap(), whole.encode());
        }
    }

    // A record past the cap would be refused by its readers after auth had let the request pass.
    #[test]
    fn the_cap_is_on_the_whole() {
        let encoded = EncodedCaller::new(&caller()).unwrap();
        let of = |length| OriginalRequest {
            path: vec![b'a'; length],
            ..OriginalRequest::default()
        };
        let most = MAX_RECORD_BYTES - encoded.with(&of(0)).unwrap().len();
        assert!(encoded.with(&of(most)).is_ok());
        let refused = encoded.with(&of(most + 1));
        assert_eq!(refused, Err(MalformedIdentity::TooLarge));
    }
}
