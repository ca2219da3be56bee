//! What an image says of itself.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use packager::Labels;

/// The labels of a filter's image: from its manifest, and the commit if the tree is one.
pub(crate) fn of(workspace: &Path, filter: &str) -> io::Result<Labels> {
    let manifest = fs::read_to_string(workspace.join("filters").join(filter).join("Cargo.toml"))?;
    let description = manifest
        .lines()
        .find_map(|line| line.strip_prefix("description = "))
        .unwrap_or_default();
    let mut labels = Labels::from([
        ("title", format!("gatehouse-{filter}")),
        ("description", description.trim_matches('"').to_owned()),
        ("licenses", env!("CARGO_PKG_LICENSE").to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    if let Some(revision) = revision(workspace) {
        labels.insert("revision", revision);
    }
    Ok(labels)
}

/// The commit that the tree is at. One with changes is at none.
fn revision(workspace: &Path) -> Option<String> {
    let git = |words: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(workspace)
            .args(words)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    };
    git(&["status", "--porcelain"])?
        .is_empty()
        .then(|| git(&["rev-parse", "HEAD"]))?
}
