//! What a rule asks of a caller, and whether the caller has it.

use std::sync::Arc;

use client_address::Source;
use filter_config::{ConfigError, FieldPath};

use crate::caller::Caller;
use crate::challenge::Scheme;
use crate::config::RuleConfig;
use crate::extraction::Extraction;
use crate::requirement::{Denial, Grants, Known, Refused};
use crate::route_grants::RouteGrants;
use crate::tree::Tree;
use crate::verified::{Callers, Verified};

/// What one rule asks for.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    tree: Tree,
    grants: Grants,
    route: RouteGrants,
    /// Whether a cache behind this filter may keep the answer although a credential was taken out of the request.
    pub(crate) cacheable: bool,
    /// Whether a credential that is not good counts as none.
    pub(crate) ignore_invalid: bool,
}

impl Access {
    pub(crate) fn compile(
        rule: &RuleConfig,
        known: &Known<'_>,
        extraction: &mut Extraction,
        at: &FieldPath,
    ) -> Result<Self, ConfigError> {
        let tree = Tree::compile(rule, known, extraction, at)?;
        let grants = Grants::compile(&rule.scopes, &rule.groups, &[]);
        if tree.is_anonymous() && !grants.is_empty() {
            let reason = "an anonymous caller has no scopes and no groups: use any or all";
            return Err(ConfigError::new(at, reason));
        }
        if tree.is_anonymous() && !rule.route_metadata.is_empty() {
            let reason =
                "an anonymous caller has nothing that a route could ask for: use any or all";
            return Err(ConfigError::new(&at.field("route_metadata"), reason));
        }
        Ok(Self {
            tree,
            grants,
            route: RouteGrants::compile(&rule.route_metadata, &at.field("route_metadata"))?,
            cacheable: rule.cacheable,
            ignore_invalid: rule.ignore_invalid,
        })
    }

    pub(crate) fn needs_address(&self) -> bool {
        self.tree.needs_address()
    }

    pub(crate) fn needs_route_metadata(&self) -> bool {
        !self.route.is_empty()
    }

    /// The schemes that would be taken, for the challenges; all where none is asked for.
    pub(crate) fn schemes(&self, all: &[Scheme]) -> Vec<Scheme> {
        let asked: Vec<Scheme> = all
            .iter()
            .copied()
            .filter(|scheme| self.tree.asks_for(*scheme))
            .collect();
        if asked.is_empty() {
            all.to_vec()
        } else {
            asked
        }
    }

    /// Who the caller is to the upstream, and by which credentials, if the rule lets the caller pass. A denial by the
    /// route comes with the scopes that the route asks for.
    pub(crate) fn judge(
        &self,
        verified: &Verified,
        source: Option<&Source>,
        route_metadata: Option<&[u8]>,
    ) -> Result<(Arc<Caller>, Callers), Refused> {
        let told = |denial: Denial<'_>| denial.told();
        let callers = self.tree.judge(verified, source).map_err(told)?;
        let identity = verified.identity_of(callers);
        self.grants.check(&identity).map_err(told)?;
        self.route.check(&identity, route_metadata)?;
        Ok((identity, callers))
    }
}
