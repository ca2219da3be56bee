//! The configuration: its wire form, and the checks that make a [`Policy`] of it.

use filter_config::{BoundedList, ConfigError, FieldPath, Text, Version};
use http_message::{HeaderName, HeaderValue, RequestHead, is_token};
use request_match::{Mode, Rule, Rules, TwinTable};
use serde::Deserialize;

use crate::call::may_be_transcoded;
use crate::headers::{Headers, HeadersConfig, Uses};
use crate::lifecycle::{self, DeprecatedList};
use crate::method_table::{GrpcConfig, MethodTable};
use crate::split::{self, Split, SplitList};
use crate::target::{self, TargetList};
use crate::upstream_path::{UpstreamPath, UpstreamPathConfig};
use crate::version::{ApiVersion, Source, UnknownStatus, Versions};

/// The wire form. README.md tells what each field means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[expect(dead_code, reason = "read to be checked")]
    version: Version,
    #[serde(default)]
    mode: Mode,
    api_version: Option<ApiVersionConfig>,
    grpc: Option<GrpcConfig>,
    targets: Option<TargetList>,
    splits: Option<SplitList>,
    #[serde(default)]
    headers: HeadersConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiVersionConfig {
    supported: BoundedList<Text<8>, 1, 64>,
    default: Text<8>,
    sources: BoundedList<SourceConfig, 1, 8>,
    #[serde(default)]
    route_override: bool,
    unknown: Option<UnknownStatus>,
    #[serde(default)]
    fallback: Fallback,
    retired: Option<BoundedList<Text<8>, 1, 64>>,
    deprecated: Option<DeprecatedList>,
    upstream_path: Option<UpstreamPathConfig>,
}

/// What becomes of a version that is not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fallback {
    #[default]
    None,
    Older,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceConfig {
    path_prefix: Option<bool>,
    header: Option<HeaderName>,
    query: Option<Text<64>>,
    accept_parameter: Option<Text<64>>,
    accept_vendor: Option<Text<128>>,
    grpc_package: Option<bool>,
}

/// A configuration that has passed every check.
#[derive(Debug)]
pub struct Policy {
    pub(crate) mode: Mode,
    pub(crate) versions: Option<Versions>,
    pub(crate) grpc: Option<MethodTable>,
    no_twins: TwinTable,
    pub(crate) targets: Rules<HeaderValue>,
    pub(crate) splits: Rules<Split>,
    needs: Needs,
    pub(crate) headers: Headers,
    /// The header of a refusal that lists the versions that are served.
    pub(crate) supported: Option<(HeaderName, HeaderValue)>,
}

/// What the policy wants to know of a request besides its head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The record that auth has written.
    pub identity: bool,
    /// The address of the client.
    pub address: bool,
    /// What the route says of the version of a request that names none.
    pub route_default_version: bool,
    /// What the route says of the longest that a call may take.
    pub route_max_deadline: bool,
}

impl Policy {
    /// Reads what the host hands over: JSON or a serialized `google.protobuf.Struct`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Policy, ConfigError> {
        Policy::compile(filter_config::parse(bytes)?)
    }

    /// Checks what types cannot: references, duplicates, names that would harm a request.
    pub fn compile(config: Config) -> Result<Policy, ConfigError> {
        let root = FieldPath::root();
        let grpc = config
            .grpc
            .map(|grpc| MethodTable::compile(grpc, &root.field("grpc")))
            .transpose()?;
        let targets_at = root.field("targets");
        let targets = config
            .targets
            .map(|targets| target::compile(targets, &targets_at))
            .transpose()?
            .unwrap_or_default();
        let splits_at = root.field("splits");
        let splits = config
            .splits
            .map(|splits| split::compile(splits, &splits_at))
            .transpose()?
            .unwrap_or_default();
        let uses = Uses {
            targets: targets.iter().next().is_some()
                || grpc.as_ref().is_some_and(MethodTable::has_targets),
            splits: splits.iter().next().is_some(),
            router: grpc.is_some(),
        };
        let headers_at = root.field("headers");
        let headers = Headers::compile(config.headers, uses, &headers_at)?;
        if headers.grpc_kind.is_some() && grpc.is_none() {
            return Err(ConfigError::new(
                &headers_at.field("grpc_kind"),
                "the kind of a method is known from grpc.methods or grpc.descriptor_set",
            ));
        }
        let versions = config
            .api_version
            .map(|versions| compile_versions(versions, &headers, &root.field("api_version")))
            .transpose()?;
        for (index, split) in splits.iter().enumerate() {
            // It would be removed from what the client sent, or is the filter's own word.
            let mut read = split.value.headers();
            if read.any(|name| headers.patterns.matches(name.as_bytes())) {
                return Err(ConfigError::new(
                    &splits_at.index(index),
                    "reads a header that this filter writes, so a client cannot send it",
                ));
            }
        }
        let supported = versions.as_ref().and_then(supported_header);
        let needs = Needs {
            identity: headers.protocol.is_some()
                || grpc.as_ref().is_some_and(MethodTable::needs_identity)
                || active(&targets).any(|rule| rule.matcher.needs_identity())
                || active(&splits)
                    .any(|rule| rule.matcher.needs_identity() || rule.value.needs_identity()),
            address: active(&splits).any(|rule| rule.value.needs_address()),
            route_default_version: versions.as_ref().is_some_and(|all| all.route_override),
            route_max_deadline: grpc.as_ref().is_some_and(MethodTable::asks_the_route),
        };
        Ok(Policy {
            mode: config.mode,
            versions,
            needs: match config.mode {
                Mode::Off => Needs::default(),
                Mode::Enforce | Mode::Shadow => needs,
            },
            grpc,
            no_twins: TwinTable::default(),
            targets,
            splits,
            headers,
            supported,
        })
    }

    /// What has to be asked of the host for this request: each answer has its price.
    pub fn needs(&self, head: &RequestHead) -> Needs {
        Needs {
            identity: self.needs.identity || (self.mode != Mode::Off && may_be_transcoded(head)),
            ..self.needs
        }
    }

    /// The REST forms of methods, as a descriptor set has them.
    pub(crate) fn twins(&self) -> &TwinTable {
        let table = self.grpc.as_ref();
        table.map_or(&self.no_twins, |table| &table.twins)
    }

    /// Whether a cookie may have to be made for this request, for which [`Facts::draw`](crate::Facts) is needed.
    pub fn needs_draw(&self, head: &RequestHead) -> bool {
        self.mode != Mode::Off && active(&self.splits).any(|rule| rule.value.needs_draw(head))
    }
}

fn active<T>(rules: &Rules<T>) -> impl Iterator<Item = &Rule<T>> {
    rules.iter().filter(|rule| rule.mode != Mode::Off)
}

impl Policy {
    /// What calls are counted under, in the order of [`Watch::statistic`](crate::Watch): each declared method, and the others as
    /// the last. Empty if none is counted.
    pub fn statistics(&self) -> Vec<String> {
        let table = self.grpc.as_ref();
        table.map(MethodTable::statistics).unwrap_or_default()
    }
}

/// `x-gatehouse-supported-versions: 1, 2`
fn supported_header(versions: &Versions) -> Option<(HeaderName, HeaderValue)> {
    let list: Vec<String> = versions
        .supported
        .iter()
        .map(ApiVersion::to_string)
        .collect();
    // At most 64 numbers of four digits: it cannot fail.
    let value = HeaderValue::try_from(list.join(", ").as_str()).ok()?;
    let name = HeaderName::from_static("x-gatehouse-supported-versions");
    Some((name, value))
}

fn compile_versions(
    config: ApiVersionConfig,
    headers: &Headers,
    at: &FieldPath,
) -> Result<Versions, ConfigError> {
    let supported = read_versions(config.supported.iter(), &at.field("supported"))?;
    let default_at = at.field("default");
    let default = read_version(config.default.as_str(), &default_at)?;
    if !supported.contains(&default) {
        return Err(ConfigError::new(&default_at, "not among supported"));
    }
    let retired_at = at.field("retired");
    let retired = read_versions(config.retired.iter().flatten(), &retired_at)?;
    if let Some(index) = retired
        .iter()
        .position(|version| supported.contains(version))
    {
        return Err(ConfigError::new(
            &retired_at.index(index),
            "is among supported",
        ));
    }
    let mut sources = Vec::new();
    for (index, source) in config.sources.into_iter().enumerate() {
        let at = at.field("sources").index(index);
        let source = compile_source(source, headers, &at)?;
        if sources.contains(&source) {
            return Err(ConfigError::new(&at, "listed twice"));
        }
        sources.push(source);
    }
    let mut deprecated: Vec<(ApiVersion, _)> = Vec::new();
    for (index, entry) in config.deprecated.iter().flatten().enumerate() {
        let at = at.field("deprecated").index(index);
        let version_at = at.field("version");
        let version = read_version(entry.version.as_str(), &version_at)?;
        if !supported.contains(&version) {
            return Err(ConfigError::new(&version_at, "not among supported"));
        }
        if deprecated.iter().any(|(other, _)| *other == version) {
            return Err(ConfigError::new(&version_at, "listed twice"));
        }
        deprecated.push((version, lifecycle::headers(entry, &at)?));
    }
    let written = supported.iter().map(|version| {
        HeaderValue::try_from(version.to_string())
            .map_err(|error| ConfigError::new(&at.field("supported"), error.to_string()))
    });
    Ok(Versions {
        written: written.collect::<Result<_, _>>()?,
        supported,
        retired,
        default,
        sources,
        route_override: config.route_override,
        falls_back: config.fallback == Fallback::Older,
        deprecated,
        upstream_path: config
            .upstream_path
            .map(|path| UpstreamPath::compile(path, &at.field("upstream_path")))
            .transpose()?,
        unknown: config.unknown,
    })
}

fn read_versions<'a>(
    texts: impl Iterator<Item = &'a Text<8>>,
    at: &FieldPath,
) -> Result<Vec<ApiVersion>, ConfigError> {
    let mut versions = Vec::new();
    for (index, text) in texts.enumerate() {
        let at = at.index(index);
        let version = read_version(text.as_str(), &at)?;
        if versions.contains(&version) {
            return Err(ConfigError::new(&at, "listed twice"));
        }
        versions.push(version);
    }
    Ok(versions)
}

fn read_version(text: &str, at: &FieldPath) -> Result<ApiVersion, ConfigError> {
    ApiVersion::from_digits(text.bytes()).ok_or_else(|| {
        ConfigError::new(
            at,
            "a version is one to four digits without a leading zero, such as \"2\"",
        )
    })
}

fn compile_source(
    config: SourceConfig,
    headers: &Headers,
    at: &FieldPath,
) -> Result<Source, ConfigError> {
    let mut found = Vec::new();
    for (field, only) in [
        ("path_prefix", config.path_prefix),
        ("grpc_package", config.grpc_package),
    ] {
        match only {
            None => {}
            Some(false) => {
                return Err(ConfigError::new(
                    &at.field(field),
                    "can only be true; leave the source out instead",
                ));
            }
            Some(true) if field == "path_prefix" => found.push(Source::PathPrefix),
            Some(true) => found.push(Source::GrpcPackage),
        }
    }
    if let Some(header) = config.header {
        // It would be removed from what the client sent, and then written.
        if headers.patterns.matches(header.as_bytes()) {
            return Err(ConfigError::new(
                &at.field("header"),
                "this filter writes that header, so a client cannot send it",
            ));
        }
        found.push(Source::Header(header));
    }
    if let Some(name) = config.query {
        found.push(Source::Query(name.into_inner()));
    }
    if let Some(parameter) = config.accept_parameter {
        let at = at.field("accept_parameter");
        found.push(Source::AcceptParameter(parameter_name(
            parameter.as_str(),
            &at,
        )?));
    }
    if let Some(vendor) = config.accept_vendor {
        let at = at.field("accept_vendor");
        found.push(Source::AcceptVendor(vendor_name(vendor.as_str(), &at)?));
    }
    match found.pop() {
        Some(source) if found.is_empty() => Ok(source),
        _ => Err(ConfigError::new(
            at,
            "needs exactly one of path_prefix, header, query, accept_parameter, accept_vendor, grpc_package",
        )),
    }
}

/// A type and the start of a subtype: `application/vnd.example`.
fn vendor_name(text: &str, at: &FieldPath) -> Result<String, ConfigError> {
    match text.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) && !subtype.contains('+') => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(ConfigError::new(
            at,
            "expected what stands in front of \".v2\", as in application/vnd.example",
        )),
    }
}

/// A token (RFC 9110 section 5.6.2), lower-cased, since parameter names are compared without regard to case.
fn parameter_name(text: &str, at: &FieldPath) -> Result<String, ConfigError> {
    let name = text.to_ascii_lowercase();
    if !is_token(text) {
        Err(ConfigError::new(at, "not a parameter name"))
    } else if name == "q" {
        Err(ConfigError::new(at, "q is the weight of a media range"))
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &str) -> String {
        Policy::from_bytes(config.as_bytes())
            .expect_err("must be refused")
            .to_string()
    }

    fn with_versions(versions: &str) -> String {
        format!(r#"{{"version":1,"api_version":{versions}}}"#)
    }

    #[test]
    fn the_least_configuration_has_the_default_headers() {
        let policy = Policy::from_bytes(br#"{"version":1}"#).unwrap();
        assert!(policy.versions.is_none());
        assert_eq!(policy.mode, Mode::Enforce);
        assert_eq!(
            policy.headers.api_version.as_str(),
            "x-gatehouse-api-version"
        );
        assert_eq!(
            policy.headers.grpc_service.as_str(),
            "x-gatehouse-grpc-service"
        );
        assert_eq!(
            policy.headers.grpc_method.as_str(),
            "x-gatehouse-grpc-method"
        );
    }

    #[test]
    fn sources_keep_their_order() {
        let policy = Policy::from_bytes(
            with_versions(
                r#"{"supported":["1","2"],"default":"2",
                    "sources":[{"accept_parameter":"Version"},{"header":"x-v"},{"path_prefix":true}]}"#,
            )
            .as_bytes(),
        )
        .unwrap();
        let versions = policy.versions.unwrap();
        assert_eq!(versions.default.to_string(), "2");
        assert_eq!(versions.supported.len(), 2);
        let rendered = format!("{versions:?}");
        let place = |text: &str| rendered.find(text).unwrap();
        assert!(place("AcceptParameter(\"version\")") < place("Header("));
        assert!(place("Header(") < place("PathPrefix"));
    }

    // Each fault is told with its path, so that an operator need not search.
    #[test]
    fn faults_are_told_with_their_path() {
        for (config, message) in [
            (
                with_versions(
                    r#"{"supported":["1","1"],"default":"1","sources":[{"path_prefix":true}]}"#,
                ),
                "api_version.supported[1]: listed twice",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"2","sources":[{"path_prefix":true}]}"#,
                ),
                "api_version.default: not among supported",
            ),
            (
                with_versions(
                    r#"{"supported":["v1"],"default":"v1","sources":[{"path_prefix":true}]}"#,
                ),
                "api_version.supported[0]: a version is one to four digits without a leading zero, such as \"2\"",
            ),
            (
                with_versions(r#"{"supported":["1"],"default":"1","sources":[{}]}"#),
                "api_version.sources[0]: needs exactly one of path_prefix, header, query, accept_parameter, accept_vendor, grpc_package",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"1","sources":[{"path_prefix":true,"header":"x-v"}]}"#,
                ),
                "api_version.sources[0]: needs exactly one of path_prefix, header, query, accept_parameter, accept_vendor, grpc_package",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"1","sources":[{"path_prefix":false}]}"#,
                ),
                "api_version.sources[0].path_prefix: can only be true; leave the source out instead",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"1","sources":[{"header":"x-v"},{"header":"x-v"}]}"#,
                ),
                "api_version.sources[1]: listed twice",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"1","sources":[{"header":"x_gatehouse_api_version"}]}"#,
                ),
                "api_version.sources[0].header: this filter writes that header, so a client cannot send it",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"1","sources":[{"accept_parameter":"Q"}]}"#,
                ),
                "api_version.sources[0].accept_parameter: q is the weight of a media range",
            ),
            (
                with_versions(
                    r#"{"supported":["1"],"default":"1","sources":[{"accept_parameter":"a b"}]}"#,
                ),
                "api_version.sources[0].accept_parameter: not a parameter name",
            ),
            (
                with_versions(
                    r#"{"supported":["2"],"default":"2","retired":["1","2"],"sources":[{"path_prefix":true}]}"#,
                ),
                "api_version.retired[1]: is among supported",
            ),
            (
                with_versions(
                    r#"{"supported":["2"],"default":"2","sources":[{"accept_vendor":"vnd.example"}]}"#,
                ),
                "api_version.sources[0].accept_vendor: expected what stands in front of \".v2\", as in application/vnd.example",
            ),
            (
                with_versions(
                    r#"{"supported":["2"],"default":"2","sources":[{"path_prefix":true}],
                        "deprecated":[{"version":"1","since":"2026-01-01"}]}"#,
                ),
                "api_version.deprecated[0].version: not among supported",
            ),
            (
                with_versions(
                    r#"{"supported":["2"],"default":"2","sources":[{"path_prefix":true}],
                        "deprecated":[{"version":"2","since":"true"}]}"#,
                ),
                "api_version.deprecated[0].since: expected a date or a second in UTC, as in 2026-12-31 or 2026-12-31T23:59:59Z",
            ),
            (
                with_versions(
                    r#"{"supported":["2"],"default":"2","sources":[{"path_prefix":true}],
                        "deprecated":[{"version":"2","since":"2026-06-01","sunset":"2026-05-31"}]}"#,
                ),
                "api_version.deprecated[0].sunset: is before since",
            ),
            (
                with_versions(
                    r#"{"supported":["2"],"default":"2","sources":[{"path_prefix":true}],
                        "deprecated":[{"version":"2","since":"2026-06-01","successor":"/v3>; rel=x"}]}"#,
                ),
                "api_version.deprecated[0].successor: expected a URI, or a path that starts with \"/\"",
            ),
            (
                r#"{"version":1,"headers":{"api_version":"content-length"}}"#.to_owned(),
                "headers.api_version: content-length is not for filters to write",
            ),
            (
                r#"{"version":1,"headers":{"grpc_method":"x_gatehouse_api_version"}}"#.to_owned(),
                "headers.grpc_method: each header needs a name of its own, that differs in more than - and _",
            ),
        ] {
            assert_eq!(refused(&config), message, "{config}");
        }
    }

    // The wire form is closed: a misspelt field is not a default in disguise.
    #[test]
    fn unknown_fields_bounds_and_versions_are_refused() {
        for (config, start) in [
            (r#"{"version":1,"header":{}}"#, "header: unknown field"),
            (r#"{"version":2}"#, "version: "),
            (r#"{}"#, ""),
            (r#"{"version":1,"mode":"on"}"#, "mode: "),
            (
                r#"{"version":1,"headers":{"api_version":":path"}}"#,
                "headers.api_version: ",
            ),
            (
                r#"{"version":1,"api_version":{"supported":[],"default":"1","sources":[{"path_prefix":true}]}}"#,
                "api_version.supported: ",
            ),
            (
                r#"{"version":1,"api_version":{"supported":["1"],"default":"1","sources":[]}}"#,
                "api_version.sources: ",
            ),
            (
                r#"{"version":1,"api_version":{"supported":["1"],"default":"1","source":[]}}"#,
                "api_version.source: unknown field",
            ),
        ] {
            let message = refused(config);
            assert!(message.starts_with(start), "{config}: {message}");
        }
    }
}
