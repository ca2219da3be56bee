//! The record of a caller that auth hands to the filters behind it, and its wire form.
//!
//! auth writes one record for every request, anonymous ones too, into the stream's filter state, where no client can
//! forge it. The filters behind it read it at most once: absent means anonymous, malformed means deny.
//!
//! ```
//! use identity::{CredentialKind, Identity};
//!
//! let caller = Identity {
//!     kind: CredentialKind::ApiKey,
//!     credential_id: "ci-2026".to_owned(),
//!     plan: Some("gold".to_owned()),
//!     ..Identity::anonymous()
//! };
//! let record = caller.encode();
//! assert_eq!(Identity::read(Some(&record)), Ok(caller));
//! assert_eq!(Identity::read(None), Ok(Identity::anonymous()));
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod bounds;
mod credential_kind;
mod display;
mod encoded_caller;
mod malformed;
mod original_request;
mod record;
pub mod wire;

pub use bounds::{MAX_CLAIMS, MAX_GROUPS, MAX_LABELS, MAX_RECORD_BYTES, MAX_SCOPES};
pub use credential_kind::CredentialKind;
pub use display::MAX_DISPLAY_BYTES;
pub use encoded_caller::EncodedCaller;
pub use malformed::MalformedIdentity;
pub use original_request::{OriginalRequest, RecordedProtocol};
pub use record::Identity;

/// The name under which auth sets the record with `set_property`.
///
/// Envoy prefixes what a Wasm filter sets, so it is read back as filter state `wasm.gatehouse.identity`.
pub const FILTER_STATE: &str = "gatehouse.identity";
