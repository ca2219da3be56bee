//! Which rule holds for which call.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_message::GrpcMethod;
use identity::Identity;

use super::*;

fn table(config: &str) -> Result<MethodTable, String> {
    let config =
        filter_config::parse::<Outer>(format!(r#"{{"version":1,"grpc":{config}}}"#).as_bytes())
            .map_err(|error| error.to_string())?;
    MethodTable::compile(config.grpc, &FieldPath::root().field("grpc"))
        .map_err(|error| error.to_string())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    #[expect(dead_code, reason = "read to be checked")]
    version: filter_config::Version,
    grpc: GrpcConfig,
}

fn call<'a>(service: &'a str, method: &'a str) -> GrpcMethod<'a> {
    GrpcMethod::new(service, method).unwrap()
}

/// `inventory.v1.Stock` with Get and the server-streaming Watch, as protoc writes it.
fn descriptor() -> String {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let get = field(1, b"Get");
    let watch = [field(1, b"Watch"), vec![6 << 3, 1]].concat();
    let service = [field(1, b"Stock"), field(2, &get), field(2, &watch)].concat();
    let file = [field(2, b"inventory.v1"), field(6, &service)].concat();
    STANDARD.encode(field(1, &file))
}

#[test]
fn the_first_rule_that_fits_holds() {
    let table = table(
        r#"{"undeclared":"refuse","methods":[
            {"service":"a.v1.Off","mode":"off"},
            {"service":"a.v1.B","method":"Get","kind":"unary","target":"one"},
            {"service":"a.v1.B","target":"two"},
            {"service":"a.v1.*","target":"three"}]}"#,
    )
    .unwrap();
    for (service, method, target) in [
        ("a.v1.B", "Get", Some("one")),
        ("a.v1.B", "Put", Some("two")),
        ("a.v1.C", "Get", Some("three")),
        ("a.v1.x.C", "Get", Some("three")),
        ("a.v1.Off", "Get", Some("three")),
        ("a.v10.C", "Get", None),
        ("a.v1", "Get", None),
    ] {
        let call = call(service, method);
        let found = table.find(&call).rule.and_then(|rule| rule.target.clone());
        let found = found.map(|target| String::from_utf8(target.as_bytes().to_vec()).unwrap());
        assert_eq!(found.as_deref(), target, "{service}/{method}");
        assert_eq!(
            table.admits(Some(&call)),
            target.is_some(),
            "{service}/{method}"
        );
    }
    assert!(
        !table.admits(None),
        "a path that is no method is no declared method"
    );
    assert_eq!(
        table.find(&call("a.v1.B", "Get")).kind,
        Some(MethodKind::Unary)
    );
}

// An allow list that a wildcard beside it opens is none.
#[test]
fn a_descriptor_set_tells_which_methods_there_are() {
    let table = table(&format!(
        r#"{{"descriptor_set":"{}","undeclared":"refuse","statistics":true,
            "methods":[{{"service":"inventory.*","target":"all"}},{{"service":"b.C","method":"Get"}}]}}"#,
        descriptor()
    ))
    .unwrap();
    for (service, method, admitted) in [
        ("inventory.v1.Stock", "Get", true),
        ("inventory.v1.Stock", "Watch", true),
        ("inventory.v1.Stock", "Drop", false),
        ("inventory.v1.Admin", "Get", false),
        ("b.C", "Get", true),
        ("b.C", "Put", false),
    ] {
        let call = call(service, method);
        assert_eq!(table.admits(Some(&call)), admitted, "{service}/{method}");
    }
    let watch = call("inventory.v1.Stock", "Watch");
    assert_eq!(table.find(&watch).kind, Some(MethodKind::ServerStreaming));
    assert_eq!(
        table.statistics(),
        [
            "b.C.Get",
            "inventory.v1.Stock.Get",
            "inventory.v1.Stock.Watch",
            "other"
        ]
    );
    assert_eq!(table.statistic(Some(&watch)), Some(2));
    assert_eq!(table.statistic(Some(&call("x.Y", "Z"))), Some(3));
    assert_eq!(table.statistic(None), Some(3));
}

#[test]
fn reflection_and_health_are_open_closed_or_as_declared() {
    let reflection = call(
        "grpc.reflection.v1.ServerReflection",
        "ServerReflectionInfo",
    );
    let old = call(
        "grpc.reflection.v1alpha.ServerReflection",
        "ServerReflectionInfo",
    );
    let health = call("grpc.health.v1.Health", "Check");
    let rules = r#""methods":[{"service":"a.B"}]"#;
    for (config, expected) in [
        (format!("{{{rules}}}"), [true, true]),
        (
            format!(r#"{{"undeclared":"refuse",{rules}}}"#),
            [false, false],
        ),
        (
            format!(r#"{{"undeclared":"refuse","health":"open",{rules}}}"#),
            [false, true],
        ),
        (
            format!(r#"{{"reflection":"closed",{rules}}}"#),
            [false, true],
        ),
    ] {
        let table = table(&config).unwrap();
        for call in [&reflection, &old] {
            assert_eq!(table.admits(Some(call)), expected[0], "{config}");
        }
        assert_eq!(table.admits(Some(&health)), expected[1], "{config}");
    }
}

#[test]
fn scopes_are_needed_all_and_groups_any() {
    let table =
        table(r#"{"methods":[{"service":"a.B","scopes":["r","w"],"groups":["staff","ops"]}]}"#)
            .unwrap();
    assert!(table.needs_identity());
    let call = call("a.B", "C");
    let rule = table.find(&call).rule.unwrap();
    for (scopes, groups, permitted) in [
        (&["r", "w"][..], &["ops"][..], true),
        (&["r"], &["ops"], false),
        (&["r", "w"], &["guests"], false),
        (&[], &[], false),
    ] {
        let caller = Identity {
            scopes: scopes.iter().map(ToString::to_string).collect(),
            groups: groups.iter().map(ToString::to_string).collect(),
            ..Identity::anonymous()
        };
        assert_eq!(
            rule.permits(&caller).is_ok(),
            permitted,
            "{scopes:?} {groups:?}"
        );
    }
}

#[test]
fn faults_are_told_with_their_path() {
    for (config, message) in [
        (
            r#"{"descriptor_set":"?"}"#,
            "grpc.descriptor_set: not base64",
        ),
        (
            r#"{"descriptor_set":"/w=="}"#,
            "grpc.descriptor_set: not a serialized",
        ),
        (
            r#"{"undeclared":"refuse"}"#,
            "grpc.undeclared: would refuse every call",
        ),
        (
            r#"{"methods":[{"service":"a b"}]}"#,
            "grpc.methods[0].service: expected",
        ),
        (
            r#"{"methods":[{"service":"a.**"}]}"#,
            "grpc.methods[0].service: expected",
        ),
        (
            r#"{"methods":[{"service":"a.B","method":"b/c"}]}"#,
            "grpc.methods[0].method: ",
        ),
        (
            r#"{"methods":[{"service":"a.B"},{"service":"a.B"}]}"#,
            "grpc.methods[1]: the same",
        ),
        (
            r#"{"methods":[{"service":"a.B","target":"a, b"}]}"#,
            "grpc.methods[0].target: ",
        ),
        (
            r#"{"methods":[{"service":"a.B","deadline":{}}]}"#,
            "grpc.methods[0].deadline: needs",
        ),
        (
            r#"{"methods":[{"service":"a.B","deadline":{"default":"2s","max":"1s"}}]}"#,
            "grpc.methods[0].deadline.default: is longer than max",
        ),
        (
            r#"{"methods":[{"service":"a.B","retry":{"on":["internal","internal"],"max":2}}]}"#,
            "grpc.methods[0].retry.on: a condition is listed twice",
        ),
        (
            r#"{"methods":[{"service":"a.B","retry":{"on":["5xx"],"max":2}}]}"#,
            "grpc.methods[0].retry.on[0]: ",
        ),
        (
            r#"{"methods":[{"service":"a.B","retry":{"on":["internal"],"max":99}}]}"#,
            "grpc.methods[0].retry.max: ",
        ),
    ] {
        let error = table(config).unwrap_err();
        assert!(error.starts_with(message), "{config}: {error}");
    }
    assert!(table(r#"{"methods":[{"service":"a.B"}]}"#).is_ok());
}
