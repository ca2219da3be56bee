//! Data that all workers of one Envoy share: a map of byte strings with compare-and-swap.
//!
//! The host can neither delete nor enumerate keys and never frees one, so a caller uses a fixed set of them
//! and never one made of what a client sent.

use crate::error::HostError;
use crate::{abi, random};

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes; `None` if the stored value is empty, which is what a removed one looks like.
    pub value: Option<Vec<u8>>,
    /// The number to give to [`Write::IfUnchanged`].
    pub cas: u32,
}

/// Under what condition a write is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Always; the last of several writers wins.
    Unconditional,
    /// Only if the key has never been written.
    IfAbsent,
    /// Only if nobody has written since the entry with this number was read. An absent key is written too.
    IfUnchanged(u32),
}

/// The entry under `key`; `None` if it was never written.
///
/// # Errors
///
/// The host's statuses.
pub fn get(key: &[u8]) -> Result<Option<Entry>, HostError> {
    match abi::shared_data(key) {
        Ok((value, cas)) => Ok(Some(Entry {
            value: Some(value).filter(|value| !value.is_empty()),
            cas,
        })),
        Err(HostError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is stored under `key`, and the condition of a write that must not overwrite another's.
///
/// # Errors
///
/// The host's statuses.
pub fn read(key: &str) -> Result<(Option<Vec<u8>>, Write), HostError> {
    Ok(match get(key.as_bytes())? {
        Some(Entry { value, cas }) => (value, Write::IfUnchanged(cas)),
        None => (None, Write::IfAbsent),
    })
}

/// The random bytes that all workers share under `key`, or new ones if there are none: whoever is first to write decides for all.
///
/// # Errors
///
/// [`HostError::Malformed`] if there is something else; the host's statuses.
pub fn secret<const LENGTH: usize>(key: &str) -> Result<[u8; LENGTH], HostError> {
    let (stored, write) = read(key)?;
    if let Some(bytes) = stored.and_then(|bytes| bytes.try_into().ok()) {
        return Ok(bytes);
    }
    let mut bytes = [0; LENGTH];
    random::fill(&mut bytes)?;
    if set(key.as_bytes(), &bytes, write)? {
        return Ok(bytes);
    }
    let (stored, _) = read(key)?;
    stored
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(HostError::Malformed)
}

/// Writes `value` under `key`; `false` if the condition did not hold, and nothing was written.
///
/// # Errors
///
/// [`HostError::BadArgument`] for `IfUnchanged(0)`, which the host would take for unconditional; the host's statuses.
pub fn set(key: &[u8], value: &[u8], write: Write) -> Result<bool, HostError> {
    let cas = match write {
        Write::Unconditional => 0,
        // Present keys hold a number that is not this one (the host counts up from 1); absent keys take any.
        Write::IfAbsent => u32::MAX,
        Write::IfUnchanged(0) => return Err(HostError::BadArgument),
        Write::IfUnchanged(cas) => cas,
    };
    match abi::set_shared_data(key, value, cas) {
        Ok(()) => Ok(true),
        Err(HostError::CasMismatch) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Zero means "always" to the host: a conditional write must not turn into that.
    #[test]
    fn a_zero_number_is_refused() {
        assert_eq!(
            set(b"k", b"v", Write::IfUnchanged(0)),
            Err(HostError::BadArgument)
        );
    }
}
