//! The manifests for Istio and Envoy Gateway against their schemas, and against `envoy/envoy.yaml`.
//!
//! `GATEHOUSE_VECTORS` names a folder with `manifests/wasmplugin.schema.json` and
//! `manifests/envoyextensionpolicy.schema.json`: the schemas of the two custom resource definitions, unknown fields refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use manifests::envoy::{self, WasmFilter};
use manifests::kubernetes::{self, FOLDERS, Object, difference};
use manifests::{filters, markdown, tree};
use serde_json::{Value, json};

const ISTIO: &str = "envoy/istio";
const ENVOY_GATEWAY: &str = "envoy/envoy-gateway";

/// A plugin of a manifest.
struct Plugin {
    place: String,
    /// What the chain calls it: `gatehouse.auth`.
    name: String,
    url: String,
    sha256: Value,
    configuration: Value,
}

/// The WasmPlugins in the order that Istio runs them in: by phase, and in a phase by priority, the highest first.
fn istio_plugins() -> Vec<Plugin> {
    let mut objects = kubernetes::of_kind(ISTIO, "WasmPlugin");
    objects.sort_by_key(|object| {
        let spec = &object.value["spec"];
        let phase = match spec["phase"].as_str() {
            Some("AUTHN") => 0,
            Some("AUTHZ") => 1,
            Some("STATS") => 2,
            _ => 3,
        };
        (phase, -spec["priority"].as_i64().unwrap_or(0))
    });
    let plugin = |object: Object| Plugin {
        place: object.place(),
        name: format!("gatehouse.{}", object.name().replace('-', "_")),
        url: text(&object.value["spec"]["url"]),
        sha256: object.value["spec"]["sha256"].clone(),
        configuration: object.value["spec"]["pluginConfig"].clone(),
    };
    objects.into_iter().map(plugin).collect()
}

/// The extensions of the EnvoyExtensionPolicy, in its order.
fn envoy_gateway_plugins() -> Vec<Plugin> {
    let policies = kubernetes::of_kind(ENVOY_GATEWAY, "EnvoyExtensionPolicy");
    let extensions = policies.iter().flat_map(|policy| {
        let wasm = policy.value["spec"]["wasm"].as_array();
        wasm.into_iter()
            .flatten()
            .map(|wasm| (policy.place(), wasm))
    });
    extensions
        .map(|(place, wasm)| Plugin {
            place: format!("{place}, {}", wasm["name"]),
            name: text(&wasm["name"]),
            url: format!("oci://{}", text(&wasm["code"]["image"]["url"])),
            sha256: wasm["code"]["image"]["sha256"].clone(),
            configuration: wasm["config"].clone(),
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn chain() -> Vec<WasmFilter> {
    envoy::wasm_filters(&tree::read("envoy/envoy.yaml"))
}

/// The connection manager of `envoy/envoy.yaml`.
fn connection_manager() -> Value {
    let bootstrap: Value = serde_norway::from_str(&tree::read("envoy/envoy.yaml")).unwrap();
    bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        .clone()
}

/// What the patches of an EnvoyFilter merge into the connection manager.
fn merged_into_connection_manager(filter: &str) -> Value {
    let filters = kubernetes::of_kind(ISTIO, "EnvoyFilter");
    let found = filters
        .iter()
        .find(|object| object.name() == filter)
        .expect("an EnvoyFilter");
    let patches = found.value["spec"]["configPatches"]
        .as_array()
        .expect("patches");
    let patch = patches
        .iter()
        .find(|patch| patch["applyTo"] == "NETWORK_FILTER")
        .expect("a patch");
    assert_eq!(patch["patch"]["operation"], "MERGE");
    patch["patch"]["value"]["typed_config"].clone()
}

// A file that no kustomization names is never applied; one that is named and absent stops all of it.
#[test]
fn each_kustomization_names_each_file() {
    for folder in FOLDERS {
        let kustomization: Value =
            serde_norway::from_str(&tree::read(format!("{folder}/kustomization.yaml"))).unwrap();
        assert_eq!(kustomization["kind"], "Kustomization", "{folder}");
        assert_eq!(kustomization["namespace"], "gatehouse", "{folder}");
        let resources = kustomization["resources"].as_array().expect("resources");
        let named: BTreeSet<_> = resources
            .iter()
            .map(|name| Path::new(folder).join(text(name)))
            .collect();
        assert_eq!(
            named,
            BTreeSet::from_iter(kubernetes::files(folder)),
            "{folder}"
        );
        assert_eq!(named.len(), resources.len(), "{folder}: a file twice");
    }
}

// An object that targets a gateway of another name does nothing, and nobody is told.
#[test]
fn each_object_is_one_and_hangs_on_the_gateway() {
    for folder in FOLDERS {
        let objects = kubernetes::objects(folder);
        let mut names = BTreeSet::new();
        for object in &objects {
            let place = object.place();
            assert!(
                object.value["apiVersion"].is_string(),
                "{place}: no apiVersion"
            );
            // The kustomization puts it in.
            assert!(
                object.value["metadata"].get("namespace").is_none(),
                "{place}: a namespace"
            );
            assert!(
                names.insert((object.kind().to_owned(), object.name().to_owned())),
                "{place}: twice"
            );
            let spec = &object.value["spec"];
            let gateway = match object.kind() {
                "Gateway" => continue,
                "HTTPRoute" => json!([{ "name": "gatehouse" }]),
                _ => {
                    json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gatehouse" }])
                }
            };
            let targets = if object.kind() == "HTTPRoute" {
                &spec["parentRefs"]
            } else {
                &spec["targetRefs"]
            };
            assert_eq!(*targets, gateway, "{place}");
            // The definitions allow one of them, by rules that their schemas do not have.
            assert!(
                spec.get("targetRef").is_none() && spec.get("selector").is_none(),
                "{place}"
            );
        }
        let gateways = kubernetes::of_kind(folder, "Gateway");
        assert_eq!(gateways.len(), 1, "{folder}");
        assert_eq!(gateways[0].name(), "gatehouse", "{folder}");
    }
}

/// The schema of a kind, or none where the vectors are absent, which has been said then.
fn schema(kind: &str) -> Option<jsonschema::Validator> {
    let Ok(folder) = std::env::var("GATEHOUSE_VECTORS") else {
        let required = std::env::var("GATEHOUSE_REQUIRE_ALL").is_ok_and(|value| value == "1");
        assert!(!required, "GATEHOUSE_VECTORS is not set");
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a test");
        let line = format!("SKIPPED {name}: GATEHOUSE_VECTORS is not set\n");
        // Past the test runner's capture, which would keep it to itself.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        return None;
    };
    let file = Path::new(&folder)
        .join("manifests")
        .join(format!("{}.schema.json", kind.to_lowercase()));
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    Some(jsonschema::validator_for(&schema).expect("a JSON Schema"))
}

// The API server refuses what does not agree with the definition, and drops fields that it does not know.
#[test]
fn each_plugin_agrees_with_its_definition() {
    for (folder, kind, count) in [
        (ISTIO, "WasmPlugin", chain().len()),
        (ENVOY_GATEWAY, "EnvoyExtensionPolicy", 1),
    ] {
        let Some(schema) = schema(kind) else { return };
        let objects = kubernetes::of_kind(folder, kind);
        assert_eq!(objects.len(), count, "{kind}");
        for object in objects {
            let errors: Vec<_> = schema
                .iter_errors(&object.value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", object.place());
        }
    }
}

// Without it a check that lets everything pass would pass too.
#[test]
fn a_bad_plugin_does_not_agree() {
    let (Some(wasm_plugin), Some(policy)) = (schema("WasmPlugin"), schema("EnvoyExtensionPolicy"))
    else {
        return;
    };
    let plugin = &kubernetes::of_kind(ISTIO, "WasmPlugin")[0].value;
    for (pointer, value) in [
        ("/spec/phase", json!("AUTH")),
        ("/spec/failStrategy", json!("FAIL_CLOSED")),
        // What YAML makes of the digest of a release whose digits are all decimal, without quotes.
        ("/spec/sha256", json!(12_345)),
        ("/spec/sha256", json!("sha256:00")),
        ("/spec/priority", json!("10")),
        ("/spec/pluginConfig", json!("{}")),
        ("/spec", json!({ "urls": "oci://a" })),
        ("/kind", json!("WasmPlugins")),
    ] {
        let mut bad = plugin.clone();
        *bad.pointer_mut(pointer).expect(pointer) = value.clone();
        assert!(!wasm_plugin.is_valid(&bad), "{pointer} = {value}");
    }
    let extension = &kubernetes::of_kind(ENVOY_GATEWAY, "EnvoyExtensionPolicy")[0].value;
    for (pointer, value) in [
        ("/spec/wasm/0/code", json!({ "image": { "url": "a" } })),
        ("/spec/wasm/0/code/image/sha256", json!(0)),
        ("/spec/wasm/0/failOpen", json!("false")),
        ("/spec/wasm", json!({})),
        ("/spec/targetRefs/0", json!({ "name": "gatehouse" })),
        ("/apiVersion", json!("gateway.envoyproxy.io/v1")),
    ] {
        let mut bad = extension.clone();
        *bad.pointer_mut(pointer).expect(pointer) = value.clone();
        assert!(!policy.is_valid(&bad), "{pointer} = {value}");
    }
    assert!(wasm_plugin.is_valid(plugin) && policy.is_valid(extension));
}

// A plugin in another place of the chain acts for a caller whom nobody has asked yet.
#[test]
fn the_plugins_run_in_the_order_of_the_chain() {
    let chain: Vec<_> = chain()
        .iter()
        .map(|wasm| text(&wasm.plugin["name"]))
        .collect();
    for plugins in [istio_plugins(), envoy_gateway_plugins()] {
        let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.clone()).collect();
        assert_eq!(names, chain, "{}", plugins[0].place);
    }
}

// Priorities that are equal leave the order to the names and ages of the objects.
#[test]
fn no_two_plugins_of_a_phase_have_one_priority() {
    let plugins = kubernetes::of_kind(ISTIO, "WasmPlugin");
    let places: BTreeSet<_> = plugins
        .iter()
        .map(|object| {
            (
                text(&object.value["spec"]["phase"]),
                object.value["spec"]["priority"].as_i64(),
            )
        })
        .collect();
    assert_eq!(places.len(), plugins.len(), "{places:?}");
}

// Whoever moves from Envoy to Istio gets the same gateway, not one of last month.
#[test]
fn the_configurations_are_those_of_the_chain() {
    let chain = chain();
    for (plugins, istio) in [(istio_plugins(), true), (envoy_gateway_plugins(), false)] {
        for plugin in plugins {
            let wasm = chain
                .iter()
                .find(|wasm| wasm.plugin["name"] == plugin.name)
                .unwrap_or_else(|| panic!("{}: not in the chain", plugin.place));
            let mut expected = wasm.configuration.clone();
            if istio && wasm.module == "auth" {
                // Istio's own filter, which stands in front of ours, writes it in the place of a client's.
                let strip = expected["strip_headers"].as_array_mut().expect("a list");
                let before = strip.len();
                strip.retain(|name| name != "x-envoy-peer-metadata*");
                assert_eq!(strip.len(), before - 1);
            }
            if let Some(place) = difference(&plugin.configuration, &expected) {
                panic!("{}: {place} is not as in envoy/envoy.yaml", plugin.place);
            }
            let filter = filters::all()
                .into_iter()
                .find(|filter| filter.name == wasm.module);
            (filter.expect("a filter").check)(&plugin.configuration)
                .unwrap_or_else(|error| panic!("{}: {error}", plugin.place));
        }
    }
}

// FAIL_OPEN lets requests past a filter that has failed, and Istio's agent lets all past where it cannot fetch the image.
#[test]
fn no_plugin_fails_open() {
    for object in kubernetes::of_kind(ISTIO, "WasmPlugin") {
        assert_eq!(
            object.value["spec"]["failStrategy"],
            "FAIL_RELOAD",
            "{}",
            object.place()
        );
    }
    for object in kubernetes::of_kind(ENVOY_GATEWAY, "EnvoyExtensionPolicy") {
        for wasm in object.value["spec"]["wasm"].as_array().expect("a list") {
            assert_eq!(wasm["failOpen"], false, "{}", object.place());
        }
    }
}

/// The name of the image and the digest in `oci://registry/gatehouse/auth@sha256:…`.
fn image(url: &str) -> Option<(&str, &str)> {
    let (name, digest) = url.strip_prefix("oci://")?.split_once("@sha256:")?;
    let hex = |letter: char| letter.is_ascii_digit() || ('a'..='f').contains(&letter);
    let (_, image) = name.rsplit_once('/')?;
    (digest.len() == 64 && digest.chars().all(hex)).then_some((image, digest))
}

// A tag may be another module tomorrow. A digest without quotes may be read as a number.
#[test]
fn images_are_named_by_their_digest() {
    let chain = chain();
    for plugin in istio_plugins().into_iter().chain(envoy_gateway_plugins()) {
        let (name, digest) =
            image(&plugin.url).unwrap_or_else(|| panic!("{}: {}", plugin.place, plugin.url));
        assert_eq!(plugin.sha256, json!(digest), "{}", plugin.place);
        let wasm = chain
            .iter()
            .find(|wasm| wasm.plugin["name"] == plugin.name)
            .expect("a filter");
        assert_eq!(name, wasm.module, "{}", plugin.place);
    }
    for bad in [
        "oci://r/auth:1.0",
        "oci://r/auth@sha256:0",
        "https://r/auth.wasm",
        "r/auth",
    ] {
        assert_eq!(image(bad), None);
    }
}

// The one command that everyone must run has to write both places, in every file, and nothing else.
#[test]
fn the_command_of_the_readme_writes_the_digest() {
    let digest = "1".repeat(64);
    for (folder, plugins) in [
        (ISTIO, istio_plugins()),
        (ENVOY_GATEWAY, envoy_gateway_plugins()),
    ] {
        let readme = tree::read(format!("{folder}/README.md"));
        let blocks = markdown::code(&readme);
        let command = blocks.iter().find(|code| code.text.contains("sed -i"));
        let command = command.expect("a command").text.trim_start_matches("$ ");
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(copy.path().join(folder)).unwrap();
        for file in kubernetes::files(folder) {
            std::fs::copy(tree::root().join(&file), copy.path().join(&file)).unwrap();
        }
        let status = Command::new("sh")
            .args(["-eu", "-c", command])
            .current_dir(copy.path())
            .env("REGISTRY", "registry.test/team")
            .env("IMAGE", "rate-limit")
            .env("DIGEST", &digest)
            .status()
            .unwrap();
        assert!(status.success(), "{command}");
        let mut changed = Vec::new();
        for file in kubernetes::files(folder) {
            let before = tree::read(&file);
            let after = std::fs::read_to_string(copy.path().join(&file)).unwrap();
            assert_eq!(before.lines().count(), after.lines().count());
            let lines = before.lines().zip(after.lines());
            let lines = lines.filter(|(before, after)| before != after);
            changed.extend(lines.map(|(_, after)| after.trim().to_owned()));
        }
        let scheme = if folder == ISTIO { "oci://" } else { "" };
        let pinned = [
            format!("url: {scheme}registry.test/team/rate-limit@sha256:{digest}"),
            format!("sha256: \"{digest}\""),
        ];
        let of_image = |plugin: &&Plugin| plugin.url.contains("/rate-limit@");
        let count = plugins.iter().filter(of_image).count();
        let expected: Vec<_> = std::iter::repeat_n(pinned, count).flatten().collect();
        assert_eq!(changed, expected, "{folder}");
    }
}

// A value against misuse that stands in one of the two places only leaves the other gateway open.
#[test]
fn the_edge_of_istio_is_that_of_the_chain() {
    let (mut chain, mut edge) = (
        connection_manager(),
        merged_into_connection_manager("gatehouse-edge"),
    );
    for value in [&mut chain, &mut edge] {
        let value = value.as_object_mut().expect("an object");
        value.remove("@type");
    }
    let chain_members = chain.as_object_mut().expect("an object");
    // Elsewhere in the manifests, or Istio's own.
    for elsewhere in ["stat_prefix", "access_log", "http_filters", "route_config"] {
        chain_members.remove(elsewhere);
    }
    // What Istio sets on every gateway.
    for istios in ["use_remote_address", "normalize_path"] {
        assert_eq!(
            chain_members.remove(istios),
            Some(Value::Bool(true)),
            "{istios}"
        );
    }
    if let Some(place) = difference(&edge, &chain) {
        panic!("envoy/istio/edge.yaml: {place} is not as in envoy/envoy.yaml");
    }
    let log = merged_into_connection_manager("gatehouse-access-log");
    if let Some(place) = difference(&log["access_log"], &connection_manager()["access_log"]) {
        panic!("envoy/istio/access-log.yaml: access_log{place} is not as in envoy/envoy.yaml");
    }
}

// The Gateway API is one: a route that is mended for one gateway would stay broken in the other.
#[test]
fn both_have_the_same_routes() {
    let routes = FOLDERS.map(|folder| tree::read(format!("{folder}/routes.yaml")));
    assert_eq!(routes[0], routes[1]);
}

// Envoy Gateway switches filters on by the route that a request has when it arrives: one that matches only by a header that routing
// writes is never found.
#[test]
fn each_path_has_a_route_without_headers() {
    for object in kubernetes::of_kind(ENVOY_GATEWAY, "HTTPRoute") {
        let rules = object.value["spec"]["rules"].as_array().expect("rules");
        let matches: Vec<&Value> = rules
            .iter()
            .flat_map(|rule| rule["matches"].as_array().expect("matches"))
            .collect();
        for labelled in matches
            .iter()
            .filter(|matched| matched.get("headers").is_some())
        {
            let plain = matches
                .iter()
                .any(|other| other.get("headers").is_none() && other["path"] == labelled["path"]);
            assert!(plain, "{}: {labelled}", object.place());
        }
    }
}
