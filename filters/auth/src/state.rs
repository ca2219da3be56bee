//! What this filter leaves in filter state: the identity record for the filters behind it, words for the access log.

use auth_policy::{Caller, Decision, Reason};
use identity::{FILTER_STATE, OriginalRequest};
use proxy_host::foreign::{self, PropertyDeclaration, Span, ValueType};
use proxy_host::{HostError, property};

const IDENTITY: &str = "gatehouse.auth.identity";
const RULE: &str = "gatehouse.auth.rule";
const DECISION: &str = "gatehouse.auth.decision";
const REASON: &str = "gatehouse.auth.reason";

/// Makes the record read-only: it belongs to its first writer, and auth is first to write it, on every request.
///
/// A name that this VM has declared before, for an earlier configuration, stays as it was declared.
pub(crate) fn declare() {
    let declared = foreign::declare_property(&PropertyDeclaration {
        name: FILTER_STATE,
        read_only: true,
        value_type: ValueType::Bytes,
        span: Span::Request,
    });
    if let Err(error) = declared {
        log::debug!("declare_property name={FILTER_STATE} error={error}");
    }
}

/// Writes the record and the words.
///
/// # Errors
/// A record that no reader would accept, or the host's statuses. The request must not pass then: behind this filter, no
/// record means an anonymous caller, and that may be more than was decided.
pub(crate) fn write(
    caller: &Caller,
    original: &OriginalRequest,
    rule: Option<&str>,
    decision: Decision,
    reason: Option<Reason>,
) -> Result<(), HostError> {
    let record = caller.record(original).map_err(|_| HostError::TooLarge)?;
    property::set(FILTER_STATE, &record)?;
    property::set(IDENTITY, caller.display().as_bytes())?;
    write_words(rule, decision, reason)
}

/// Writes what there is to say of the decision: each word is a host call, so where no rule or no reason is, none is written.
///
/// # Errors
/// The host's statuses.
pub(crate) fn write_words(
    rule: Option<&str>,
    decision: Decision,
    reason: Option<Reason>,
) -> Result<(), HostError> {
    property::set(DECISION, decision.name().as_bytes())?;
    if let Some(rule) = rule {
        property::set(RULE, rule.as_bytes())?;
    }
    match reason {
        Some(reason) => property::set(REASON, reason.name().as_bytes()),
        None => Ok(()),
    }
}
