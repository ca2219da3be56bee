//! HTTP methods.

use filter_config::{ConfigError, FieldPath};
use http_message::is_token;

/// Methods that are well known, so that another letter case of one is a slip.
const KNOWN: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Checks a method in a configuration. Methods are case-sensitive tokens (RFC 9110 section 9.1).
pub(crate) fn check_method(method: &str, at: &FieldPath) -> Result<(), ConfigError> {
    if !is_token(method) {
        return Err(ConfigError::new(
            at,
            "not a method, expected a token such as GET",
        ));
    }
    match KNOWN
        .iter()
        .find(|known| known.eq_ignore_ascii_case(method))
    {
        Some(known) if *known != method => Err(ConfigError::new(
            at,
            format!("methods are case-sensitive, did you mean {known}?"),
        )),
        _ => Ok(()),
    }
}
