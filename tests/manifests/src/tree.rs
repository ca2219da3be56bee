//! The files of the tree.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The text of a file, by its path from the root.
///
/// # Panics
///
/// If it cannot be read.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file, by its path from the root, in order. What is built or belongs to version control is not the tree's.
pub fn files() -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            // A build folder of any name says so itself.
            let built = name == "target" || name == "dist" || path.join("CACHEDIR.TAG").exists();
            if path.is_dir() && name != ".git" && !built {
                folders.push(path);
            } else if path.is_file() {
                found.extend(path.strip_prefix(&root).map(Path::to_owned));
            }
        }
    }
    found.sort();
    found
}

/// The files with that ending.
pub fn files_ending(ending: &str) -> Vec<PathBuf> {
    let ends = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(ending));
    files().into_iter().filter(ends).collect()
}

/// The names of the folders in a folder.
pub fn folders(path: impl AsRef<Path>) -> Vec<String> {
    let mut names: Vec<String> = entries(&root().join(path))
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect()
}
