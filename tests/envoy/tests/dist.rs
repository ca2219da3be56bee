//! What is in `dist/`, which is what Envoy loads everywhere.
#![allow(clippy::disallowed_methods)] // Reads what was built.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use envoy_harness::{Missing, skipped};
use packager::{Built, Dist, MAX_MODULE_BYTES, Outline, Packaged, sha256};

/// What a module of the suite exports besides its callbacks.
const ALWAYS: [&str; 8] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_vm_start",
];

/// The modules in `dist/`, by filter; nothing where one is not made of what is built.
fn modules() -> Option<Vec<(String, PathBuf)>> {
    let filters = packager::filters(&packager::workspace()).unwrap();
    assert!(filters.len() >= 4, "{filters:?}");
    let dist = Dist::of(&packager::workspace());
    let found: Result<Vec<_>, _> = filters
        .into_iter()
        .map(|filter| {
            let path = dist.find(&packager::target_folder(), &filter)?;
            Ok::<_, packager::Unfit>((filter, path))
        })
        .collect();
    found.map_err(|unfit| skipped(&Missing::new(unfit))).ok()
}

/// The methods of the SDK's traits that the adapter of a filter defines, by reading its files line by line.
fn defined(filter: &str) -> BTreeSet<String> {
    let folder = packager::workspace()
        .join("filters")
        .join(filter)
        .join("src");
    let mut methods = BTreeSet::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for line in fs::read_to_string(path).unwrap().lines() {
                let Some((_, rest)) = line.split_once("fn on_") else {
                    continue;
                };
                let name: String = rest
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                methods.insert(name);
            }
        }
    }
    methods
}

// A callback that is stripped though the filter implements it is never called: trailers would keep what auth removes.
#[test]
fn a_module_exports_every_callback_that_its_filter_implements_and_no_other() {
    let Some(modules) = modules() else { return };
    for (filter, path) in modules {
        let exports = Outline::of(&fs::read(path).unwrap()).unwrap().exports;
        let mut wanted: BTreeSet<String> = ALWAYS.map(String::from).into();
        for method in defined(&filter) {
            // `on_http_request_headers` is `proxy_on_request_headers`; a callout's answer keeps its `http`.
            let callback = match method.strip_prefix("http_re") {
                Some(rest) => format!("proxy_on_re{rest}"),
                None => format!("proxy_on_{method}"),
            };
            wanted.insert(callback);
        }
        assert!(wanted.contains("proxy_on_request_headers"), "{filter}");
        assert_eq!(exports, wanted, "{filter}");
    }
}

#[test]
fn a_module_imports_only_what_envoy_offers() {
    let Some(modules) = modules() else { return };
    for (filter, path) in modules {
        let outline = Outline::of(&fs::read(path).unwrap()).unwrap();
        outline
            .check()
            .unwrap_or_else(|fault| panic!("{filter}: {fault}"));
        assert!(!outline.imports.is_empty(), "{filter}");
    }
}

// Every worker of an Envoy compiles each module, and Istio's agents fetch them.
#[test]
fn no_module_is_larger_than_its_budget() {
    let Some(modules) = modules() else { return };
    for (filter, path) in modules {
        let bytes = fs::metadata(path).unwrap().len();
        assert!(
            bytes < MAX_MODULE_BYTES as u64,
            "{filter} has {bytes} bytes"
        );
    }
}

// Who fetched a module checks it with this file: `sha256sum --check SHA256SUMS`.
#[test]
fn the_checksums_are_those_of_the_modules() {
    let Some(modules) = modules() else { return };
    let expected: String = modules
        .iter()
        .map(|(filter, path)| format!("{}  {filter}.wasm\n", sha256(&fs::read(path).unwrap())))
        .collect();
    let sums = Dist::of(&packager::workspace()).folder().join("SHA256SUMS");
    assert_eq!(fs::read_to_string(sums).unwrap(), expected);
}

// A module made by an older packager, or differently each time, has a checksum that nobody can reproduce.
#[test]
fn packaging_once_more_gives_the_same_bytes() {
    let Some(modules) = modules() else { return };
    for (filter, path) in modules {
        let again =
            Packaged::make(&packager::workspace(), &packager::target_folder(), &filter).unwrap();
        assert!(again.module == fs::read(path).unwrap(), "{filter}");
        assert!(again.outline.size < again.built.size, "{filter}");
    }
}

// A list that names functions which are no longer there puts nothing side by side, and nobody would see it.
#[test]
fn most_functions_of_an_order_are_there() {
    if modules().is_none() {
        return;
    }
    let (workspace, target) = (packager::workspace(), packager::target_folder());
    for filter in packager::filters(&workspace).unwrap() {
        let packaged = Packaged::make(&workspace, &target, &filter).unwrap();
        let (found, ordered) = (packaged.found, packaged.ordered);
        assert!(ordered > 0, "{filter} has no order.txt: `make order`");
        assert!(
            found * 4 >= ordered * 3,
            "{found} of {ordered} functions in the order.txt of {filter} are there: `make order`"
        );
    }
}

// A test that ran on a module which nobody built from these sources would prove nothing.
#[test]
fn a_module_that_is_not_made_of_what_is_built_is_not_found() {
    let Some(modules) = modules() else { return };
    let target = packager::target_folder();
    let folder = tempfile::tempdir().unwrap();
    let dist = Dist::of(folder.path());
    let filter = &modules[0].0;
    assert!(dist.find(&target, filter).is_err(), "nothing is there");

    let packaged = Packaged::make(&packager::workspace(), &target, filter).unwrap();
    dist.write(std::slice::from_ref(&packaged)).unwrap();
    let module = dist.find(&target, filter).unwrap();
    fs::write(&module, b"another module").unwrap();
    assert!(
        dist.find(&target, filter).is_err(),
        "it was changed afterwards"
    );

    let other = Packaged {
        built_sha256: sha256(b"another build"),
        ..packaged
    };
    dist.write(std::slice::from_ref(&other)).unwrap();
    assert!(
        dist.find(&target, filter).is_err(),
        "it was made of another build"
    );
    let built = Built::find(&target, &format!("gatehouse-{filter}")).unwrap();
    let again = Packaged {
        built_sha256: sha256(&fs::read(built.module).unwrap()),
        ..other
    };
    dist.write(&[again]).unwrap();
    assert!(dist.find(&target, filter).is_ok());
}
