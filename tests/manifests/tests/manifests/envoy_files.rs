//! The Envoy configurations against our filters. Envoy itself validates them in `tests/envoy`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use manifests::envoy::{self, WasmFilter};
use manifests::{filters, tree};

fn envoy_files() -> Vec<(PathBuf, Vec<WasmFilter>)> {
    tree::files_ending(".yaml")
        .into_iter()
        .filter(|path| path.starts_with("envoy"))
        .map(|path| {
            let filters = envoy::wasm_filters(&tree::read(&path));
            (path, filters)
        })
        .collect()
}

#[test]
fn every_embedded_configuration_is_one() {
    let known = filters::all();
    let mut checked = 0;
    for (path, embedded) in envoy_files() {
        for wasm in embedded {
            let filter = known
                .iter()
                .find(|filter| filter.name == wasm.module)
                .unwrap_or_else(|| panic!("{}: no filter {}", path.display(), wasm.module));
            (filter.check)(&wasm.configuration)
                .unwrap_or_else(|error| panic!("{}, {}: {error}", path.display(), wasm.module));
            checked += 1;
        }
    }
    assert!(
        checked >= 2 * known.len(),
        "only {checked} configurations were found"
    );
}

#[test]
fn each_filter_is_in_the_chain_and_has_a_file_of_its_own() {
    // The second rate-limit, in front of auth, is the same module once more.
    let modules = |path: String| -> Vec<String> {
        let found = envoy::wasm_filters(&tree::read(path)).into_iter();
        let once = found.filter(|wasm| wasm.plugin["name"] != "gatehouse.rate_limit_address");
        once.map(|wasm| wasm.module).collect()
    };
    let chain = modules("envoy/envoy.yaml".to_owned());
    // The list is in the order of the chain.
    let names: Vec<_> = filters::all().iter().map(|filter| filter.name).collect();
    assert_eq!(chain, names);
    for name in names {
        assert_eq!(modules(format!("envoy/single/{name}.yaml")), [name]);
    }
}

// Filters that share a vm_id share a VM, and one that traps takes the other along.
#[test]
fn each_plugin_has_a_vm_of_its_own() {
    for (path, embedded) in envoy_files() {
        let ids: BTreeSet<_> = embedded
            .iter()
            .map(|wasm| {
                wasm.plugin["vm_config"]["vm_id"]
                    .as_str()
                    .unwrap_or_default()
            })
            .collect();
        // The same plugin in two filter chains is one.
        let mut plugins = Vec::new();
        for wasm in &embedded {
            if !plugins.contains(&&wasm.plugin) {
                plugins.push(&wasm.plugin);
            }
        }
        assert_eq!(ids.len(), plugins.len(), "{}", path.display());
        assert!(!ids.contains(""), "{}: a vm_id is missing", path.display());
    }
}

// FAIL_OPEN lets requests past a filter that has failed. A base interval of a millisecond crashes Envoy 1.40 at the first
// reload.
#[test]
fn each_plugin_fails_closed_and_reloads_slowly_enough() {
    for (path, embedded) in envoy_files() {
        for wasm in embedded {
            let at = format!("{}, {}", path.display(), wasm.module);
            assert_eq!(wasm.plugin["failure_policy"], "FAIL_RELOAD", "{at}");
            assert!(wasm.plugin.get("fail_open").is_none(), "{at}");
            if let Some(interval) = wasm.plugin.pointer("/reload_config/backoff/base_interval") {
                assert!(
                    envoy::seconds(interval).is_some_and(|interval| interval >= 0.1),
                    "{at}"
                );
            }
        }
    }
}
