//! The folder that everything loads the modules from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Built, Fault, Order, OrderError, Outline, StripError, Unfit, callbacks_in, strip, trace,
};

/// Says of each module of what it was made, so that nobody takes one for another.
const RECORD: &str = "packaged.json";

/// `dist/`.
#[derive(Clone, Debug)]
pub struct Dist(PathBuf);

/// A module that was packaged.
#[derive(Clone, Debug)]
pub struct Packaged {
    /// The filter.
    pub filter: String,
    /// What went in.
    pub built: Outline,
    /// The sha256 of what went in.
    pub built_sha256: String,
    /// What came out.
    pub outline: Outline,
    /// What came out.
    pub module: Vec<u8>,
    /// How many functions its order names.
    pub ordered: usize,
    /// How many of them it has.
    pub found: usize,
}

/// Why a filter was not packaged.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// What cargo has built is not to be used.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be stripped.
    #[error("{0}: {1}")]
    Unstripped(String, StripError),
    /// Its functions cannot be put into order.
    #[error("{0}: {1}")]
    Unordered(String, OrderError),
    /// It must not be shipped.
    #[error("{0}: {1}")]
    Faulty(String, Fault),
}

impl Packaged {
    /// Strips, orders and checks the module that cargo has built of `filter` below `target`. Its order is the `order.txt`
    /// beside the filter's manifest, if there is one.
    ///
    /// # Errors
    /// There is no module that is as new as its sources, or it cannot be stripped, or Envoy would not take it.
    pub fn make(workspace: &Path, target: &Path, filter: &str) -> Result<Self, PackageError> {
        let faulty = |fault| PackageError::Faulty(filter.to_owned(), fault);
        let (original, stripped) = stripped(target, filter)?;
        let order = Order::parse(&list_of(workspace, filter)?);
        let ordered = order
            .apply(&stripped)
            .map_err(|error| PackageError::Unordered(filter.to_owned(), error))?;
        let outline = Outline::of(&ordered.module).map_err(faulty)?;
        outline.check().map_err(faulty)?;
        Ok(Self {
            filter: filter.to_owned(),
            built: Outline::of(&original).map_err(faulty)?,
            built_sha256: sha256(&original),
            outline,
            module: ordered.module,
            ordered: order.len(),
            found: ordered.found,
        })
    }

    /// The sha256 of the module, in hexadecimal.
    pub fn sha256(&self) -> String {
        sha256(&self.module)
    }
}

impl Dist {
    /// The folder of a tree.
    pub fn of(workspace: &Path) -> Self {
        Self(workspace.join("dist"))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Where the module of a filter is, or would be.
    pub fn path(&self, filter: &str) -> PathBuf {
        self.0.join(format!("{filter}.wasm"))
    }

    /// Where the OCI image of a filter is, or would be.
    pub fn image_folder(&self, filter: &str) -> PathBuf {
        self.0.join("images").join(filter)
    }

    /// Writes the modules, `SHA256SUMS` and the record. Each file is replaced whole: an Envoy may be reading it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, modules: &[Packaged]) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let mut sums = String::new();
        let mut record = BTreeMap::new();
        for packaged in modules {
            let (filter, sha256) = (&packaged.filter, packaged.sha256());
            replace(&self.path(filter), &packaged.module)?;
            let _ = writeln!(sums, "{sha256}  {filter}.wasm");
            record.insert(
                filter,
                json!({ "built_sha256": packaged.built_sha256, "sha256": sha256 }),
            );
        }
        let record = serde_json::to_string_pretty(&record)?;
        replace(&self.0.join("SHA256SUMS"), sums.as_bytes())?;
        replace(&self.0.join(RECORD), format!("{record}\n").as_bytes())
    }

    /// The module of a filter, if it was made of what cargo has built last below `target`.
    ///
    /// # Errors
    /// It was not, or cargo's module is itself older than its sources.
    pub fn find(&self, target: &Path, filter: &str) -> Result<PathBuf, Unfit> {
        let built = Built::find(target, &format!("gatehouse-{filter}"))?;
        let record = fs::read(self.0.join(RECORD)).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap_or_default();
        let is = |path: &Path, member: &str| {
            let recorded = record.get(filter).and_then(|of| of.get(member));
            fs::read(path).is_ok_and(|bytes| recorded.is_some_and(|hash| *hash == sha256(&bytes)))
        };
        let module = self.path(filter);
        match is(&built.module, "built_sha256") && is(&module, "sha256") {
            true => Ok(module),
            false => Err(Unfit::NotPackaged(module)),
        }
    }
}

/// Where the order of a filter's functions is.
pub fn order_of(workspace: &Path, filter: &str) -> PathBuf {
    workspace.join("filters").join(filter).join("order.txt")
}

/// The module of a filter, built as for [`Packaged::make`], as it says what of it requests run: see [`trace()`].
///
/// # Errors
/// As those of [`Packaged::make`].
pub fn traced(target: &Path, filter: &str) -> Result<Vec<u8>, PackageError> {
    let (_, module) = stripped(target, filter)?;
    trace(&module).map_err(|error| PackageError::Unstripped(filter.to_owned(), error))
}

/// The module that cargo has built of a filter, and the same stripped.
fn stripped(target: &Path, filter: &str) -> Result<(Vec<u8>, Vec<u8>), PackageError> {
    let built = Built::find(target, &format!("gatehouse-{filter}"))?;
    let mut callbacks = BTreeSet::new();
    for source in &built.sources {
        callbacks.extend(callbacks_in([&*String::from_utf8_lossy(&read(source)?)]));
    }
    let original = read(&built.module)?;
    let module = strip(&original, &callbacks)
        .map_err(|error| PackageError::Unstripped(filter.to_owned(), error))?;
    Ok((original, module))
}

fn list_of(workspace: &Path, filter: &str) -> Result<String, PackageError> {
    let path = order_of(workspace, filter);
    match fs::read_to_string(&path) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| PackageError::Unreadable { path, source }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PackageError> {
    fs::read(path).map_err(|source| PackageError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// The sha256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Puts a file in the place of another, whole. One that has these bytes already is left alone: who watches it would reload.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
