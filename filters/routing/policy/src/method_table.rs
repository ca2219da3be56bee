//! What is known of gRPC methods, and who may call them how.

use filter_config::{BoundedList, ConfigError, FieldPath};
use grpc_descriptor::{DescriptorSet, MethodKind};
use http_message::GrpcMethod;
use request_match::{Mode, TwinTable};
use serde::Deserialize;

use crate::method_rule::{MethodConfig, MethodRule, ServicePattern};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcConfig {
    descriptor_set: Option<DescriptorSet>,
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
/// What the table says of a call.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) kind: Option<MethodKind>,
    /// In mode `enforce`.
    pub(crate) rule: Option<&'a MethodRule>,
    /// One in mode `shadow` that stands in front of it.
    pub(crate) trial: Option<&'a MethodRule>,
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
            .map(|set| set.read(&set_at))
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
                (other.mode == Mode::Enforce
                    || other.mode == rule.mode && rule.mode == Mode::Shadow)
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
            trial: self.trial(call),
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
        self.rules
            .iter()
            .any(|rule| rule.mode != Mode::Off && rule.needs_identity())
    }

    /// Whether a rule lets the route say something.
    pub(crate) fn asks_the_route(&self) -> bool {
        self.rules.iter().any(|rule| {
            let deadline = rule.deadline.as_ref();
            rule.mode != Mode::Off && deadline.is_some_and(|deadline| deadline.route_override)
        })
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
            .find(|rule| rule.mode == Mode::Enforce && rule.fits(call))
    }

    fn trial(&self, call: &GrpcMethod<'_>) -> Option<&MethodRule> {
        self.rules
            .iter()
            .find(|rule| rule.mode != Mode::Off && rule.fits(call))
            .filter(|rule| rule.mode == Mode::Shadow)
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
#[cfg(test)]
mod tests;
