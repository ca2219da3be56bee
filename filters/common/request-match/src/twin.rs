//! REST twins of gRPC methods: what Envoy's transcoder turns into a call.

use filter_config::{ConfigError, FieldPath, Text};
use grpc_descriptor::{Descriptor, DescriptorSet, HttpRule, Method};
use http_message::{CanonicalPath, GrpcMethod};
use serde::Deserialize;

use crate::ambiguity::Ambiguity;
use crate::grpc::{check_rpc, check_service};
use crate::method::check_method;
use crate::rest_template::{Fit, RestTemplate, Writing, path_parts};

/// One REST request that the transcoder makes a gRPC call, as its proto annotation says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwinConfig {
    method: Text<32>,
    template: Text<{ CanonicalPath::MAX_BYTES }>,
    service: Text<512>,
    rpc: Text<256>,
}

/// The REST twins of gRPC methods, so that a rule for a method holds for its twin too.
///
/// Templates overlap, and rules are tried in order. So of all twins that fit a request the one counts that the transcoder
/// takes: with any other, a lax rule for one method would open another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TwinTable(Vec<Twin>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Twin {
    /// `*` is any.
    method: Text<32>,
    template: RestTemplate,
    service: Text<512>,
    rpc: Text<256>,
}

impl TwinTable {
    /// The most twins in a table: each is tried on every request.
    pub const MAX_TWINS: usize = 1024;

    /// Checks the twins that stand at `at`.
    ///
    /// # Errors
    /// A method, template or name that no request can have, two twins that no request can tell apart, or too many.
    pub fn compile(configs: Vec<TwinConfig>, at: &FieldPath) -> Result<TwinTable, ConfigError> {
        let mut table = TwinTable::default();
        if configs.len() > Self::MAX_TWINS {
            return Err(too_many(at));
        }
        for (index, config) in configs.into_iter().enumerate() {
            let at = at.index(index);
            let twin = Twin::compile(config, &at)?;
            if table.0.contains(&twin) {
                return Err(ConfigError::new(&at, "the same twin is given above"));
            }
            table.add(twin, &at)?;
        }
        Ok(table)
    }

    /// The twins of a filter: those that are written at `twins` below `root`, and those that the set at `descriptor_set` tells.
    ///
    /// # Errors
    /// As for [`compile`](TwinTable::compile) and [`extend`](TwinTable::extend), or a set that cannot be read.
    pub fn of(
        configs: Vec<TwinConfig>,
        set: Option<&DescriptorSet>,
        root: &FieldPath,
    ) -> Result<TwinTable, ConfigError> {
        let mut table = TwinTable::compile(configs, &root.field("twins"))?;
        if let Some(set) = set {
            let at = root.field("descriptor_set");
            table.extend(&set.read(&at)?, &at)?;
        }
        Ok(table)
    }

    /// Adds the REST forms that a descriptor set tells, which stands at `at`: the rules of `google.api.http`, as the transcoder
    /// reads them from the same set.
    ///
    /// # Errors
    /// As for [`compile`](TwinTable::compile); a twin that is there already is no fault.
    pub fn extend(&mut self, descriptor: &Descriptor, at: &FieldPath) -> Result<(), ConfigError> {
        for method in descriptor.methods() {
            for rule in &method.http {
                let config = TwinConfig::of(method, rule).ok_or_else(|| too_long(method, at))?;
                let twin = Twin::compile(config, &FieldPath::root()).map_err(|error| {
                    let (service, name) = (&method.service, &method.name);
                    ConfigError::new(at, format!("the HTTP rule of {service}/{name}: {error}"))
                })?;
                if self.0.len() >= Self::MAX_TWINS {
                    return Err(too_many(at));
                }
                if !self.0.contains(&twin) {
                    self.add(twin, at)?;
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn add(&mut self, twin: Twin, at: &FieldPath) -> Result<(), ConfigError> {
        match self.0.iter().find(|other| other.takes_the_same(&twin)) {
            None => {
                self.0.push(twin);
                Ok(())
            }
            Some(other) => Err(ConfigError::new(
                at,
                format!(
                    "the same method and path are {}/{} above",
                    other.service.as_str(),
                    other.rpc.as_str()
                ),
            )),
        }
    }

    /// The gRPC method that the transcoder makes of a request. `target` is the path as it is on the wire, with the query.
    ///
    /// # Errors
    /// It depends on whether the path is decoded first.
    pub(crate) fn call<'a>(
        &'a self,
        method: &[u8],
        target: &[u8],
        path: &CanonicalPath,
    ) -> Result<Option<GrpcMethod<'a>>, Ambiguity> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let raw = target.split(|byte| *byte == b'?').next();
        self.find(method, raw.unwrap_or_default(), path)
    }

    #[inline(never)]
    fn find<'a>(
        &'a self,
        method: &[u8],
        raw: &[u8],
        path: &CanonicalPath,
    ) -> Result<Option<GrpcMethod<'a>>, Ambiguity> {
        let as_written = self.lookup(method, raw, Writing::Raw);
        if raw == path.as_bytes() {
            return Ok(as_written);
        }
        match (
            as_written,
            self.lookup(method, path.as_bytes(), Writing::Decoded),
        ) {
            (Some(one), Some(other)) if one != other => Err(Ambiguity::Call),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// Whether a method of the service has a twin, so that the transcoder knows the service.
    pub(crate) fn knows(&self, service: &str) -> bool {
        self.0.iter().any(|twin| twin.service.as_str() == service)
    }

    fn lookup(&self, method: &[u8], path: &[u8], writing: Writing) -> Option<GrpcMethod<'_>> {
        let is_verb = |verb: &[u8]| {
            let mut verbs = self.0.iter().map(|twin| twin.template.verb(writing));
            !verb.is_empty() && verbs.any(|other| other == verb)
        };
        let (parts, verb) = path_parts(path, is_verb);
        let fits = self.0.iter().filter_map(|twin| {
            let any = twin.is_for_any_method();
            let takes = any || twin.key(writing).eq(method.iter().chain(verb));
            // Of two that fit alike the one that names the method is taken.
            takes.then_some(((twin.template.fit(&parts, writing)?, any), twin))
        });
        let closest = fits.min_by(|(one, _): &((Fit, bool), _), (other, _)| one.cmp(other));
        closest.map(|(_, twin)| GrpcMethod {
            service: twin.service.as_str(),
            method: twin.rpc.as_str(),
        })
    }
}

fn too_many(at: &FieldPath) -> ConfigError {
    ConfigError::new(at, format!("at most {} twins", TwinTable::MAX_TWINS))
}

fn too_long(method: &Method, at: &FieldPath) -> ConfigError {
    let (service, name) = (&method.service, &method.name);
    ConfigError::new(
        at,
        format!("the HTTP rule of {service}/{name} has too long a text, or an empty one"),
    )
}

impl TwinConfig {
    fn of(method: &Method, rule: &HttpRule) -> Option<TwinConfig> {
        Some(TwinConfig {
            method: Text::new(rule.method.clone())?,
            template: Text::new(rule.template.clone())?,
            service: Text::new(method.service.clone())?,
            rpc: Text::new(method.name.clone())?,
        })
    }
}

impl Twin {
    /// Once in a module, and not in each of its callers.
    #[inline(never)]
    fn compile(config: TwinConfig, at: &FieldPath) -> Result<Twin, ConfigError> {
        check_method(config.method.as_str(), &at.field("method"))?;
        check_service(config.service.as_str(), &at.field("service"))?;
        check_rpc(config.rpc.as_str(), &at.field("rpc"))?;
        Ok(Twin {
            template: RestTemplate::compile(config.template.as_str(), &at.field("template"))?,
            method: config.method,
            service: config.service,
            rpc: config.rpc,
        })
    }

    /// By what the transcoder finds it among the twins of one path: the HTTP method and the verb with nothing in between. So
    /// `GETcancel /orders/7` is `GET /orders/7:cancel` to it.
    fn key(&self, writing: Writing) -> impl Iterator<Item = &u8> {
        let method = self.method.as_str().as_bytes();
        method.iter().chain(self.template.verb(writing))
    }

    /// Also where the path has a verb that a template has.
    fn is_for_any_method(&self) -> bool {
        self.key(Writing::Raw).eq(b"*")
    }

    fn takes_the_same(&self, other: &Twin) -> bool {
        self.template.same_parts(&other.template)
            && self.key(Writing::Raw).eq(other.key(Writing::Raw))
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use serde_json::{Value, json};

    use super::*;

    fn table(configs: Value) -> Result<TwinTable, String> {
        let at = FieldPath::root().field("twins");
        TwinTable::compile(from_value(configs).unwrap(), &at).map_err(|error| error.to_string())
    }

    fn twin(method: &str, template: &str, rpc: &str) -> Value {
        json!({"method": method, "template": template, "service": "inventory.v1.Stock", "rpc": rpc})
    }

    fn call(table: &TwinTable, method: &str, target: &str) -> Option<String> {
        let path = CanonicalPath::parse(target.as_bytes()).unwrap();
        let call = table
            .call(method.as_bytes(), target.as_bytes(), &path)
            .unwrap();
        call.map(|call| call.method.to_owned())
    }

    #[test]
    fn the_twin_counts_that_the_transcoder_takes() {
        let table = table(json!([
            twin("GET", "/v1/stock/{id}", "Get"),
            twin("GET", "/v1/stock/special", "GetSpecial"),
            twin("GET", "/v1/{rest=**}", "List"),
            twin("DELETE", "/v1/stock/{id}", "Delete"),
            twin("GET", "/v1/stock/{id}:cancel", "Cancel"),
            twin("*", "/v1/stock/{id}/log", "Log"),
            twin("POST", "/v1/stock/{id}/log", "PutLog"),
        ]))
        .unwrap();
        for (method, path, expected) in [
            ("GET", "/v1/stock/7", Some("Get")),
            ("GET", "/v1/stock/7/", Some("Get")),
            ("GET", "/v1/stock/special", Some("GetSpecial")),
            ("GET", "/v1/stock/*", Some("Get")),
            ("GET", "/v1/**", Some("List")),
            ("GET", "/v1", Some("List")),
            ("GET", "/v1/stock/7:cancel", Some("Cancel")),
            ("GET", "/v1/stock/7/:cancel", Some("Cancel")),
            ("GETcancel", "/v1/stock/7", Some("Cancel")),
            ("GET", "/v1/stock/7/cancel", Some("List")),
            ("GET", "/v1/stock/7/log:cancel", Some("Log")),
            ("GET", "/v1/stock/7:other", Some("Get")),
            ("GET", "/v1/stock/7/log", Some("Log")),
            ("BREW", "/v1/stock/7/log", Some("Log")),
            ("POST", "/v1/stock/7/log", Some("PutLog")),
            ("DELETE", "/v1/stock/7", Some("Delete")),
            ("GET", "/v1/stock/a%20b", Some("Get")),
            ("get", "/v1/stock/7", None),
            ("POST", "/v1/stock/7", None),
            ("GET", "/v2/stock", None),
        ] {
            assert_eq!(
                call(&table, method, path).as_deref(),
                expected,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn the_text_of_a_wildcard_is_that_wildcard() {
        // The transcoder looks in one map for literals and wildcards: a rule for Get would open List.
        let table = table(json!([
            twin("GET", "/v1/{id}", "Get"),
            twin("GET", "/v1/{rest=**}", "List"),
        ]))
        .unwrap();
        assert_eq!(call(&table, "GET", "/v1/7").as_deref(), Some("Get"));
        assert_eq!(call(&table, "GET", "/v1/**").as_deref(), Some("List"));
    }

    #[test]
    fn a_path_that_is_another_method_once_decoded_is_refused() {
        let table = table(json!([
            twin("GET", "/stock/{id}", "Get"),
            twin("GET", "/stock/special", "GetSpecial"),
        ]))
        .unwrap();
        let ask = |raw: &str| {
            let path = CanonicalPath::parse(raw.as_bytes()).unwrap();
            table.call(b"GET", raw.as_bytes(), &path)
        };
        assert_eq!(ask("/stock/speci%61l"), Err(Ambiguity::Call));
        // Not what the transcoder takes; what stands behind may.
        assert_eq!(ask("/%73tock/7").unwrap().unwrap().method, "Get");
        assert_eq!(ask("/stock/%37").unwrap().unwrap().method, "Get");
    }

    // A rule for a method is for its REST form too, without the operator writing each down again.
    #[test]
    fn a_descriptor_set_brings_its_rest_forms() {
        // `inventory.v1.Stock` with Get (GET /v1/stock/{id}) and Put (POST /v1/stock), as protoc writes it.
        let rule = |number: u8, template: &[u8]| {
            let rule = [&[number << 3 | 2, template.len() as u8], template].concat();
            [&[0x82, 0xd3, 0xe4, 0x93, 0x02, rule.len() as u8], &rule[..]].concat()
        };
        let field =
            |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let method =
            |name: &[u8], rule: &[u8]| field(2, &[field(1, name), field(4, rule)].concat());
        let set = |template: &[u8]| {
            let service = [
                field(1, b"Stock"),
                method(b"Get", &rule(2, template)),
                method(b"Put", &rule(4, b"/v1/stock")),
            ];
            let file = [field(2, b"inventory.v1"), field(6, &service.concat())].concat();
            Descriptor::parse(&field(1, &file)).unwrap()
        };
        let at = FieldPath::root().field("descriptor_set");
        let mut table = TwinTable::default();
        table.extend(&set(b"/v1/stock/{id}"), &at).unwrap();
        assert_eq!(call(&table, "GET", "/v1/stock/7").as_deref(), Some("Get"));
        assert_eq!(call(&table, "POST", "/v1/stock").as_deref(), Some("Put"));
        assert_eq!(call(&table, "PUT", "/v1/stock"), None);
        // Given by hand as well.
        table.extend(&set(b"/v1/stock/{id}"), &at).unwrap();
        let error = table.extend(&set(b"stock"), &at).unwrap_err();
        assert_eq!(
            error.to_string(),
            "descriptor_set: the HTTP rule of inventory.v1.Stock/Get: template: must start with \"/\""
        );
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (configs, error) in [
            (
                json!([twin("get", "/a", "Get")]),
                "twins[0].method: methods are case-sensitive, did you mean GET?",
            ),
            (
                json!([twin("GET", "a", "Get")]),
                "twins[0].template: must start with \"/\"",
            ),
            (
                json!([twin("GET", "/a", "Stock/Get")]),
                "twins[0].rpc: expected the method's name alone, as in Get",
            ),
            (
                json!([twin("GET", "/{a}", "Get"), twin("GET", "/{b}", "Get")]),
                "twins[1]: the same twin is given above",
            ),
            (
                json!([twin("GET", "/{a}", "Get"), twin("GET", "/{b}", "Put")]),
                "twins[1]: the same method and path are inventory.v1.Stock/Get above",
            ),
            (
                json!([{"method": "GET", "template": "/a", "service": "/a.B", "rpc": "C"}]),
                "twins[0].service: expected the service's full name, as in inventory.v1.Stock",
            ),
        ] {
            assert_eq!(table(configs.clone()), Err(error.to_owned()), "{configs}");
        }
        let many: Vec<_> = (0..=TwinTable::MAX_TWINS)
            .map(|n| twin("GET", &format!("/{n}"), "Get"))
            .collect();
        assert_eq!(
            table(json!(many)),
            Err("twins: at most 1024 twins".to_owned())
        );
    }
}
