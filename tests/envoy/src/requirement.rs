//! What a test does where something that it needs is missing.

use std::fmt;
use std::io::Write;

/// Something that a test needs is not there.
#[derive(Clone, Debug)]
pub struct Missing(String);

impl Missing {
    /// What is missing, and what brings it.
    pub fn new(what: impl ToString) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Says on a line of its own that the calling test cannot run, and why.
///
/// # Panics
/// With `GATEHOUSE_REQUIRE_ALL=1`, where no test may be left out.
pub fn skipped(why: &Missing) {
    assert!(
        std::env::var_os("GATEHOUSE_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "cannot run: {why}"
    );
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {why}\n", thread.name().unwrap_or("a test"));
    // Past the test runner's capture, which would keep it to itself, and in one piece.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
