//! What a caller proved its identity with.

/// The kind of credential behind an identity.
///
/// The numbers are part of the wire form: 3 (opaque token) and 4 (client certificate) are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// No credential was presented, or none was asked for.
    Anonymous,
    /// An API key that is in the configuration.
    ApiKey,
    /// A JSON Web Token (RFC 7519) that verified.
    Jwt,
}

impl CredentialKind {
    /// Every kind that this version writes.
    pub const ALL: [CredentialKind; 3] = [
        CredentialKind::Anonymous,
        CredentialKind::ApiKey,
        CredentialKind::Jwt,
    ];

    /// The name used in access logs and counters.
    pub fn name(self) -> &'static str {
        match self {
            CredentialKind::Anonymous => "anonymous",
            CredentialKind::ApiKey => "api_key",
            CredentialKind::Jwt => "jwt",
        }
    }

    pub(crate) fn wire(self) -> u8 {
        match self {
            CredentialKind::Anonymous => 0,
            CredentialKind::ApiKey => 1,
            CredentialKind::Jwt => 2,
        }
    }

    pub(crate) fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.wire() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A record from a build that knows more kinds must be refused, not read as another kind.
    #[test]
    fn reserved_numbers_are_unknown() {
        for reserved in [3, 4, 255] {
            assert_eq!(CredentialKind::from_wire(reserved), None);
        }
    }

    // Two kinds with one number would turn an API key into a token.
    #[test]
    fn numbers_round_trip() {
        for kind in CredentialKind::ALL {
            assert_eq!(CredentialKind::from_wire(kind.wire()), Some(kind));
        }
    }
}
