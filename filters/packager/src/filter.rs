//! The filters of the tree.

use std::path::Path;
use std::{fs, io};

/// The names of the filters below `workspace`, in order: a folder of `filters/` whose crate is `gatehouse-` and its name.
///
/// # Errors
/// The folder cannot be read.
pub fn filters(workspace: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.join("filters"))? {
        let path = entry?.path();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if manifest.contains(&format!("name = \"gatehouse-{name}\"\n")) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
