//! Fields of the record that auth leaves.

use identity::Identity;

use super::value::Value;

/// A field of the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityField {
    Subject,
    Issuer,
    Consumer,
    Plan,
    Groups,
    Scopes,
    CredentialKind,
    CredentialId,
}

impl IdentityField {
    pub(super) const NAMES: [(&'static str, IdentityField); 8] = [
        ("subject", IdentityField::Subject),
        ("issuer", IdentityField::Issuer),
        ("consumer", IdentityField::Consumer),
        ("plan", IdentityField::Plan),
        ("groups", IdentityField::Groups),
        ("scopes", IdentityField::Scopes),
        ("credential_kind", IdentityField::CredentialKind),
        ("credential_id", IdentityField::CredentialId),
    ];

    pub(super) fn of(self, identity: &Identity) -> Option<Value<'_>> {
        match self {
            IdentityField::Subject => text(&identity.subject),
            IdentityField::Issuer => text(&identity.issuer),
            IdentityField::Consumer => text(&identity.consumer),
            IdentityField::Plan => text(&identity.plan),
            IdentityField::Groups => list(&identity.groups),
            IdentityField::Scopes => list(&identity.scopes),
            IdentityField::CredentialKind => Some(Value::of(identity.kind.name().as_bytes())),
            IdentityField::CredentialId => {
                let id = identity.credential_id.as_bytes();
                (!id.is_empty()).then_some(Value::of(id))
            }
        }
    }
}

fn text(text: &Option<String>) -> Option<Value<'_>> {
    text.as_deref().map(|text| Value::of(text.as_bytes()))
}

fn list(texts: &[String]) -> Option<Value<'_>> {
    (!texts.is_empty()).then_some(Value::List(texts))
}
