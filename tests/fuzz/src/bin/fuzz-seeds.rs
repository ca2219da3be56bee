//! `fuzz-seeds FOLDER`: writes the seeds of every target to `FOLDER/<target>/`, and prints the targets.

use std::path::PathBuf;

use fuzz::TARGETS;

#[expect(clippy::disallowed_methods, reason = "a tool that writes files")]
fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let Some(folder) = folder else {
        return Err(std::io::Error::other("usage: fuzz-seeds FOLDER"));
    };
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
