//! Functions that Envoy offers beyond the ABI, by name. A host without one answers [`HostError::NotFound`].

use crate::abi;
use crate::error::HostError;
use crate::proto::{self, Message};

/// How long a piece of filter state lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    /// As long as this filter chain.
    #[default]
    FilterChain,
    /// As long as the downstream request, through internal redirects.
    Request,
    /// As long as the downstream connection.
    Connection,
}

impl Span {
    const fn number(self) -> u64 {
        match self {
            Span::FilterChain => 0,
            Span::Request => 1,
            Span::Connection => 2,
        }
    }
}

/// What a piece of filter state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueType {
    /// Any bytes.
    #[default]
    Bytes,
    /// Text.
    Text,
}

/// How a name that [`crate::property::set`] writes behaves, for streams of this plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyDeclaration<'a> {
    /// The name, without the `wasm.` that readers put before it.
    pub name: &'a str,
    /// Written once a stream, by whoever is first; each further write answers [`HostError::BadArgument`].
    pub read_only: bool,
    /// What it holds.
    pub value_type: ValueType,
    /// How long it lives.
    pub span: Span,
}

/// Declares a piece of filter state. Called in `on_configure`, once a name.
///
/// # Errors
///
/// [`HostError::BadArgument`] if the name was declared before; [`HostError::NotFound`] on a host without the function.
pub fn declare_property(declaration: &PropertyDeclaration<'_>) -> Result<(), HostError> {
    let value_type = match declaration.value_type {
        ValueType::Bytes => 0,
        ValueType::Text => 1,
    };
    let arguments = Message::new()
        .bytes(1, declaration.name.as_bytes())
        .number(2, u64::from(declaration.read_only))
        .number(3, value_type)
        .number(5, declaration.span.number());
    abi::call_foreign_function(b"declare_property", arguments.as_bytes()).map(drop)
}

/// Writes one of Envoy's own filter-state objects, such as `envoy.string`.
///
/// # Errors
///
/// [`HostError::NotFound`] for an object that Envoy has no factory for; [`HostError::BadArgument`] for a value
/// that it does not take.
pub fn set_envoy_filter_state(key: &str, value: &[u8], span: Span) -> Result<(), HostError> {
    let arguments = Message::new()
        .bytes(1, key.as_bytes())
        .bytes(2, value)
        .number(3, span.number());
    abi::call_foreign_function(b"set_envoy_filter_state", arguments.as_bytes()).map(drop)
}

/// Makes the host choose the route anew. Needed after filter state was written; a header edit does it by itself.
///
/// # Errors
///
/// [`HostError::NotFound`] on a host without the function; the host's other statuses.
pub fn clear_route_cache() -> Result<(), HostError> {
    abi::call_foreign_function(b"clear_route_cache", b"").map(drop)
}

/// A digest, as the host names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Digest {
    const fn name(self) -> &'static str {
        match self {
            Digest::Sha256 => "SHA256",
            Digest::Sha384 => "SHA384",
            Digest::Sha512 => "SHA512",
        }
    }
}

/// Whether `signature` over `text` was made with the private half of the public key `key` (DER, SPKI).
///
/// RSA PKCS #1 v1.5 and ECDSA with a *DER* signature; neither PSS nor Ed25519. The host takes RSA keys of any
/// size, and any pair of digest and curve: the caller has checked both.
///
/// # Errors
///
/// [`HostError::BadArgument`] for a key that cannot be parsed; [`HostError::NotFound`] on a host without the function;
/// [`HostError::Malformed`] for an answer that is no message. None of them means "verified".
pub fn verify_signature(
    digest: Digest,
    key: &[u8],
    signature: &[u8],
    text: &[u8],
) -> Result<bool, HostError> {
    let arguments = Message::new()
        .bytes(1, digest.name().as_bytes())
        .bytes(2, key)
        .bytes(3, signature)
        .bytes(4, text);
    let answer = abi::call_foreign_function(b"verify_signature", arguments.as_bytes())?;
    match proto::number(&answer, 1) {
        Some(result) => Ok(result == 1),
        None => Err(HostError::Malformed),
    }
}
