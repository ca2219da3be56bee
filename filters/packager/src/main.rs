//! `packager` strips, orders and checks every built filter into `dist/`; `packager images` makes OCI images of what is there;
//! `packager trace FOLDER` writes the built filters as they log which of their functions requests run.

#![allow(clippy::disallowed_methods)] // A tool with files, not policy.

mod labels;
mod print;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use packager::{Dist, Image, Packaged, filters, target_folder, traced, workspace};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] => modules(),
        ["images"] => images(),
        ["trace", folder] => trace(Path::new(folder)),
        _ => Err("usage: packager [images | trace FOLDER]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("packager: {error}");
            ExitCode::FAILURE
        }
    }
}

fn modules() -> Result<(), Box<dyn Error>> {
    let (workspace, target) = (workspace(), target_folder());
    let mut modules = Vec::new();
    for filter in filters(&workspace)? {
        modules.push(Packaged::make(&workspace, &target, &filter)?);
    }
    Dist::of(&workspace).write(&modules)?;
    print::modules(&modules);
    Ok(())
}

fn trace(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for filter in filters(&workspace())? {
        let module = traced(&target_folder(), &filter)?;
        fs::write(folder.join(format!("{filter}.wasm")), module)?;
    }
    Ok(())
}

fn images() -> Result<(), Box<dyn Error>> {
    let (workspace, target) = (workspace(), target_folder());
    let dist = Dist::of(&workspace);
    let mut images = Vec::new();
    for filter in filters(&workspace)? {
        let module = fs::read(dist.find(&target, &filter)?)?;
        let image = Image::new(&module, &labels::of(&workspace, &filter)?)?;
        image.write(&dist.image_folder(&filter))?;
        images.push((filter, image));
    }
    print::images(&images);
    Ok(())
}
