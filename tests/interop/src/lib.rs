//! Programs that others wrote, run beside the gateway.
//!
//! `make interop` brings them (`npm ci`, a Python environment, both with pinned hashes) into the target folder, and runs the
//! tests of this crate. A [`Peer`] is one such program: it talks over its standard input and output, a line of JSON each way.

#![allow(clippy::disallowed_methods)] // Starts programs, and reads where they are.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Where `make interop` has put what it fetched, if it has.
pub fn fetched() -> Option<PathBuf> {
    std::env::var_os("GATEHOUSE_INTEROP").map(PathBuf::from)
}

/// The folder of this crate.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that runs; its standard input ends when this is dropped, and with that the program.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a program.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self {
            child,
            input,
            output,
        }
    }

    /// The next line that it says.
    ///
    /// # Panics
    /// If it ends, or says something else than JSON; its standard error says why.
    pub fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("its output is readable");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Says a line, and gives the answer.
    ///
    /// # Panics
    /// As [`Peer::hear`].
    pub fn ask(&mut self, line: &str) -> Value {
        let input = self.input.as_mut().expect("it is open until the end");
        writeln!(input, "{line}").expect("it reads");
        self.hear()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself; one that does not is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
