//! `make setup` on a machine that lacks something: one line that says what, and how to get it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use manifests::tree;

/// What `tools/setup.sh` needs to get as far as its checks.
const PROGRAMS: [&str; 12] = [
    "bash", "cat", "cut", "dirname", "getconf", "head", "mkdir", "printf", "python3", "rustup",
    "sed", "sort",
];

/// A `PATH` of one folder, with these programs in it.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("gatehouse-setup-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let machine = Self(folder);
        for program in PROGRAMS.into_iter().chain(["cc", "curl", "uname"]) {
            if let Some(found) = find(program) {
                symlink(found, machine.0.join(program)).unwrap();
            }
        }
        machine
    }

    fn without(self, program: &str) -> Self {
        fs::remove_file(self.0.join(program)).unwrap();
        self
    }

    fn with(self, program: &str, script: &str) -> Self {
        let file = self.0.join(program);
        fs::remove_file(&file).unwrap();
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// What setup says; it must fail.
    fn refusal(&self) -> String {
        let output = Command::new(self.0.join("bash"))
            .arg(tree::root().join("tools/setup.sh"))
            .env_clear()
            .env("PATH", &self.0)
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .output()
            .unwrap();
        assert!(!output.status.success(), "setup is content");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| Path::new(file).is_file())
}

// Without it a newcomer would meet a linker's or a script's error in the middle of a build.
#[test]
fn what_is_missing_is_said_in_one_line() {
    for (machine, says) in [
        (
            Machine::new("cc").without("cc"),
            &["cc is missing", "apt-get install"][..],
        ),
        (
            Machine::new("curl").without("curl"),
            &["curl is missing", "apt-get install"],
        ),
        (
            Machine::new("rustup").without("rustup"),
            &["rustup is missing", "rustup.rs"],
        ),
        (
            Machine::new("python").with("python3", "exit 1"),
            &["3.10", "apt-get install"],
        ),
        (
            Machine::new("mac").with("uname", "[ \"$1\" = -s ] && echo Darwin || echo arm64"),
            &["Darwin", "compose"],
        ),
        (
            Machine::new("glibc").with("getconf", "echo glibc 2.28"),
            &["glibc 2.31", "compose"],
        ),
    ] {
        let said = machine.refusal();
        assert_eq!(said.lines().count(), 1, "{said}");
        for part in says {
            assert!(said.contains(part), "{said}");
        }
    }
}
