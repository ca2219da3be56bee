//! Files that the owner alone can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file of mode 0600, in the place of one that may be there.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // A file that stood there keeps its mode when it is opened anew.
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(file)?
        .write_all(bytes)
}
