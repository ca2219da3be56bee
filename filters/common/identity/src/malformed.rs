//! Why a record is refused.

/// Why bytes are not an identity record. Readers deny the request; the text never quotes the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedIdentity {
    /// Larger than [`MAX_RECORD_BYTES`](crate::MAX_RECORD_BYTES).
    #[error("identity record is too large")]
    TooLarge,
    /// The bytes end before the record does, or there are none.
    #[error("identity record is cut short")]
    Truncated,
    /// Bytes follow the record.
    #[error("identity record has trailing bytes")]
    TrailingBytes,
    /// Another version of the wire form.
    #[error("identity record has an unknown version")]
    UnknownVersion,
    /// A credential kind that this build does not know.
    #[error("identity record has an unknown credential kind")]
    UnknownKind,
    /// A protocol that this build does not know.
    #[error("identity record has an unknown protocol")]
    UnknownProtocol,
    /// A presence bit that this version does not define.
    #[error("identity record has an unknown presence bit")]
    UnknownPresenceBit,
    /// A text that is not UTF-8.
    #[error("identity record has text that is not utf-8")]
    NotUtf8,
    /// More groups, scopes, labels or claims than the bounds allow.
    #[error("identity record has too many groups, scopes, labels or claims")]
    TooMany,
    /// Two labels of one name: readers could take either.
    #[error("identity record has a label twice")]
    RepeatedLabel,
    /// Two claims of one name.
    #[error("identity record has a claim twice")]
    RepeatedClaim,
    /// An anonymous caller that has a credential id, claims or labels.
    #[error("identity record is anonymous but has claims")]
    AnonymousWithClaims,
    /// A caller with a credential that has no id.
    #[error("identity record has a credential without an id")]
    MissingCredentialId,
}
