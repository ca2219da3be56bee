//! Properties: attributes of the request, and filter state.

use crate::error::HostError;
use crate::{abi, written};

/// The value at `path`, as the host's bytes: integers are 8 bytes little-endian, text is as on the wire.
/// `None` if there is none.
///
/// Route attributes (`["xds", "route_name"]`) are what a native filter last saw: a header edit made since,
/// by any Wasm filter, does not show. What [`set`] wrote as `x` is read at `["filter_state", "wasm.x"]`.
///
/// # Errors
///
/// [`HostError::BadArgument`] for a NUL in `path`; the host's other statuses.
pub fn get(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    if path.iter().any(|part| part.as_bytes().contains(&0)) {
        return Err(HostError::BadArgument);
    }
    match abi::property(path.join("\0").as_bytes()) {
        Ok(value) => Ok(Some(value)),
        Err(HostError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes filter state: every filter of the stream, the access log and route matching see it as `wasm.<name>`.
///
/// Does not make the host choose the route anew; [`crate::foreign::clear_route_cache`] does.
///
/// # Errors
///
/// [`HostError::BadArgument`] for a NUL in `name`, or if the value is read-only and was written before;
/// [`HostError::NotFound`] outside a stream.
pub fn set(name: &str, value: &[u8]) -> Result<(), HostError> {
    if written::has_nul(name.as_bytes()) {
        return Err(HostError::BadArgument);
    }
    abi::set_property(name.as_bytes(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A NUL inside a part would address another property than the one named.
    #[test]
    fn a_nul_in_a_path_is_refused() {
        assert_eq!(get(&["xds\0route_name"]), Err(HostError::BadArgument));
        assert_eq!(set("a\0b", b""), Err(HostError::BadArgument));
    }
}
