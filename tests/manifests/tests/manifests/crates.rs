//! The crates of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use manifests::{filters, tree};
use serde_json::Value;

/// What cargo knows, for the platform that the modules are built for.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        .current_dir(tree::root())
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--filter-platform=wasm32-wasip1",
        ])
        .output()
        .expect("cargo runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
});

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// The members of the workspace.
fn members() -> Vec<&'static Value> {
    let ids = METADATA["workspace_members"].as_array().expect("members");
    let packages = METADATA["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(|package| ids.contains(&package["id"]))
        .collect()
}

/// The folder of a member, from the root.
fn folder(member: &Value) -> PathBuf {
    let manifest = Path::new(text(member, "manifest_path"));
    let root = PathBuf::from(text(&METADATA, "workspace_root"));
    let folder = manifest
        .parent()
        .and_then(|folder| folder.strip_prefix(root).ok());
    folder.expect("a member inside the workspace").to_owned()
}

/// The names of all crates that are built into a crate.
fn built_into(name: &str) -> BTreeSet<&'static str> {
    let nodes = METADATA["resolve"]["nodes"].as_array().expect("nodes");
    let by_id: BTreeMap<&str, &Value> = nodes.iter().map(|node| (text(node, "id"), node)).collect();
    let names: BTreeMap<&str, &str> = METADATA["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let mut open: Vec<&str> = names
        .iter()
        .filter(|(_, is)| **is == name)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(open.len(), 1, "{name}");
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let dependencies = by_id[id]["deps"].as_array().expect("deps");
            let is_built_in = |dependency: &&Value| {
                let kinds = dependency["dep_kinds"].as_array();
                kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            open.extend(
                dependencies
                    .iter()
                    .filter(is_built_in)
                    .map(|dependency| text(dependency, "pkg")),
            );
        }
    }
    seen.iter().map(|id| names[id]).collect()
}

// The seam: a policy that can call the host will, and then cannot be tested without one.
#[test]
fn no_policy_knows_of_the_host() {
    let forbidden = ["proxy-wasm", "proxy-host", "tokio", "log"];
    for filter in filters::all() {
        let crates = built_into(&format!("{}-policy", filter.name));
        for name in forbidden {
            assert!(
                !crates.contains(name),
                "{}-policy depends on {name}",
                filter.name
            );
        }
        assert!(built_into(&format!("gatehouse-{}", filter.name)).contains("proxy-host"));
    }
}

#[test]
fn no_shared_crate_but_one_knows_of_the_host() {
    for name in tree::folders("filters/common") {
        let knows = built_into(&name).contains("proxy-wasm");
        assert_eq!(knows, name == "proxy-host", "{name}");
    }
}

// What tests bring along must not end up in a module.
#[test]
fn no_module_contains_what_is_for_tests() {
    let tests: Vec<&str> = members()
        .into_iter()
        .filter(|member| folder(member).starts_with("tests"))
        .map(|member| text(member, "name"))
        .collect();
    assert!(tests.contains(&"fake-host"));
    for filter in filters::all() {
        let crates = built_into(&format!("gatehouse-{}", filter.name));
        let found: Vec<_> = tests
            .iter()
            .filter(|name| crates.contains(**name))
            .collect();
        assert!(
            found.is_empty(),
            "gatehouse-{} contains {found:?}",
            filter.name
        );
    }
}

#[test]
fn every_member_says_what_it_is() {
    for member in members() {
        let name = text(member, "name");
        assert!(
            text(member, "description").ends_with('.'),
            "{name} needs a description, a sentence"
        );
        assert_eq!(text(member, "license"), "Apache-2.0", "{name}");
        assert_eq!(
            member["publish"],
            Value::Array(Vec::new()),
            "{name} could be published"
        );
    }
}

// A crate outside the workspace's lints may panic and nobody is told.
#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    for member in members() {
        let manifest = tree::read(folder(member).join("Cargo.toml"));
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{}",
            text(member, "name")
        );
    }
}

#[test]
fn shipped_crates_deny_what_can_panic() {
    let shipped: Vec<_> = members()
        .into_iter()
        .filter(|member| folder(member).starts_with("filters"))
        .collect();
    assert!(shipped.len() >= 9);
    for member in shipped {
        let source = tree::read(folder(member).join("src/lib.rs"));
        for lint in [
            "unwrap_used",
            "expect_used",
            "panic",
            "indexing_slicing",
            "arithmetic_side_effects",
        ] {
            assert!(
                source.contains(&format!("clippy::{lint}")),
                "{}: {lint}",
                text(member, "name")
            );
        }
        if text(member, "name") != "proxy-host" {
            assert!(
                source.contains("#![forbid(unsafe_code)]"),
                "{}",
                text(member, "name")
            );
        }
    }
}

// A range takes what somebody publishes tomorrow into a module that nobody has tested with it.
#[test]
fn every_dependency_is_pinned() {
    for member in members() {
        let dependencies = member["dependencies"].as_array().expect("dependencies");
        for dependency in dependencies
            .iter()
            .filter(|dependency| dependency["path"].is_null())
        {
            let (name, wanted) = (text(dependency, "name"), text(dependency, "req"));
            assert!(
                wanted.starts_with('='),
                "{}: {name} {wanted}",
                text(member, "name")
            );
        }
    }
}

#[test]
fn the_toolchain_is_the_one_that_is_promised() {
    let toolchain = tree::read("rust-toolchain.toml");
    let workspace = tree::read("Cargo.toml");
    let version = |manifest: &str, member: &str| {
        let line = manifest
            .lines()
            .find_map(|line| line.strip_prefix(member))
            .expect("a version");
        line.trim_matches([' ', '=', '"']).to_owned()
    };
    let channel = version(&toolchain, "channel");
    assert!(
        channel.starts_with(&version(&workspace, "rust-version")),
        "{channel}"
    );
    assert!(toolchain.contains("wasm32-wasip1"));
}
