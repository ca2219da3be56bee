//! A policy out of a configuration.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use request_match::{Placement, RequestMatch, Rule, Rules, TwinTable};

use crate::api_keys::{ApiKeys, Pepper};
use crate::challenge::{Challenges, Scheme};
use crate::config::{AuthConfig, TokenCacheConfig};
use crate::credential::{Sources, TokenSources};
use crate::extraction::Extraction;
use crate::failed_attempts::FailedAttempts;
use crate::policy::Policy;
use crate::provider::Providers;
use crate::requirement::Known;
use crate::rules::Access;
use crate::token_cache::TokenCacheLimits;
use crate::upstream::UpstreamHeaders;

const DEFAULT_REALM: &str = "api";

impl Policy {
    /// Reads a configuration: JSON or a serialized `google.protobuf.Struct`.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_bytes_in(bytes, &|_| None)
    }

    /// As [`Policy::from_bytes`], in a VM with environment variables.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn from_bytes_in(
        bytes: &[u8],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::compile(filter_config::parse(bytes)?, environment)
    }

    /// Compiles a configuration. `environment` gives the VM's environment variables, which hold what a configuration must
    /// not.
    ///
    /// # Errors
    /// The path and the fault; never a value.
    pub fn compile(
        config: AuthConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let root = FieldPath::root();
        let realm = config
            .realm
            .as_ref()
            .map_or(DEFAULT_REALM, |realm| realm.as_str());
        let metadata = config.resource_metadata.as_ref().map(|url| url.as_str());
        let keys_at = root.field("api_keys");
        let has_keys = config.api_keys.is_some();
        let (sources, keys, pepper) = match config.api_keys {
            Some(section) => {
                let at = keys_at.field("pepper_variable");
                let read = |name: &Text<128>| Pepper::read(name.as_str(), environment, &at);
                let pepper = section.pepper_variable.as_ref().map(read).transpose()?;
                let sources = section.sources.into_inner();
                (sources, section.keys.into_inner(), pepper)
            }
            None => (Vec::new(), Vec::new(), None),
        };
        let api_keys = ApiKeys::compile(keys, pepper, &keys_at.field("keys"))?;
        let jwt_at = root.field("jwt");
        let mut extraction = Extraction::default();
        let (providers, token_cache, token_sources) = match config.jwt {
            Some(jwt) => {
                extraction.select(&jwt.selected_claims);
                let sources = jwt.sources.map(BoundedList::into_inner);
                let sources = sources.map_or(TokenSources::Bearer, TokenSources::These);
                (jwt.providers.into_inner(), jwt.token_cache, sources)
            }
            None => (Vec::new(), TokenCacheConfig::default(), TokenSources::None),
        };
        let sources = Sources::compile(
            (sources, &keys_at.field("sources")),
            (token_sources, &jwt_at.field("sources")),
        )?;
        let challenges = Challenges::compile(realm, metadata, sources.key_scheme(), &root)?;
        let providers = Providers::compile(providers, &jwt_at.field("providers"))?;

        let failed_attempts = config.failed_attempts.as_ref().map(|attempts| {
            let at = root.field("failed_attempts");
            FailedAttempts::compile(attempts, config.address, &at)
        });
        let cache_at = jwt_at.field("token_cache");
        let token_cache = TokenCacheLimits::compile(&token_cache, &cache_at)?;

        let names = providers.names();
        let schemes = [
            (!names.is_empty(), Scheme::Bearer),
            (has_keys, Scheme::ApiKey),
        ]
        .into_iter()
        .filter_map(|(configured, scheme)| configured.then_some(scheme))
        .collect();
        let known = Known {
            api_keys: has_keys,
            providers: &names,
        };
        let rules_at = root.field("rules");
        let mut rules = Vec::with_capacity(config.rules.len());
        for (index, rule) in config.rules.into_iter().enumerate() {
            let at = rules_at.index(index);
            let value = Access::compile(&rule, &known, &mut extraction, &at)?;
            rules.push(Rule {
                name: rule.name,
                mode: rule.mode,
                matcher: RequestMatch::compile(
                    rule.r#match,
                    &at.field("match"),
                    Placement { identity: false },
                )?,
                value,
            });
        }

        let upstream = UpstreamHeaders::compile(
            config.upstream_headers,
            config.strip_headers.into_inner(),
            sources.header_names(),
            &mut extraction,
            &root,
        )?;
        Ok(Self {
            mode: config.mode,
            challenges,
            schemes,
            upstream,
            sources,
            api_keys,
            providers: providers.taking(extraction),
            token_cache,
            address: config.address,
            failed_attempts: failed_attempts.transpose()?,
            twins: TwinTable::of(
                config.twins.into_inner(),
                config.descriptor_set.as_ref(),
                &root,
            )?,
            rules: Rules::compile(rules, &rules_at)?,
        })
    }
}
