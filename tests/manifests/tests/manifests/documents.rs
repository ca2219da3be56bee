//! Documents against the tree.

use std::path::{Path, PathBuf};

use manifests::{markdown, tree};

fn documents() -> Vec<(PathBuf, String)> {
    let documents: Vec<_> = tree::files_ending(".md")
        .into_iter()
        .map(|path| {
            let text = tree::read(&path);
            (path, text)
        })
        .collect();
    assert!(documents.len() >= 5, "too few documents were found");
    documents
}

/// Everything that a document shows in code, in blocks and in lines.
fn shown(document: &str) -> Vec<String> {
    let blocks = markdown::code(document).into_iter().map(|code| code.text);
    let inline = markdown::backticked(&markdown::prose(document));
    blocks.chain(inline).collect()
}

#[test]
fn no_relative_link_is_broken() {
    for (path, text) in documents() {
        let folder = path.parent().unwrap_or(Path::new(""));
        for link in markdown::links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            let exists = tree::root().join(&target).exists();
            assert!(exists, "{}: {link} leads nowhere", path.display());
            if !anchor.is_empty() {
                let anchors = markdown::anchors(&tree::read(&target));
                assert!(
                    anchors.iter().any(|known| known == anchor),
                    "{}: {link} has no such heading",
                    path.display()
                );
            }
        }
    }
}

// The first command that a newcomer types must be there.
#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = tree::read("Makefile");
    let targets: Vec<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut named = 0;
    for (path, text) in documents() {
        for code in shown(&text) {
            let words: Vec<&str> = code.split_whitespace().collect();
            for pair in words.windows(2) {
                let [make, target] = pair else { continue };
                let is_name = target
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
                if *make == "make" && is_name {
                    assert!(
                        targets.contains(target),
                        "{}: make {target}",
                        path.display()
                    );
                    named += 1;
                }
            }
        }
    }
    assert!(
        named >= 3,
        "only {named} make targets are named in documents"
    );
}

#[test]
fn every_package_that_is_named_exists() {
    let packages: Vec<String> = tree::files_ending("Cargo.toml")
        .iter()
        .filter_map(|path| {
            let manifest = tree::read(path);
            let name = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = "))?;
            Some(name.trim_matches('"').to_owned())
        })
        .collect();
    for (path, text) in documents() {
        for code in shown(&text).iter().filter(|code| code.contains("cargo ")) {
            let words: Vec<&str> = code.split_whitespace().collect();
            for pair in words.windows(2) {
                if let ["-p", package] = pair {
                    assert!(
                        packages.iter().any(|name| name == package),
                        "{}: -p {package}",
                        path.display()
                    );
                }
            }
        }
    }
}

// A document that names a file of ours in code names one that is there.
#[test]
fn every_path_that_is_named_exists() {
    let tops = ["filters/", "tests/", "envoy/", "docs/", "tools/", ".ci/"];
    for (path, text) in documents() {
        let folder = path.parent().unwrap_or(Path::new(""));
        for name in markdown::backticked(&markdown::prose(&text)) {
            let is_path = tops.iter().any(|top| name.starts_with(top))
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
            // The new filter of the guide does not exist.
            if !is_path || name.contains("quota") {
                continue;
            }
            let there = [Path::new(""), folder]
                .iter()
                .any(|base| tree::root().join(base).join(&name).exists());
            assert!(there, "{}: {name} does not exist", path.display());
        }
    }
}

// What is left to do is an issue, not a remark.
#[test]
fn nothing_is_left_to_do() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for ending in [".rs", ".md", ".yaml", ".toml", ".sh", "Makefile"] {
        for path in tree::files_ending(ending) {
            for (number, line) in tree::read(&path).lines().enumerate() {
                let found = line
                    .split(|letter: char| !letter.is_ascii_alphanumeric())
                    .find(|word| words.contains(word));
                assert!(found.is_none(), "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }
}
