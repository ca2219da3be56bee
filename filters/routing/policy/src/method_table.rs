//! What is known of gRPC methods, and who may call them how.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_config::{Bounded, BoundedList, ConfigError, FieldPath, Text};
use grpc_descriptor::{Descriptor, MethodKind};
use http_message::{GrpcMethod, HeaderValue};
use identity::Identity;
use request_match::{Mode, TwinTable};
use serde::Deserialize;

use crate::deadline::{Deadline, DeadlineConfig};
use crate::reason::Reason;

type Names = BoundedList<Text<256>, 1, 64>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcConfig {
    descriptor_set: Option<Text<{ 2 * 1024 * 1024 }>>,
    #[serde(default)]
    undeclared: Undeclared,
    #[serde(default)]
    reflection: Access,
    #[serde(default)]
    health: Access,
    methods: Option<BoundedList<MethodConfig, 1, 256>>,
    #[serde(default)]
    statistics: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodConfig {
    service: Text<512>,
    method: Option<Text<256>>,
    #[serde(default)]
    mode: Mode,
    kind: Option<Kind>,
    scopes: Option<Names>,
    groups: Option<Names>,
    target: Option<Text<256>>,
    deadline: Option<DeadlineConfig>,
    retry: Option<RetryConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryConfig {
    on: BoundedList<RetryOn, 1, 5>,
    max: Bounded<1, 10>,
}

/// What becomes of a call that is declared nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Undeclared {
    #[default]
    Forward,
    Refuse,
}

/// Who may use a service that servers have beside their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Access {
    /// As the table says.
    #[default]
    Declared,
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Unary,
    ClientStreaming,
    ServerStreaming,
    BidiStreaming,
}

/// The conditions of Envoy's `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RetryOn {
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    Unavailable,
}

/// The methods of a configuration.
#[derive(Debug)]
pub(crate) struct MethodTable {
    rules: Vec<MethodRule>,
    /// Of the descriptor set, in the order of their names.
    declared: Vec<(String, String, MethodKind)>,
    from_descriptor: bool,
    /// The methods that are counted one by one, in the order of their names; none if nothing is counted.
    counted: Option<Vec<(String, String)>>,
    undeclared: Undeclared,
    reflection: Access,
    health: Access,
    pub(crate) twins: TwinTable,
}

/// What holds for the methods that fit it.
#[derive(Debug)]
pub(crate) struct MethodRule {
    service: ServicePattern,
    method: Option<String>,
    pub(crate) mode: Mode,
    kind: Option<MethodKind>,
    scopes: Vec<String>,
    groups: Vec<String>,
    pub(crate) target: Option<HeaderValue>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) retry: Option<Retry>,
}

/// For the headers by which Envoy's router is told to try again.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) on: HeaderValue,
    pub(crate) max: HeaderValue,
}

#[derive(Debug, PartialEq, Eq)]
enum ServicePattern {
    All,
    /// Every service of the package and of those inside it; ends with a dot.
    Package(String),
    Service(String),
}

/// What the table says of a call.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) kind: Option<MethodKind>,
    pub(crate) rule: Option<&'a MethodRule>,
}

const REFLECTION: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
const HEALTH: [&str; 1] = ["grpc.health.v1.Health"];

impl MethodTable {
    pub(crate) fn compile(config: GrpcConfig, at: &FieldPath) -> Result<MethodTable, ConfigError> {
        let set_at = at.field("descriptor_set");
        let descriptor = config
            .descriptor_set
            .as_ref()
            .map(|text| read_descriptor(text.as_str(), &set_at))
            .transpose()?;
        let mut twins = TwinTable::default();
        let mut declared = Vec::new();
        if let Some(descriptor) = &descriptor {
            twins.extend(descriptor, &set_at)?;
            declared.extend(
                descriptor
                    .methods()
                    .iter()
                    .map(|method| (method.service.clone(), method.name.clone(), method.kind)),
            );
            declared.sort_unstable_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        }
        let methods_at = at.field("methods");
        let mut rules: Vec<MethodRule> = Vec::new();
        for (index, method) in config.methods.into_iter().flatten().enumerate() {
            let at = methods_at.index(index);
            let rule = MethodRule::compile(method, &at)?;
            if rules.iter().any(|other| {
                other.mode != Mode::Off
                    && other.service == rule.service
                    && other.method == rule.method
            }) {
                return Err(ConfigError::new(
                    &at,
                    "the same service and method are given above",
                ));
            }
            rules.push(rule);
        }
        if rules.is_empty() && descriptor.is_none() && config.undeclared == Undeclared::Refuse {
            return Err(ConfigError::new(
                &at.field("undeclared"),
                "would refuse every call; declare methods, or a descriptor_set",
            ));
        }
        let counted = config.statistics.then(|| counted(&rules, &declared));
        Ok(MethodTable {
            counted,
            rules,
            declared,
            from_descriptor: descriptor.is_some(),
            undeclared: config.undeclared,
            reflection: config.reflection,
            health: config.health,
            twins,
        })
    }

    /// What holds for a call.
    pub(crate) fn find(&self, call: &GrpcMethod<'_>) -> Found<'_> {
        let rule = self.rule(call);
        Found {
            kind: rule
                .and_then(|rule| rule.kind)
                .or_else(|| self.declared_kind(call)),
            rule,
        }
    }

    /// Whether a service is one of those that are spoken of by name, so that a plain POST to it is a call too.
    pub(crate) fn knows(&self, service: &str) -> bool {
        let is_it = |rule: &MethodRule| match &rule.service {
            ServicePattern::All => false,
            pattern => pattern.fits(service),
        };
        self.rules.iter().any(is_it)
            || self
                .declared
                .iter()
                .any(|(declared, ..)| declared == service)
            || REFLECTION.contains(&service)
            || HEALTH.contains(&service)
    }

    /// Whether the call may be made, by anybody.
    pub(crate) fn admits(&self, call: Option<&GrpcMethod<'_>>) -> bool {
        let Some(call) = call else {
            return self.undeclared == Undeclared::Forward;
        };
        let access = match call.service {
            service if REFLECTION.contains(&service) => self.reflection,
            service if HEALTH.contains(&service) => self.health,
            _ => Access::Declared,
        };
        match access {
            Access::Open => true,
            Access::Closed => false,
            Access::Declared => self.undeclared == Undeclared::Forward || self.declares(call),
        }
    }

    /// Whether a rule asks who calls.
    pub(crate) fn needs_identity(&self) -> bool {
        let asks = |rule: &MethodRule| !rule.scopes.is_empty() || !rule.groups.is_empty();
        self.rules
            .iter()
            .any(|rule| rule.mode != Mode::Off && asks(rule))
    }

    /// Whether a rule names a target.
    pub(crate) fn has_targets(&self) -> bool {
        self.rules.iter().any(|rule| rule.target.is_some())
    }

    /// What calls are counted under: `service.method` of each that is declared, and `other` as the last. Empty if none is.
    pub(crate) fn statistics(&self) -> Vec<String> {
        let names = self.counted.as_ref().map(|counted| {
            let named = counted
                .iter()
                .map(|(service, method)| format!("{service}.{method}"));
            named.chain(["other".to_owned()]).collect()
        });
        names.unwrap_or_default()
    }

    /// The place of a call in [`statistics`](MethodTable::statistics), if calls are counted.
    pub(crate) fn statistic(&self, call: Option<&GrpcMethod<'_>>) -> Option<usize> {
        let counted = self.counted.as_ref()?;
        let found = call.and_then(|call| {
            let wanted = (call.service, call.method);
            counted
                .binary_search_by(|(service, method)| {
                    (service.as_str(), method.as_str()).cmp(&wanted)
                })
                .ok()
        });
        Some(found.unwrap_or(counted.len()))
    }

    /// Where a descriptor set tells which methods there are, a wildcard adds none.
    fn declares(&self, call: &GrpcMethod<'_>) -> bool {
        let by_rule = self.rule(call).is_some_and(|rule| {
            !self.from_descriptor || matches!(rule.service, ServicePattern::Service(_))
        });
        by_rule || self.declared_kind(call).is_some()
    }

    fn rule(&self, call: &GrpcMethod<'_>) -> Option<&MethodRule> {
        self.rules
            .iter()
            .find(|rule| rule.mode != Mode::Off && rule.fits(call))
    }

    fn declared_kind(&self, call: &GrpcMethod<'_>) -> Option<MethodKind> {
        let wanted = (call.service, call.method);
        let at = self
            .declared
            .binary_search_by(|(service, method, _)| {
                (service.as_str(), method.as_str()).cmp(&wanted)
            })
            .ok()?;
        self.declared.get(at).map(|(.., kind)| *kind)
    }
}

impl MethodRule {
    fn compile(config: MethodConfig, at: &FieldPath) -> Result<MethodRule, ConfigError> {
        let service = ServicePattern::compile(config.service.as_str(), &at.field("service"))?;
        if let Some(method) = &config.method
            && GrpcMethod::new("Service", method.as_str()).is_none()
        {
            return Err(ConfigError::new(
                &at.field("method"),
                "expected the method's name alone, as in Get",
            ));
        }
        let texts = |names: Option<Names>| -> Vec<String> {
            names.into_iter().flatten().map(Text::into_inner).collect()
        };
        Ok(MethodRule {
            service,
            method: config.method.map(Text::into_inner),
            mode: config.mode,
            kind: config.kind.map(|kind| match kind {
                Kind::Unary => MethodKind::Unary,
                Kind::ClientStreaming => MethodKind::ClientStreaming,
                Kind::ServerStreaming => MethodKind::ServerStreaming,
                Kind::BidiStreaming => MethodKind::BidiStreaming,
            }),
            scopes: texts(config.scopes),
            groups: texts(config.groups),
            target: config
                .target
                .map(|target| target_value(target.as_str(), &at.field("target")))
                .transpose()?,
            deadline: config
                .deadline
                .map(|deadline| Deadline::compile(deadline, &at.field("deadline")))
                .transpose()?,
            retry: config
                .retry
                .map(|retry| Retry::compile(&retry, &at.field("retry")))
                .transpose()?,
        })
    }

    /// Whether the caller may make the call: all of the scopes, any of the groups.
    pub(crate) fn permits(&self, caller: &Identity) -> Result<(), Reason> {
        let scopes = self
            .scopes
            .iter()
            .all(|scope| caller.scopes.contains(scope));
        let groups = self.groups.is_empty()
            || self
                .groups
                .iter()
                .any(|group| caller.groups.contains(group));
        match scopes && groups {
            true => Ok(()),
            false => Err(Reason::MethodNotPermitted),
        }
    }

    fn fits(&self, call: &GrpcMethod<'_>) -> bool {
        self.service.fits(call.service)
            && self
                .method
                .as_ref()
                .is_none_or(|method| method == call.method)
    }
}

impl ServicePattern {
    fn compile(text: &str, at: &FieldPath) -> Result<ServicePattern, ConfigError> {
        if text == "*" {
            return Ok(ServicePattern::All);
        }
        let (name, wild) = match text.strip_suffix(".*") {
            Some(package) => (package, true),
            None => (text, false),
        };
        if GrpcMethod::new(name, "Method").is_none() {
            return Err(ConfigError::new(
                at,
                "expected a service's full name, as in inventory.v1.Stock, a package, inventory.v1.*, or *",
            ));
        }
        Ok(match wild {
            true => ServicePattern::Package(format!("{name}.")),
            false => ServicePattern::Service(name.to_owned()),
        })
    }

    fn fits(&self, service: &str) -> bool {
        match self {
            ServicePattern::All => true,
            ServicePattern::Package(package) => service.starts_with(package.as_str()),
            ServicePattern::Service(name) => service == name,
        }
    }
}

impl Retry {
    fn compile(config: &RetryConfig, at: &FieldPath) -> Result<Retry, ConfigError> {
        let mut on = Vec::new();
        for condition in config.on.iter() {
            let name = condition.name();
            if on.contains(&name) {
                return Err(ConfigError::new(
                    &at.field("on"),
                    "a condition is listed twice",
                ));
            }
            on.push(name);
        }
        let value = |text: String| {
            HeaderValue::try_from(text.as_str())
                .map_err(|error| ConfigError::new(at, error.to_string()))
        };
        Ok(Retry {
            on: value(on.join(","))?,
            max: value(config.max.get().to_string())?,
        })
    }
}

impl RetryOn {
    const fn name(self) -> &'static str {
        match self {
            RetryOn::Cancelled => "cancelled",
            RetryOn::DeadlineExceeded => "deadline-exceeded",
            RetryOn::Internal => "internal",
            RetryOn::ResourceExhausted => "resource-exhausted",
            RetryOn::Unavailable => "unavailable",
        }
    }
}

/// The name of a cluster, or whatever a route is to look for.
pub(crate) fn target_value(text: &str, at: &FieldPath) -> Result<HeaderValue, ConfigError> {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
    HeaderValue::try_from(text)
        .ok()
        .filter(|_| plain)
        .ok_or_else(|| ConfigError::new(at, "expected a name of visible ASCII without a comma"))
}

fn counted(
    rules: &[MethodRule],
    declared: &[(String, String, MethodKind)],
) -> Vec<(String, String)> {
    let by_rule = rules
        .iter()
        .filter_map(|rule| match (&rule.service, &rule.method) {
            (ServicePattern::Service(service), Some(method)) => {
                Some((service.clone(), method.clone()))
            }
            _ => None,
        });
    let declared = declared
        .iter()
        .map(|(service, method, _)| (service.clone(), method.clone()));
    let mut counted: Vec<_> = by_rule.chain(declared).collect();
    counted.sort_unstable();
    counted.dedup();
    counted
}

fn read_descriptor(text: &str, at: &FieldPath) -> Result<Descriptor, ConfigError> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| ConfigError::new(at, "not base64, as in `base64 -w0 descriptor.pb`"))?;
    Descriptor::parse(&bytes).map_err(|error| ConfigError::new(at, error.to_string()))
}

#[cfg(test)]
mod tests {
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
        let field =
            |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
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
}
