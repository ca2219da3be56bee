//! Cleans up after a process that could not.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Reads `PROCESS FOLDER`; then, unless a line `done` comes first, ends the process and removes the folder as soon as its
/// standard input closes, which the kernel does when we die, in whatever way.
const SCRIPT: &str = r#"
read -r process folder || exit 0
read -r word && [ "$word" = done ] && exit 0
kill -KILL "$process"
while kill -0 "$process"; do sleep 0.05; done
rm -rf "$folder"
"#;

/// A process that outlives ours, and Envoy by a moment.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    words: Option<ChildStdin>,
}

impl Keeper {
    /// Watches over `process` and `folder`.
    pub(crate) fn of(process: u32, folder: &Path) -> io::Result<Self> {
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C reaches a whole process group, and must not end the one that cleans up.
            .process_group(0)
            .spawn()?;
        let mut words = keeper.stdin.take();
        if let Some(words) = &mut words {
            writeln!(words, "{process} {}", folder.display())?;
        }
        Ok(Self {
            process: keeper,
            words,
        })
    }
}

impl Drop for Keeper {
    /// Nothing is left to clean up.
    fn drop(&mut self) {
        if let Some(mut words) = self.words.take() {
            let _ = writeln!(words, "done");
        }
        let _ = self.process.wait();
    }
}
