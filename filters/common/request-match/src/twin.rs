//! REST twins of gRPC methods: what Envoy's transcoder turns into a call.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::{CanonicalPath, GrpcMethod};
use serde::Deserialize;

use crate::grpc::{check_rpc, check_service};
use crate::method::check_method;
use crate::template::Template;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TwinTable(Vec<Twin>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Twin {
    method: Text<32>,
    template: Template,
    service: Text<512>,
    rpc: Text<256>,
}

impl TwinTable {
    /// The most twins in a table: each is tried on every request that a `grpc` condition is asked about.
    pub const MAX_TWINS: usize = 1024;

    /// Checks the twins that stand at `at`.
    ///
    /// # Errors
    /// A method, template or name that no request can have, a twin given twice, or too many.
    pub fn compile(configs: Vec<TwinConfig>, at: &FieldPath) -> Result<TwinTable, ConfigError> {
        if configs.len() > Self::MAX_TWINS {
            return Err(ConfigError::new(
                at,
                format!("at most {} twins", Self::MAX_TWINS),
            ));
        }
        let mut twins: Vec<Twin> = Vec::with_capacity(configs.len());
        for (index, config) in configs.into_iter().enumerate() {
            let at = at.index(index);
            check_method(config.method.as_str(), &at.field("method"))?;
            check_service(config.service.as_str(), &at.field("service"))?;
            check_rpc(config.rpc.as_str(), &at.field("rpc"))?;
            let twin = Twin {
                template: Template::compile(config.template.as_str(), &at.field("template"))?,
                method: config.method,
                service: config.service,
                rpc: config.rpc,
            };
            if twins.contains(&twin) {
                return Err(ConfigError::new(&at, "the same twin is given above"));
            }
            twins.push(twin);
        }
        Ok(TwinTable(twins))
    }

    /// Every gRPC method that such a request may become. Templates overlap, and which one the transcoder takes is its
    /// business: a rule for any of them has to hold.
    pub(crate) fn calls<'a>(
        &'a self,
        method: &[u8],
        path: &CanonicalPath,
    ) -> impl Iterator<Item = GrpcMethod<'a>> {
        self.0
            .iter()
            .filter(move |twin| {
                twin.method.as_str().as_bytes() == method
                    && twin.template.matches_ignoring_final_slash(path)
            })
            .map(|twin| GrpcMethod {
                service: twin.service.as_str(),
                method: twin.rpc.as_str(),
            })
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

    fn calls(table: &TwinTable, method: &str, target: &str) -> Vec<String> {
        let path = CanonicalPath::parse(target.as_bytes()).unwrap();
        table
            .calls(method.as_bytes(), &path)
            .map(|call| call.method.to_owned())
            .collect()
    }

    #[test]
    fn all_twins_that_fit_count() {
        let table = table(json!([
            twin("GET", "/v1/stock/{id}", "Get"),
            twin("GET", "/v1/stock/special", "GetSpecial"),
            twin("DELETE", "/v1/stock/{id}", "Delete"),
        ]))
        .unwrap();
        assert_eq!(calls(&table, "GET", "/v1/stock/7"), ["Get"]);
        assert_eq!(
            calls(&table, "GET", "/v1/stock/special"),
            ["Get", "GetSpecial"]
        );
        assert_eq!(calls(&table, "DELETE", "/v1/stock/7"), ["Delete"]);
        assert!(calls(&table, "get", "/v1/stock/7").is_empty());
        assert!(calls(&table, "POST", "/v1/stock/7").is_empty());
        assert!(calls(&table, "GET", "/v1/stock").is_empty());
    }

    #[test]
    fn a_final_slash_hides_no_twin() {
        // The transcoder ignores it, so a rule that did not would be passed by.
        let table = table(json!([twin("DELETE", "/v1/stock/{id}", "Delete")])).unwrap();
        assert_eq!(calls(&table, "DELETE", "/v1/stock/7/"), ["Delete"]);
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
