//! What istiod and the agent beside Envoy make of the manifests in `envoy/istio`, for a gateway of the Gateway API.
//!
//! Read off Istio's sources: `pilot/pkg/model/extensions.go` and `pilot/pkg/networking/core/extension` for plugins,
//! `listener_builder.go` and `gateway.go` for the connection manager and the order of the filters, `pkg/wasm/convert.go` for what
//! the agent does. Different here: the plugins' configurations come from files and not from a stream; clusters and certificate are
//! those of `envoy/envoy.yaml`; and the filters that only Istio's build of Envoy has (peer metadata, ALPN, statistics)
//! are left out.

use std::fs;
use std::path::Path;

use envoy_harness::{Bootstrap, Gateway, Missing, install_credentials, module};
use manifests::kubernetes::{Object, of_kind};
use serde_json::{Value, json};

use super::{patches, routes};

pub(super) const NAMESPACE: &str = "gatehouse";
const FOLDER: &str = "envoy/istio";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// Releases that name the filter of a WasmPlugin differently.
#[derive(Clone, Copy, Debug)]
pub(super) enum Release {
    /// Up to 1.25, with a slip of the pen.
    Misspelt,
    /// 1.26 to 1.29.
    WasmPlugin,
    /// From 1.30 on, where a WasmPlugin is translated to a TrafficExtension.
    TrafficExtension,
}

impl Release {
    pub(super) const ALL: [Self; 3] = [Self::Misspelt, Self::WasmPlugin, Self::TrafficExtension];

    /// Name of the HTTP filter, and of its resource.
    pub(super) fn filter(self, plugin: &str) -> String {
        let plugin = self.plugin(plugin);
        match self {
            Self::Misspelt => format!("extenstions.istio.io/wasmplugin/{plugin}"),
            Self::WasmPlugin => format!("extensions.istio.io/wasmplugin/{plugin}"),
            Self::TrafficExtension => format!("extensions.istio.io/trafficextension/{plugin}"),
        }
    }

    /// Name of the plugin inside Envoy, which its statistics bear.
    pub(super) fn plugin(self, name: &str) -> String {
        match self {
            Self::Misspelt | Self::WasmPlugin => format!("{NAMESPACE}.{name}"),
            Self::TrafficExtension => format!("{NAMESPACE}.{name}~istio-translated-wasmplugin"),
        }
    }
}

/// The WasmPlugins of the tree.
pub(super) fn plugins() -> Vec<Value> {
    let objects = of_kind(FOLDER, "WasmPlugin");
    objects.into_iter().map(|object| object.value).collect()
}

/// The configuration of Envoy for these plugins, whose own configurations are written to `folder`.
pub(super) fn generate(
    release: Release,
    plugins: &[Value],
    folder: &Path,
) -> Result<Bootstrap, Missing> {
    let mut root = Bootstrap::chain().root().clone();
    root["node"] = json!({ "id": "router~127.0.0.1~gatehouse", "cluster": "gatehouse" });
    let filters: Vec<Object> = of_kind(FOLDER, "EnvoyFilter");
    let plugins = sorted(plugins);
    for plugin in &plugins {
        let resources = json!({ "resources": [extension(release, plugin)?] });
        fs::write(folder.join(file(plugin)), resources.to_string())
            .expect("the folder can be written to");
    }
    let manager = connection_manager(release, &plugins, folder);
    let listener = &mut root["static_resources"]["listeners"][0];
    listener["name"] = "0.0.0.0_443".into();
    // Envoy's default, until a patch says otherwise.
    listener
        .as_object_mut()
        .expect("an object")
        .remove("per_connection_buffer_limit_bytes");
    listener["filter_chains"][0]["filters"][0]["typed_config"] = manager;
    for cluster in root["static_resources"]["clusters"]
        .as_array_mut()
        .expect("clusters")
    {
        cluster
            .as_object_mut()
            .expect("an object")
            .remove("per_connection_buffer_limit_bytes");
    }
    for filter in &filters {
        patches::apply(filter, &mut root["static_resources"]);
    }
    Ok(Bootstrap::from_value(root))
}

/// Name of the file that holds a plugin's configuration.
fn file(plugin: &Value) -> String {
    format!("{}.json", name(plugin))
}

pub(super) fn name(plugin: &Value) -> &str {
    plugin["metadata"]["name"].as_str().expect("a name")
}

/// By phase, and in a phase by priority, the highest first.
fn sorted(plugins: &[Value]) -> Vec<Value> {
    let mut plugins = plugins.to_vec();
    plugins.sort_by_key(|plugin| {
        let phase = match plugin["spec"]["phase"].as_str() {
            Some("AUTHN") => 0,
            Some("AUTHZ") => 1,
            Some("STATS") => 2,
            _ => 3,
        };
        (phase, -plugin["spec"]["priority"].as_i64().unwrap_or(0))
    });
    plugins
}

/// The resource that configures the plugin, as Envoy gets it from the agent, which has fetched the image.
fn extension(release: Release, plugin: &Value) -> Result<Value, Missing> {
    let spec = &plugin["spec"];
    let url = spec["url"].as_str().expect("a url");
    // oci://registry/gatehouse/rate-limit@sha256:…
    let image = url
        .rsplit('/')
        .next()
        .and_then(|last| last.split('@').next());
    let image = image.expect("an image");
    let mut config = spec["pluginConfig"].clone();
    if image == "auth" {
        install_credentials(&mut config, Gateway::issuer());
    }
    let policy = match spec["failStrategy"].as_str() {
        Some("FAIL_RELOAD") => "FAIL_RELOAD",
        Some("FAIL_OPEN") => "FAIL_OPEN",
        _ => "FAIL_CLOSED",
    };
    Ok(json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": release.filter(name(plugin)),
        "typed_config": {
            "@type": WASM,
            "config": {
                "name": release.plugin(name(plugin)),
                "root_id": spec["pluginName"].as_str().unwrap_or_default(),
                "failure_policy": policy,
                // No vm_id and no reload_config.
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module(image)? } },
                    "environment_variables": {
                        "key_values": { "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION": "4711" },
                    },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": config.to_string(),
                },
            },
        },
    }))
}

fn connection_manager(release: Release, plugins: &[Value], folder: &Path) -> Value {
    let native = |name: &str, kind: &str| {
        json!({
            "name": format!("envoy.filters.http.{name}"),
            "typed_config": { "@type": format!("type.googleapis.com/envoy.extensions.filters.http.{name}.v3.{kind}") },
        })
    };
    let mut filters: Vec<Value> = plugins
        .iter()
        .map(|plugin| {
            json!({
                "name": release.filter(name(plugin)),
                "config_discovery": {
                    "config_source": {
                        // A stream of the control plane, in a mesh.
                        "path_config_source": { "path": folder.join(file(plugin)).to_string_lossy() },
                        "resource_api_version": "V3",
                        "initial_fetch_timeout": "0s",
                    },
                    "type_urls": [WASM, "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"],
                },
            })
        })
        .collect();
    filters.extend([
        native("grpc_stats", "FilterConfig"),
        native("fault", "HTTPFault"),
        native("cors", "Cors"),
        native("router", "Router"),
    ]);
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "codec_type": "AUTO",
        "stat_prefix": "outbound_0.0.0.0_443",
        "use_remote_address": true,
        "normalize_path": true,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "stream_idle_timeout": "0s",
        "http_protocol_options": {},
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": { "subject": true, "cert": true, "dns": true, "uri": true },
        "proxy_100_continue": true,
        "request_id_extension": {
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "use_request_id_for_trace_sampling": true,
            },
        },
        "http_filters": filters,
        "route_config": routes::table(&of_kind(FOLDER, "HTTPRoute")),
    })
}
