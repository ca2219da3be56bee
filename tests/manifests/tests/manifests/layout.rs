//! What a filter consists of: fails until all parts of a new one exist.

use manifests::{filters, markdown, tree};

const PARTS: [&str; 11] = [
    "Cargo.toml",
    "README.md",
    "config.example.yaml",
    "src/lib.rs",
    "src/plugin.rs",
    "src/request.rs",
    "policy/Cargo.toml",
    "policy/src/lib.rs",
    "policy/src/config.rs",
    "policy/src/counters.rs",
    "policy/src/decision.rs",
];

const SECTIONS: [&str; 4] = ["Fields", "Counters", "Failures", "Limits"];

// A filter that is missing from the list would escape every other test here.
#[test]
fn the_list_of_filters_is_complete() {
    let mut listed: Vec<_> = filters::all().iter().map(|filter| filter.name).collect();
    listed.extend(["common", "packager"]);
    listed.sort_unstable();
    assert_eq!(tree::folders("filters"), listed);
}

#[test]
fn each_filter_has_all_parts() {
    for filter in filters::all() {
        let folder = tree::root().join("filters").join(filter.name);
        for part in PARTS {
            assert!(
                folder.join(part).is_file(),
                "filters/{}/{part} is missing",
                filter.name
            );
        }
        let rust_in = |part: &str| {
            let part = format!("filters/{}/{part}", filter.name);
            tree::files_ending(".rs")
                .iter()
                .any(|path| path.starts_with(&part))
        };
        assert!(
            rust_in("tests"),
            "filters/{} has no test on the fake host",
            filter.name
        );
    }
}

#[test]
fn each_readme_has_all_sections() {
    for filter in filters::all() {
        let readme = tree::read(format!("filters/{}/README.md", filter.name));
        for section in SECTIONS {
            assert!(
                markdown::section(&readme, section).is_some(),
                "{}: {section}",
                filter.name
            );
        }
    }
}

#[test]
fn each_filter_is_where_a_reader_looks() {
    let makefile = tree::read("Makefile");
    let root_readme = markdown::links(&tree::read("README.md"));
    let filters_readme = markdown::links(&tree::read("filters/README.md"));
    let changelog = tree::read("CHANGELOG.md");
    for filter in filters::all() {
        let name = filter.name;
        assert!(
            makefile.contains(&format!("-p gatehouse-{name}")),
            "Makefile: {name}"
        );
        assert!(
            root_readme.contains(&format!("filters/{name}/README.md")),
            "README.md: {name}"
        );
        assert!(
            filters_readme.contains(&format!("{name}/README.md")),
            "filters/README.md: {name}"
        );
        assert!(
            changelog.contains(&format!("**{name}**")),
            "CHANGELOG.md: {name}"
        );
    }
}
