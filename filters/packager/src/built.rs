//! A module as cargo has built it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

/// A built module and the sources that went into it.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where it is.
    pub module: PathBuf,
    /// Every source of this tree in it, as cargo lists them beside it.
    pub sources: Vec<PathBuf>,
}

/// Why a built module is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// There is none.
    #[error("the module {0} is not built; `make build` does it")]
    Absent(String),
    /// Cargo's list of its sources, `<name>.d`, is missing or empty.
    #[error("what the module {0} was made of is not known; `make build` builds it anew")]
    SourcesUnknown(String),
    /// A source has changed since.
    #[error("the module {0} is older than {source}; `make build` builds it anew", source = .1.display())]
    Outdated(String, PathBuf),
    /// It was made of another module than the one that is built.
    #[error("{path} was not made of what is built; `make build` makes it", path = .0.display())]
    NotPackaged(PathBuf),
}

impl Built {
    /// Finds the module of a crate, `gatehouse-auth`, in cargo's `target` folder.
    ///
    /// # Errors
    /// It was never built, or not since a source of it has changed.
    pub fn find(target: &Path, name: &str) -> Result<Self, Unfit> {
        let file = name.replace('-', "_");
        let folder = target.join("wasm32-wasip1/release");
        let module = folder.join(format!("{file}.wasm"));
        let Ok(built) = modified(&module) else {
            return Err(Unfit::Absent(name.to_owned()));
        };
        let listed = fs::read_to_string(folder.join(format!("{file}.d"))).unwrap_or_default();
        let sources = sources(&listed);
        if sources.is_empty() {
            return Err(Unfit::SourcesUnknown(name.to_owned()));
        }
        // A source that was removed since is no longer in what would be built now.
        let newer = |source: &&PathBuf| !modified(source).is_ok_and(|changed| changed <= built);
        if let Some(source) = sources.iter().find(newer) {
            return Err(Unfit::Outdated(name.to_owned(), source.clone()));
        }
        Ok(Self { module, sources })
    }
}

/// Reads what cargo writes beside a module: `module: source source …`, a space inside a name as `\ `.
fn sources(listed: &str) -> Vec<PathBuf> {
    listed
        .lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(_, sources)| {
            let held = sources.replace("\\ ", "\0");
            let names: Vec<_> = held
                .split_whitespace()
                .map(|name| PathBuf::from(name.replace('\0', " ")))
                .collect();
            names
        })
        .collect()
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A source that is not seen hides a callback, and the callback is stripped.
    #[test]
    fn every_source_is_read_spaces_in_its_name_or_not() {
        let listed = "/t/a.wasm: /w/src/lib.rs /w/my\\ src/root.rs\n";
        assert_eq!(
            sources(listed),
            [
                PathBuf::from("/w/src/lib.rs"),
                PathBuf::from("/w/my src/root.rs")
            ]
        );
    }

    #[test]
    fn a_module_must_be_there_and_as_new_as_its_sources() {
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join("wasm32-wasip1/release");
        fs::create_dir_all(&folder).unwrap();
        let find = || Built::find(target.path(), "gatehouse-x");
        assert!(matches!(find(), Err(Unfit::Absent(_))));

        let source = target.path().join("lib.rs");
        fs::write(&source, "").unwrap();
        fs::write(folder.join("gatehouse_x.wasm"), "").unwrap();
        assert!(matches!(find(), Err(Unfit::SourcesUnknown(_))));

        let listed = format!("gatehouse_x.wasm: {}\n", source.display());
        fs::write(folder.join("gatehouse_x.d"), listed).unwrap();
        assert_eq!(find().unwrap().sources, std::slice::from_ref(&source));

        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options()
            .write(true)
            .open(&source)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(matches!(find(), Err(Unfit::Outdated(_, _))));
        fs::remove_file(&source).unwrap();
        assert!(matches!(find(), Err(Unfit::Outdated(_, _))));
    }
}
