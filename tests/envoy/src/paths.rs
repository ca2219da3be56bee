//! Where things are: the tree, what was built, Envoy.

use std::fs;
use std::path::PathBuf;

use packager::{Built, Dist};
pub use packager::{target_folder, workspace};

use crate::Missing;

/// The Envoy to run: `$ENVOY`, else the one that `make setup` chose.
pub fn envoy_program() -> Result<PathBuf, Missing> {
    if let Some(program) = std::env::var_os("ENVOY").filter(|program| !program.is_empty()) {
        return Ok(program.into());
    }
    let record = target_folder().join("tools/envoy.path");
    let program = fs::read_to_string(record)
        .map(|path| PathBuf::from(path.trim_end()))
        .unwrap_or_default();
    match program.is_file() {
        true => Ok(program),
        false => Err(Missing::new("no Envoy here; `make setup` brings one")),
    }
}

/// The module of a filter, `auth`, as `make build` has packaged it.
///
/// # Errors
/// It was never packaged, or something that went into it has changed since: a test on it would prove nothing.
pub fn module(filter: &str) -> Result<PathBuf, Missing> {
    Dist::of(&workspace())
        .find(&target_folder(), filter)
        .map_err(Missing::new)
}

/// A module that is no filter of the suite and is loaded as it was built, by its crate's name: `probe-filter`.
///
/// # Errors
/// As for [`module`].
pub fn unpackaged_module(name: &str) -> Result<PathBuf, Missing> {
    Built::find(&target_folder(), name)
        .map(|built| built.module)
        .map_err(Missing::new)
}
