//! What istiod does with an EnvoyFilter: `pilot/pkg/networking/core/envoyfilter`. Only the patches that are in use are known here;
//! another one fails the test.

use manifests::kubernetes::Object;
use serde_json::{Value, json};

const CONNECTION_MANAGER: &str = "/filter_chains/0/filters/0/typed_config";

/// Applies the patches of one EnvoyFilter, in their order, to a gateway's listener and clusters.
pub(super) fn apply(filter: &Object, resources: &mut Value) {
    let patches = filter.value["spec"]["configPatches"]
        .as_array()
        .expect("patches");
    for patch in patches {
        assert_eq!(patch["match"]["context"], "GATEWAY", "{}", filter.place());
        let kind = patch["applyTo"].as_str().unwrap_or_default();
        let operation = patch["patch"]["operation"].as_str().unwrap_or_default();
        let value = &patch["patch"]["value"];
        let listener = &mut resources["listeners"][0];
        match (kind, operation) {
            ("LISTENER", "MERGE") => merge(listener, value),
            ("CLUSTER", "MERGE") => {
                let clusters = resources["clusters"].as_array_mut().expect("clusters");
                clusters
                    .iter_mut()
                    .for_each(|cluster| merge(cluster, value));
            }
            ("NETWORK_FILTER", "MERGE") => {
                assert_eq!(
                    network_filter(patch),
                    "envoy.filters.network.http_connection_manager"
                );
                let manager = listener
                    .pointer_mut(CONNECTION_MANAGER)
                    .expect("a connection manager");
                merge(manager, &value["typed_config"]);
            }
            ("VIRTUAL_HOST", "MERGE") => {
                let hosts = listener
                    .pointer_mut(&format!("{CONNECTION_MANAGER}/route_config/virtual_hosts"));
                let hosts = hosts.and_then(Value::as_array_mut).expect("virtual hosts");
                hosts.iter_mut().for_each(|host| merge(host, value));
            }
            ("HTTP_FILTER", "INSERT_FIRST") => http_filters(listener).insert(0, value.clone()),
            ("HTTP_FILTER", "INSERT_BEFORE") => {
                let anchor =
                    &patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"];
                assert!(
                    anchor.is_string(),
                    "{}: without one it is the first",
                    filter.place()
                );
                let filters = http_filters(listener);
                // Nothing where no filter has that name.
                if let Some(place) = filters.iter().position(|filter| filter["name"] == *anchor) {
                    filters.insert(place, value.clone());
                }
            }
            _ => panic!(
                "{}: {operation} of {kind} is not known here",
                filter.place()
            ),
        }
    }
}

fn network_filter(patch: &Value) -> &Value {
    &patch["match"]["listener"]["filterChain"]["filter"]["name"]
}

fn http_filters(listener: &mut Value) -> &mut Vec<Value> {
    listener
        .pointer_mut(&format!("{CONNECTION_MANAGER}/http_filters"))
        .and_then(Value::as_array_mut)
        .expect("HTTP filters")
}

/// Merges as protobuf does: messages member by member, lists one behind the other, anything else replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(json!(null)), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

// A merge that replaced a message would take away what Istio has set.
#[test]
fn merges_as_protobuf_does() {
    let mut value = json!({ "a": { "b": 1, "c": 2 }, "d": [1], "e": "KEEP_UNCHANGED" });
    merge(
        &mut value,
        &json!({ "a": { "c": 3, "f": { "g": 4 } }, "d": [2], "e": "REJECT_REQUEST" }),
    );
    assert_eq!(
        value,
        json!({ "a": { "b": 1, "c": 3, "f": { "g": 4 } }, "d": [1, 2], "e": "REJECT_REQUEST" })
    );
}
