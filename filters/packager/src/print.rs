//! What the program prints: a line for each module or image.

use anstream::println;
use anstyle::{AnsiColor, Style};
use packager::{Image, MAX_MODULE_BYTES, Packaged};

const HEAD: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Characters of a digest that are shown.
const SHOWN: usize = 12;

pub(crate) fn modules(modules: &[Packaged]) {
    println!(
        "{HEAD}{:<22} {:>10} {:>10} {:>5}  {:>9}  {:>9}  sha256{HEAD:#}",
        "module", "built", "packaged", "", "exports", "ordered"
    );
    for packaged in modules {
        let (before, after) = (packaged.built.size, packaged.outline.size);
        let style = if after > MAX_MODULE_BYTES { BAD } else { GOOD };
        let sha256 = packaged.sha256();
        println!(
            "{:<22} {:>10} {style}{:>10}{style:#} {:>3} %  {:>9}  {:>9}  {}…",
            format!("dist/{}.wasm", packaged.filter),
            grouped(before),
            grouped(after),
            after.saturating_mul(100).checked_div(before).unwrap_or(0),
            format!(
                "{} → {}",
                packaged.built.exports.len(),
                packaged.outline.exports.len()
            ),
            format!("{} / {}", packaged.found, packaged.ordered),
            sha256.get(..SHOWN).unwrap_or(&sha256)
        );
    }
}

pub(crate) fn images(images: &[(String, Image)]) {
    println!(
        "{HEAD}{:<24} digest of the manifest{HEAD:#}",
        "image layout"
    );
    for (filter, image) in images {
        println!("{:<24} {}", format!("dist/images/{filter}"), image.digest());
    }
    let Some((filter, image)) = images.first() else {
        return;
    };
    let (version, digest) = (image.version(), image.digest());
    println!(
        "\nTo publish one, and to name it in a WasmPlugin:\n\
         \x20 skopeo copy --preserve-digests oci:dist/images/{filter}:{version} docker://REGISTRY/{filter}:{version}\n\
         \x20 url: oci://REGISTRY/{filter}@{digest}\n\
         \x20 sha256: \"{}\"",
        digest.trim_start_matches("sha256:")
    );
}

/// A number with its thousands set off, `1 097 685`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let behind = digits.len().saturating_sub(at);
        if at > 0 && behind.is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
