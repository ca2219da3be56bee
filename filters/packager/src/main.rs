//! `make build`: packages every filter into `dist/`.

mod table;

use std::process::ExitCode;

use packager::{Dist, Packaged, filters, target_folder, workspace};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("packager: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (workspace, target) = (workspace(), target_folder());
    let mut modules = Vec::new();
    for filter in filters(&workspace)? {
        modules.push(Packaged::make(&target, &filter)?);
    }
    Dist::of(&workspace).write(&modules)?;
    table::print(&modules);
    Ok(())
}
