//! The manifests of `envoy/istio`, on a stock Envoy with the configuration that Istio makes of them.
//!
//! What this does not prove stands in `tests/README.md`: no istiod runs here, and no agent.

mod control_plane;
mod patches;
mod routes;
mod sharing;
mod tour;

use std::ops::Deref;

use envoy_harness::{Bootstrap, Gateway, Request, demo_key, skipped};
use serde_json::Value;
use tempfile::TempDir;

use control_plane::Release;

/// A gateway as Istio configures it, and the files that its plugins' configurations come from.
struct Mesh {
    gateway: Gateway,
    /// The plugins as Envoy calls them.
    plugins: Vec<String>,
    _folder: TempDir,
}

impl Mesh {
    /// With these WasmPlugins. None where Envoy or a module is missing, which has been said then.
    fn start(release: Release, plugins: &[Value]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bootstrap = match control_plane::generate(release, plugins, folder.path()) {
            Ok(bootstrap) => bootstrap,
            Err(missing) => {
                skipped(&missing);
                return None;
            }
        };
        Some(Self {
            gateway: Gateway::start(&bootstrap)?,
            plugins: plugins
                .iter()
                .map(|plugin| release.plugin(control_plane::name(plugin)))
                .collect(),
            _folder: folder,
        })
    }

    /// Fails unless every VM is still there and every filter counts a request.
    fn assert_alive(&self) {
        let envoy = self.gateway.envoy();
        let count = |stats: &std::collections::BTreeMap<String, u64>, filter: &str| -> u64 {
            let prefix = format!("wasmcustom.gatehouse.{filter}.");
            stats
                .iter()
                .filter(|(name, _)| name.starts_with(&prefix))
                .map(|(_, count)| count)
                .sum()
        };
        let before = envoy.stats();
        let request = Request::get("/v1/users/closing").header("x-api-key", demo_key("acme-2026"));
        assert_eq!(self.gateway.h1().send(&request).status, 200);
        let after = envoy.stats();
        for filter in ["auth", "rate_limit", "transform", "routing"] {
            assert!(
                count(&after, filter) > count(&before, filter),
                "{filter} counted nothing"
            );
        }
        if let Some(sign) = envoy.lost_vm(&self.plugins) {
            panic!("a filter lost its VM: {sign}\n{}", envoy.log());
        }
    }
}

impl Deref for Mesh {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_alive();
        }
    }
}

/// The HTTP filters, our own by the names that they have in `envoy/envoy.yaml`.
fn filters(release: Release, bootstrap: &mut Bootstrap) -> Vec<String> {
    let ours = control_plane::plugins();
    let name = |filter: &Value| {
        let name = filter["name"].as_str().unwrap_or_default();
        let plugin = ours
            .iter()
            .map(control_plane::name)
            .find(|plugin| release.filter(plugin) == name);
        plugin.map_or(name.to_owned(), |plugin| {
            format!("gatehouse.{}", plugin.replace('-', "_"))
        })
    };
    bootstrap.http_filters_mut().iter().map(name).collect()
}

// A patch whose anchor has another name in a release is left out there without a word, and a bridge with it.
#[test]
fn every_release_has_the_chain_in_its_order() {
    let expected = filters(Release::Misspelt, &mut Bootstrap::chain());
    for release in Release::ALL {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut bootstrap =
            match control_plane::generate(release, &control_plane::plugins(), folder.path()) {
                Ok(bootstrap) => bootstrap,
                Err(missing) => return skipped(&missing),
            };
        let mut found = filters(release, &mut bootstrap);
        // Istio's, behind all of ours; its cors does what a route asks of it, and no route here does.
        let own = ["grpc_stats", "fault", "cors"].map(|name| format!("envoy.filters.http.{name}"));
        let place = found
            .iter()
            .position(|name| *name == own[0])
            .expect("Istio's own filters");
        assert_eq!(
            found.drain(place..place + own.len()).collect::<Vec<_>>(),
            own,
            "{release:?}"
        );
        assert_eq!(found, expected, "{release:?}");
        // Envoy's own among them are configured alike. The transcoder's descriptor set comes in the manifest, not in a file.
        for filter in Bootstrap::chain().http_filters_mut() {
            let native = bootstrap
                .http_filters_mut()
                .iter()
                .find(|other| other["name"] == filter["name"]);
            let Some(native) = native else { continue };
            let (mut native, filter) =
                (native["typed_config"].clone(), &mut filter["typed_config"]);
            for (config, descriptor) in [
                (&mut native, "proto_descriptor_bin"),
                (filter, "proto_descriptor"),
            ] {
                config
                    .as_object_mut()
                    .expect("an object")
                    .remove(descriptor);
                // The list of types that the Envoys of older releases know, and the pattern that has taken its place.
                if let Some(common) = config.pointer_mut("/response_direction_config/common_config")
                {
                    let common = common.as_object_mut().expect("an object");
                    let types = common.remove("content_type");
                    let pattern = common.remove("content_type_matcher");
                    assert!(types.is_some() != pattern.is_some(), "{release:?}");
                }
            }
            assert_eq!(native, *filter, "{release:?}");
        }
    }
}

// The transcoder would speak of another service than the one that is behind it.
#[test]
fn the_descriptor_in_the_manifest_is_that_of_the_service() {
    use base64::Engine as _;
    let filters = manifests::kubernetes::of_kind("envoy/istio", "EnvoyFilter");
    let bridges = filters
        .iter()
        .find(|filter| filter.name() == "gatehouse-bridges")
        .expect("the bridges");
    let patches = bridges.value["spec"]["configPatches"]
        .as_array()
        .expect("patches");
    let descriptors: Vec<_> = patches
        .iter()
        .filter_map(|patch| {
            patch
                .pointer("/patch/value/typed_config/proto_descriptor_bin")?
                .as_str()
        })
        .collect();
    assert_eq!(descriptors.len(), Release::ALL.len());
    for descriptor in descriptors {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(descriptor)
            .expect("base64");
        assert!(
            bytes == upstreams::INVENTORY_DESCRIPTOR_SET,
            "another descriptor set"
        );
    }
}
