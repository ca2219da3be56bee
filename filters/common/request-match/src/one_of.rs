//! Members of which exactly one must be given.

use filter_config::{ConfigError, FieldPath};

/// The one that is given, or an error that names them all.
pub(crate) fn exactly_one<T, const N: usize>(
    members: [Option<T>; N],
    names: &str,
    at: &FieldPath,
) -> Result<T, ConfigError> {
    let mut given = members.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(member), None) => Ok(member),
        _ => Err(ConfigError::new(
            at,
            format!("expected exactly one of {names}"),
        )),
    }
}
