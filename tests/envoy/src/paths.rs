//! Where things are: the tree, what was built, Envoy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Missing;

/// The root of the repository.
pub fn workspace() -> PathBuf {
    // tests/envoy is two folders below it.
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

/// A built Wasm module by its crate's name in snake case: `gatehouse_auth`.
///
/// # Errors
/// It was never built, or a source that went into it has changed since: a test on it would prove nothing.
pub fn module(name: &str) -> Result<PathBuf, Missing> {
    let folder = target_folder().join("wasm32-wasip1/release");
    let module = folder.join(format!("{name}.wasm"));
    let Ok(built) = modified(&module) else {
        return Err(Missing::new(format!(
            "the module {name} is not built; `make build` does it"
        )));
    };
    // Cargo lists beside a module what it was made of: `module: source source …`.
    let sources = fs::read_to_string(folder.join(format!("{name}.d"))).unwrap_or_default();
    let changed = sources
        .lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(_, sources)| sources.split(' '))
        .find(|source| modified(Path::new(source)).is_ok_and(|changed| changed > built));
    match changed {
        Some(source) => Err(Missing::new(format!(
            "the module {name} is older than {source}; `make build` builds it anew"
        ))),
        None => Ok(module),
    }
}

fn modified(path: &Path) -> std::io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}
