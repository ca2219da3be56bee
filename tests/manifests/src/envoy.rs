//! The configurations of our filters inside Envoy's.

use serde_json::Value;

use crate::yaml;

/// A Wasm filter in an Envoy configuration.
#[derive(Clone, Debug)]
pub struct WasmFilter {
    /// The last part of the module's file name, without `.wasm` and `gatehouse_`: `auth`.
    pub module: String,
    /// What Envoy calls the plugin.
    pub plugin: Value,
    /// What it hands to the filter.
    pub configuration: Value,
}

/// Every Wasm filter in a file, at any depth.
///
/// # Panics
///
/// If the file is not YAML, or a filter's configuration is neither a `Struct` nor a `StringValue` of JSON.
pub fn wasm_filters(yaml: &str) -> Vec<WasmFilter> {
    let documents = yaml::documents(yaml);
    let mut found = Vec::new();
    let mut open: Vec<&Value> = documents.iter().rev().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let is_wasm = members
                    .get("@type")
                    .and_then(Value::as_str)
                    .is_some_and(|name| {
                        name.ends_with("envoy.extensions.filters.http.wasm.v3.Wasm")
                    });
                match members.get("config") {
                    Some(plugin) if is_wasm => found.push(wasm_filter(plugin)),
                    _ => open.extend(members.values().rev()),
                }
            }
            Value::Array(items) => open.extend(items.iter().rev()),
            _ => {}
        }
    }
    found
}

fn wasm_filter(plugin: &Value) -> WasmFilter {
    let file = plugin
        .pointer("/vm_config/code/local/filename")
        .and_then(Value::as_str)
        .expect("a local module");
    let module = file
        .rsplit('/')
        .next()
        .unwrap_or(file)
        .trim_end_matches(".wasm");
    let configuration = &plugin["configuration"];
    let kind = configuration["@type"].as_str().unwrap_or_default();
    let configuration = match kind.rsplit('/').next() {
        Some("google.protobuf.Struct") => configuration["value"].clone(),
        Some("google.protobuf.StringValue") => {
            let text = configuration["value"].as_str().expect("a string");
            serde_json::from_str(text).expect("JSON in a StringValue")
        }
        _ => panic!("{module}: a configuration of type {kind:?}"),
    };
    WasmFilter {
        module: module.trim_start_matches("gatehouse_").to_owned(),
        plugin: plugin.clone(),
        configuration,
    }
}

/// Seconds of a protobuf duration: `0.5s`.
pub fn seconds(duration: &Value) -> Option<f64> {
    duration.as_str()?.strip_suffix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A filter that is overlooked is not checked.
    #[test]
    fn finds_filters_at_any_depth_in_both_forms() {
        let wasm = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
        let yaml = format!(
            r#"
listeners:
  - filters:
      - typed_config:
          "@type": {wasm}
          config:
            vm_config: {{ code: {{ local: {{ filename: /etc/gatehouse/auth.wasm }} }} }}
            configuration: {{ "@type": type.googleapis.com/google.protobuf.Struct, value: {{ version: 1 }} }}
      - typed_config:
          "@type": {wasm}
          config:
            vm_config: {{ code: {{ local: {{ filename: gatehouse_routing.wasm }} }} }}
            configuration: {{ "@type": type.googleapis.com/google.protobuf.StringValue, value: '{{"version": 2}}' }}
"#
        );
        let found = wasm_filters(&yaml);
        let names: Vec<_> = found.iter().map(|filter| filter.module.as_str()).collect();
        assert_eq!(names, ["auth", "routing"]);
        assert_eq!(found[0].configuration["version"], 1);
        assert_eq!(found[1].configuration["version"], 2);
        assert_eq!(seconds(&"0.5s".into()), Some(0.5));
    }
}
