//! An Envoy configuration of the tree, to be edited and then run on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use upstreams::Issuer;

use crate::paths::unpackaged_module;
use crate::{Missing, install_credentials, module, workspace};

/// Where the configurations of the tree expect modules and certificates.
const INSTALLED: &str = "/etc/gatehouse/";

/// An Envoy bootstrap.
///
/// Edits are made on what the file says; what a run on loopback needs (ports, modules, certificates, the access log) is
/// put in when Envoy is started.
#[derive(Clone, Debug)]
pub struct Bootstrap(Value);

impl Bootstrap {
    /// Reads a file of the tree: `envoy/envoy.yaml`.
    ///
    /// # Panics
    /// If it cannot be read or is not YAML.
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = workspace().join(path);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(
            serde_norway::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    }

    /// The whole chain, `envoy/envoy.yaml`.
    pub fn chain() -> Self {
        Self::file("envoy/envoy.yaml")
    }

    /// A bootstrap of a test's own.
    pub fn from_value(root: Value) -> Self {
        Self(root)
    }

    /// All of it.
    pub fn root(&self) -> &Value {
        &self.0
    }

    /// All of it, to be edited.
    pub fn root_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// The connection manager of the first listener.
    ///
    /// # Panics
    /// If there is none.
    pub fn connection_manager_mut(&mut self) -> &mut Value {
        self.0
            .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
            .expect("the first listener's first filter is the connection manager")
    }

    /// The HTTP filters of the first listener, in order.
    pub fn http_filters_mut(&mut self) -> &mut Vec<Value> {
        self.connection_manager_mut()["http_filters"]
            .as_array_mut()
            .expect("http_filters is a list")
    }

    /// A cluster by name.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn cluster_mut(&mut self, name: &str) -> &mut Value {
        self.clusters_mut()
            .find(|cluster| cluster["name"] == name)
            .unwrap_or_else(|| panic!("no cluster {name}"))
    }

    /// Lets trailers of requests through to `users`, whose replicas tell them: in HTTP/1.1 Envoy drops them otherwise.
    ///
    /// # Panics
    /// If there is no cluster of that name.
    pub fn pass_trailers(&mut self) {
        self.pass_trailers_to(&["users"]);
    }

    /// As [`Bootstrap::pass_trailers`], to these clusters.
    ///
    /// # Panics
    /// If there is no cluster of one of the names.
    pub fn pass_trailers_to(&mut self, clusters: &[&str]) {
        let passed = json!({ "enable_trailers": true });
        for cluster in clusters {
            self.cluster_mut(cluster)["typed_extension_protocol_options"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "use_downstream_protocol_config": {
                        "http_protocol_options": passed, "http2_protocol_options": {},
                    },
                },
            });
        }
        self.connection_manager_mut()["http_protocol_options"] = passed;
    }

    /// What Envoy is told about a Wasm filter: name, failure policy, VM, configuration.
    ///
    /// # Panics
    /// If there is no Wasm filter of that name.
    pub fn plugin_mut(&mut self, name: &str) -> &mut Value {
        self.http_filters_mut()
            .iter_mut()
            .filter_map(|filter| filter.pointer_mut("/typed_config/config"))
            .find(|plugin| plugin["name"] == name)
            .unwrap_or_else(|| panic!("no Wasm filter {name}"))
    }

    /// Names of the Wasm filters of the first listener, in order.
    pub fn plugins(&self) -> Vec<String> {
        self.0
            .pointer(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters",
            )
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|filter| {
                filter["typed_config"]["@type"]
                    .as_str()
                    .is_some_and(|kind| kind.ends_with(".Wasm"))
            })
            .filter_map(|filter| {
                filter
                    .pointer("/typed_config/config/name")?
                    .as_str()
                    .map(String::from)
            })
            .collect()
    }

    /// The name under which a plugin's module counts, which is that of its file: `gatehouse.rate_limit`.
    ///
    /// # Panics
    /// If there is no Wasm filter of that name.
    pub fn module_of(&self, plugin: &str) -> String {
        let plugin = self.clone().plugin_mut(plugin).take();
        let file = plugin.pointer("/vm_config/code/local/filename");
        let file = file.and_then(Value::as_str).unwrap_or_default();
        let name = Path::new(file)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        format!(
            "gatehouse.{}",
            name.trim_start_matches("gatehouse_").replace('-', "_")
        )
    }

    /// A filter's own configuration, in whichever form it stands there.
    ///
    /// # Panics
    /// If there is none, or it is not JSON.
    pub fn filter_config(&mut self, plugin: &str) -> Value {
        match &self.plugin_mut(plugin)["configuration"]["value"] {
            Value::String(text) => serde_json::from_str(text)
                .unwrap_or_else(|error| panic!("configuration of {plugin}: {error}")),
            value => value.clone(),
        }
    }

    /// Replaces a filter's configuration, in the form (`Struct` or JSON text) that it has.
    pub fn set_filter_config(&mut self, plugin: &str, config: Value) {
        match &mut self.plugin_mut(plugin)["configuration"]["value"] {
            Value::String(text) => *text = config.to_string(),
            value => *value = config,
        }
    }

    /// Replaces a filter's configuration by text, which need not be JSON.
    pub fn set_filter_config_text(&mut self, plugin: &str, text: impl Into<String>) {
        self.plugin_mut(plugin)["configuration"] = json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text.into() });
    }

    /// Edits a filter's configuration in place.
    pub fn edit_filter_config(&mut self, plugin: &str, edit: impl FnOnce(&mut Value)) {
        let mut config = self.filter_config(plugin);
        edit(&mut config);
        self.set_filter_config(plugin, config);
    }

    /// Puts the credentials of the tests and the demo into the configuration of auth, if it is there and is JSON.
    pub fn install_credentials(&mut self, issuer: &Issuer) {
        for plugin in self
            .plugins()
            .iter()
            .filter(|plugin| *plugin == "gatehouse.auth")
        {
            match &mut self.plugin_mut(plugin)["configuration"]["value"] {
                Value::String(text) => {
                    if let Ok(mut config) = serde_json::from_str(text) {
                        install_credentials(&mut config, issuer);
                        *text = config.to_string();
                    }
                }
                config => install_credentials(config, issuer),
            }
        }
    }

    /// Takes an HTTP filter out.
    pub fn remove_filter(&mut self, name: &str) {
        self.http_filters_mut()
            .retain(|filter| filter["name"] != name);
    }

    /// Puts a Wasm filter at that place in the chain, with a `vm_id` that is its name. `module` is a crate's name in snake
    /// case, `probe_filter`; `config` is the text of its configuration.
    pub fn insert_wasm_filter(&mut self, index: usize, name: &str, module: &str, config: &str) {
        let filter = json!({
            "name": name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": name,
                    "failure_policy": "FAIL_RELOAD",
                    "reload_config": { "backoff": { "base_interval": "0.5s" } },
                    "vm_config": {
                        "vm_id": name,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": { "local": { "filename": format!("{INSTALLED}{module}.wasm") } },
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": config,
                    },
                },
            },
        });
        self.http_filters_mut().insert(index, filter);
    }

    /// Whether the first listener speaks TLS.
    pub(crate) fn tls(&self) -> bool {
        self.0
            .pointer("/static_resources/listeners/0/filter_chains/0/transport_socket")
            .is_some()
    }

    /// Gives every endpoint that is a name the address of the upstream of that name.
    ///
    /// # Panics
    /// If there is no upstream of a name.
    pub(crate) fn resolve(&mut self, upstreams: &BTreeMap<String, SocketAddr>) {
        for cluster in self.clusters_mut() {
            let mut resolved = false;
            walk(&mut cluster["load_assignment"], &mut |object| {
                let Some(endpoint) = object.get_mut("socket_address") else {
                    return;
                };
                let name = endpoint["address"].as_str().unwrap_or_default();
                if name.parse::<std::net::IpAddr>().is_ok() {
                    return;
                }
                let upstream = upstreams
                    .get(name)
                    .unwrap_or_else(|| panic!("no upstream is named {name}"));
                *endpoint =
                    json!({ "address": upstream.ip().to_string(), "port_value": upstream.port() });
                resolved = true;
            });
            if resolved && cluster["type"] == "STRICT_DNS" {
                cluster["type"] = "STATIC".into();
            }
        }
    }

    /// As it runs out of `folder`: admin and listeners on loopback, on ports of the kernel's choice (the first listener on
    /// `port` if that is given), modules as built, certificates and access log in the folder. No cluster can name a port that
    /// the kernel has yet to choose: one that is the admin interface goes, with the listeners that lead to it.
    pub(crate) fn on_loopback(&self, folder: &Path, port: u16) -> Result<Value, Missing> {
        let mut root = self.0.clone();
        remove_ways_to_admin(&mut root);
        root["admin"] = json!({ "address": socket_address(0) });
        // One that only this Envoy itself can reach has no address.
        let external = |listener: &&mut Value| listener.get("internal_listener").is_none();
        let listeners = list_mut(&mut root, "listeners").filter(external);
        for (index, listener) in listeners.enumerate() {
            listener["address"] = socket_address(if index == 0 { port } else { 0 });
        }
        let mut missing = None;
        walk(&mut root, &mut |object| {
            // Our own file in the place of standard output, which carries Envoy's log too.
            if object
                .get("@type")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.ends_with(".StdoutAccessLog"))
            {
                object.insert(
                    "@type".into(),
                    "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
                        .into(),
                );
                object.insert(
                    "path".into(),
                    folder.join("access.log").to_string_lossy().into(),
                );
            }
            for member in ["filename", "proto_descriptor"] {
                let Some(Value::String(name)) = object.get_mut(member) else {
                    continue;
                };
                let Some(installed) = name.strip_prefix(INSTALLED) else {
                    continue;
                };
                match local(installed, folder) {
                    Ok(path) => *name = path.to_string_lossy().into(),
                    Err(error) => missing = Some(error),
                }
            }
        });
        match missing {
            Some(missing) => Err(missing),
            None => Ok(root),
        }
    }

    fn clusters_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        list_mut(&mut self.0, "clusters")
    }
}

/// Takes the listeners out, to be served from a file in `folder` instead: the new bootstrap, and what the file holds.
pub(crate) fn listeners_from_file(mut root: Value, folder: &Path) -> (Value, Value) {
    let resources = listener_resources(&mut root);
    root["node"] = json!({ "id": "gatehouse-test", "cluster": "gatehouse-test" });
    root["dynamic_resources"] = json!({
        "lds_config": { "path_config_source": { "path": folder.join("listeners.json").to_string_lossy() } },
    });
    (root, resources)
}

/// Takes the listeners out, as a file subscription wants them.
pub(crate) fn listener_resources(root: &mut Value) -> Value {
    let mut listeners = root["static_resources"]["listeners"].take();
    for listener in listeners.as_array_mut().into_iter().flatten() {
        listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    }
    json!({ "resources": listeners })
}

/// Where a file that is installed as `name` below [`INSTALLED`] is on this machine.
fn local(name: &str, folder: &Path) -> Result<PathBuf, Missing> {
    match name.strip_suffix(".wasm") {
        Some(filter @ ("auth" | "rate-limit" | "routing" | "transform")) => module(filter),
        Some(name) => unpackaged_module(name),
        None => Ok(folder.join(name)),
    }
}

fn remove_ways_to_admin(root: &mut Value) {
    let admin = root["admin"]["address"].take();
    let mut gone = Vec::new();
    for cluster in list_mut(root, "clusters") {
        walk(&mut cluster["load_assignment"].clone(), &mut |object| {
            if !admin.is_null() && object.get("address") == Some(&admin) {
                gone.push(cluster["name"].clone());
            }
        });
    }
    let mut keep = |kind: &str, kept: &dyn Fn(&Value) -> bool| {
        if let Some(list) = root["static_resources"][kind].as_array_mut() {
            list.retain(kept);
        }
    };
    keep("clusters", &|cluster| !gone.contains(&cluster["name"]));
    keep("listeners", &|listener| {
        let mut leads_there = false;
        walk(&mut listener.clone(), &mut |object| {
            leads_there |= object
                .get("cluster")
                .is_some_and(|name| gone.contains(name));
        });
        !leads_there
    });
}

fn socket_address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn list_mut<'a>(root: &'a mut Value, kind: &str) -> impl Iterator<Item = &'a mut Value> {
    root["static_resources"][kind]
        .as_array_mut()
        .into_iter()
        .flatten()
}

/// Calls `visit` with every object in `value`, the outer before the inner.
fn walk(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|value| walk(value, visit));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Without it the tests could run with addresses or files of the machine's own, and their outcome depend on them.
    #[test]
    fn nothing_of_the_installed_layout_is_left_on_loopback() {
        let mut bootstrap = Bootstrap::chain();
        for plugin in bootstrap.plugins() {
            bootstrap.plugin_mut(&plugin)["vm_config"]["code"]["local"]["filename"] =
                "/module.wasm".into();
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 4242));
        let rest = upstreams::REPLICAS.iter().map(|(_, name)| *name);
        bootstrap.resolve(
            &rest
                .chain(upstreams::INVENTORY_REPLICAS)
                .map(|name| (name.to_string(), address))
                .collect(),
        );
        let root = bootstrap.on_loopback(Path::new("/run-folder"), 0).unwrap();
        let text = root.to_string();
        for left in [
            INSTALLED,
            "0.0.0.0",
            "8443",
            "9901",
            "9902",
            "users-1",
            "inventory-1",
            "STRICT_DNS",
            "StdoutAccessLog",
        ] {
            assert!(!text.contains(left), "{left} is still there");
        }
        assert!(
            text.contains("/run-folder/tls/server.pem") && text.contains("/run-folder/access.log")
        );
    }

    // Without it an edit of one form could leave the filter with another.
    #[test]
    fn a_configuration_keeps_its_form() {
        for (file, plugin, text) in [
            ("envoy/envoy.yaml", "gatehouse.routing", false),
            ("envoy/single/routing.yaml", "gatehouse.routing", true),
        ] {
            let mut bootstrap = Bootstrap::file(file);
            bootstrap.edit_filter_config(plugin, |config| config["version"] = 7.into());
            assert_eq!(bootstrap.filter_config(plugin)["version"], 7);
            assert_eq!(
                bootstrap.plugin_mut(plugin)["configuration"]["value"].is_string(),
                text
            );
        }
    }
}
