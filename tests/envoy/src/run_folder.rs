//! The folder of one Envoy: its configuration, log, access log and certificates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use upstreams::{Certificates, INVENTORY_DESCRIPTOR_SET};

/// A temporary folder, gone when dropped.
#[derive(Debug)]
pub(crate) struct RunFolder(tempfile::TempDir);

impl RunFolder {
    pub(crate) fn new() -> io::Result<Self> {
        tempfile::Builder::new()
            .prefix("gatehouse-envoy-")
            .tempdir()
            .map(Self)
    }

    /// Puts in what configurations expect beside the modules.
    pub(crate) fn install(&self, certificates: &Certificates) -> io::Result<()> {
        certificates.write(&self.file("tls"))?;
        fs::write(self.file("inventory.pb"), INVENTORY_DESCRIPTOR_SET)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Envoy's own log.
    pub(crate) fn log(&self) -> String {
        fs::read(self.file("envoy.log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// The complete lines of the access log.
    pub(crate) fn access_log(&self) -> Vec<Value> {
        let text = fs::read(self.file("access.log")).unwrap_or_default();
        let complete = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        text[..complete]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).unwrap_or_else(|error| {
                    panic!("the access log holds a line that is no JSON: {error}")
                })
            })
            .collect()
    }

    /// Replaces a file in one step, as Envoy's file subscriptions ask for.
    pub(crate) fn replace(&self, name: &str, value: &Value) -> io::Result<()> {
        let new = self.file(&format!("{name}.new"));
        fs::write(&new, value.to_string())?;
        fs::rename(new, self.file(name))
    }
}

/// Asks again and again, a few milliseconds between, until there is an answer or the time is up.
pub(crate) fn wait_for<T>(at_most: Duration, mut asked: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = std::time::Instant::now() + at_most;
    loop {
        if let Some(answer) = asked() {
            return Some(answer);
        }
        if std::time::Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
