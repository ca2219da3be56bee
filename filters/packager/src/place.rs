//! Where the tree is, and where cargo builds.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn workspace() -> PathBuf {
    // filters/packager is two folders below it.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// The folder that cargo builds into.
pub fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    // Cargo marks the folder; a test program lies some folders below.
    if let Some(folder) = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
    {
        return folder.to_path_buf();
    }
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
