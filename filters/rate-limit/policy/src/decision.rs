//! What is done with a request.

use std::rc::Rc;

use filter_config::FieldPath;
use http_message::{Problem, RequestHead};
use identity::Identity;
use request_match::{Mode, Rule, Subject};
use shared_table::Fingerprint;

use crate::attribute::Attributes;
use crate::caller::Caller;
use crate::config::Policy;
use crate::counters::Counter;
use crate::draw::{Draw, Effect};
use crate::instance::Instance;
use crate::key::{KeyFault, KeySource};
use crate::limit::{Action, Limit};
use crate::missing_key::OnMissingKey;
use crate::quota::Quota;
use crate::quota_compiler::QuotaCompiler;
use crate::rate::Rate;
use crate::rate_set::{RateSet, RateSource};
use crate::reason::Reason;

/// What is known of a request besides its head. What [`Policy::needs`] does not name may be left out.
#[derive(Debug, Default)]
pub struct Facts {
    /// The record of the caller, as filter state has it.
    pub identity: Option<Vec<u8>>,
    /// The host's `source.address`.
    pub address: Option<Vec<u8>>,
    /// The name of the route, as a native filter last looked it up.
    pub route: Option<Vec<u8>>,
    /// The values of the properties that are needed, in their order.
    pub attributes: Vec<Option<Vec<u8>>>,
    /// Whether a body follows the head.
    pub has_body: bool,
}

/// What is done, and what is counted with it.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What the adapter does next.
    pub step: Step<'a>,
    /// What to count.
    pub counters: Vec<Counter>,
}

/// What the adapter does next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Hand the request on.
    Forward,
    /// Take what it costs of each; all must have room.
    Draw(Vec<Draw<'a>>),
    /// Answer it here. The client gets the problem; the reason is for counters and the log.
    Reply(Problem, Reason),
}

impl Policy {
    /// Finds the limits that are for a request, in the order of the configuration. Pure: the same arguments, the same step.
    pub fn decide(&self, head: &RequestHead, facts: &Facts, instance: &Instance) -> Decision<'_> {
        let mut counters = Vec::new();
        let step = match self.draws(head, facts, instance, &mut counters) {
            Ok(draws) if draws.is_empty() => {
                counters.push(Counter::Unlimited);
                Step::Forward
            }
            Ok(draws) => Step::Draw(draws),
            Err(reason) => Step::Reply(reason.problem(Vec::new()), reason),
        };
        if self.mode == Mode::Off {
            counters.clear();
        }
        Decision { step, counters }
    }

    fn draws(
        &self,
        head: &RequestHead,
        facts: &Facts,
        instance: &Instance,
        counters: &mut Vec<Counter>,
    ) -> Result<Vec<Draw<'_>>, Reason> {
        let mut draws = Vec::new();
        if self.active().next().is_none() {
            return Ok(draws);
        }
        let client = facts.address.as_deref();
        let client = client.map(|address| self.addresses.client(address, head.headers()));
        counters.extend(client.as_ref().and_then(|client| client.doubt));
        let mut shadowed = |reason: Reason, enforced: bool| match enforced {
            true => Err(reason),
            false => {
                counters.push(Counter::ShadowRefused);
                Ok(())
            }
        };
        let any_enforced = || self.active().any(|rule| self.enforces(rule));
        let attributes = Attributes::new(&self.attributes, &facts.attributes);
        let known;
        let identity = match (&self.caller, facts.identity.as_deref()) {
            (Caller::Auth, None) => &self.anonymous,
            (caller, record) => match caller.read(record, &attributes) {
                Ok(identity) => {
                    known = identity;
                    &known
                }
                Err(_) => {
                    shadowed(Reason::MalformedIdentity, any_enforced())?;
                    return Ok(draws);
                }
            },
        };
        let Ok(subject) = Subject::new(head, &self.twins) else {
            shadowed(Reason::AmbiguousRequest, any_enforced())?;
            return Ok(draws);
        };
        let subject = subject
            .with_identity(identity)
            .with_route(facts.route.as_deref());
        let source = KeySource {
            subject: &subject,
            identity: Some(identity),
            network: client.as_ref().map(|client| client.network.as_slice()),
            address: client.as_ref().and_then(|client| client.address),
            route: facts.route.as_deref(),
            attributes,
        };
        let (mut skipped, mut bad_override) = (false, false);
        for (place, rule) in self.active_by_place() {
            if !rule.matcher.matches(&subject) {
                continue;
            }
            let limit = &rule.value;
            let name = rule.name.as_str();
            let enforced = self.enforces(rule);
            let rates = limit.rates(name, identity, &attributes);
            let others;
            let group = match (rates.set.source, instance.groups.get(place)) {
                (RateSource::Limit, Some(group)) => group,
                _ => {
                    others = rates.set.group(&instance.hash);
                    &others
                }
            };
            let key = match limit.key.fingerprint(&group.parts, &source) {
                Err(KeyFault::Missing) => match &limit.on_missing_key {
                    OnMissingKey::Skip => {
                        skipped = true;
                        continue;
                    }
                    OnMissingKey::Use(key) => key.fallback(&rates.set, &source, &instance.hash),
                    OnMissingKey::Deny => Err(KeyFault::Missing),
                },
                key => key,
            };
            match key {
                Ok(client) => {
                    let cost = limit.cost.of(head, &subject, facts.has_body);
                    bad_override |= rates.bad_override;
                    let group = group.fingerprint;
                    draws.push(self.draw(rule, (client, group), cost, rates.quota, instance));
                }
                Err(KeyFault::Missing) => shadowed(Reason::MissingKey, enforced)?,
                Err(KeyFault::Ambiguous) => shadowed(Reason::AmbiguousKey, enforced)?,
            }
        }
        if skipped {
            counters.push(Counter::SkippedKey);
        }
        if bad_override {
            counters.push(Counter::BadOverride);
        }
        Ok(draws)
    }

    fn enforces(&self, rule: &Rule<Limit>) -> bool {
        self.mode == Mode::Enforce && rule.mode == Mode::Enforce
    }

    fn draw<'a>(
        &self,
        rule: &'a Rule<Limit>,
        (client, group): (Fingerprint, Fingerprint),
        cost: u64,
        quota: Rc<Quota>,
        instance: &Instance,
    ) -> Draw<'a> {
        let name = rule.name.as_str();
        let effect = match (self.enforces(rule), rule.value.action) {
            (false, _) => Effect::Shadow,
            (true, Action::Soft) => Effect::Soft,
            (true, Action::Reject | Action::Delay) => Effect::Reject,
        };
        Draw {
            name,
            quota,
            effect,
            cost,
            penalty: rule.value.penalty,
            afterwards: rule.value.afterwards.as_ref(),
            slot: instance.table.slot_key(&client),
            client,
            // As clients do not: newcomers share a state only where they have the same rates.
            group,
        }
    }
}

/// The rates that a limit has for one request.
struct Rates<'a> {
    quota: Rc<Quota>,
    set: RateSet<'a>,
    bad_override: bool,
}

impl Limit {
    /// The route's, or those of the caller's plan, or else its own. What a route says and nobody can read counts for nothing.
    fn rates<'a>(
        &'a self,
        name: &'a str,
        identity: &Identity,
        attributes: &Attributes<'_>,
    ) -> Rates<'a> {
        let said = self.override_at.as_ref();
        let said = said.and_then(|attribute| attributes.get(attribute));
        let route = said.map(|said| self.overriding(name, said));
        let bad_override = matches!(route, Some(None));
        let plan = || self.plans.as_ref()?.of(identity);
        let (source, quota) = match route.flatten() {
            Some((rate, quota)) => (RateSource::Route(rate), quota),
            None => match plan() {
                Some((plan, quota)) => (RateSource::Plan(plan), Rc::clone(quota)),
                None => (RateSource::Limit, Rc::clone(&self.quota)),
            },
        };
        let limit = name;
        Rates {
            quota,
            set: RateSet { limit, source },
            bad_override,
        }
    }

    #[inline(never)]
    fn overriding(&self, name: &str, said: &[u8]) -> Option<(Rate, Rc<Quota>)> {
        let rate = Rate::parse(std::str::from_utf8(said).ok()?)?;
        let checked = QuotaCompiler {
            name,
            algorithm: self.algorithm,
            cost: &self.cost,
            debt: self.debt,
        };
        let quota = checked.quota(&[rate], &FieldPath::root()).ok()?;
        Some((rate, quota))
    }
}

#[cfg(test)]
mod tests {
    use http_message::HeaderMap;
    use serde_json::{Value, json};
    use shared_table::HashKey;

    use super::*;

    fn policy(limits: Value) -> Policy {
        let config = json!({ "version": 1, "limits": limits });
        Policy::from_bytes(config.to_string().as_bytes()).unwrap()
    }

    fn head(path: &str, more: &[(&str, &str)]) -> RequestHead {
        let pseudo = [
            (":method", "GET"),
            (":authority", "api.test"),
            (":path", path),
        ];
        RequestHead::new(HeaderMap::from_pairs(pseudo.iter().chain(more).copied()))
    }

    fn decide<'a>(policy: &'a Policy, head: &RequestHead, facts: &Facts) -> Decision<'a> {
        let instance = policy.instance(HashKey::new([4; 16]), b"rate-limit");
        policy.decide(head, facts, &instance)
    }

    fn names<'a>(decision: &'a Decision<'_>) -> Vec<&'a str> {
        match &decision.step {
            Step::Draw(draws) => draws.iter().map(Draw::name).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn reason(decision: &Decision<'_>) -> Reason {
        match &decision.step {
            Step::Reply(_, reason) => *reason,
            other => panic!("{other:?}"),
        }
    }

    // Unlike rules of auth: a limit for all and one for a path are two limits for a request to that path.
    #[test]
    fn every_limit_that_matches_is_asked() {
        let policy = policy(json!([
            { "name": "all", "key": "method", "rate": "1/s" },
            { "name": "orders", "key": "method", "rate": "1/s", "match": { "path": { "prefix": "/orders" } } },
            { "name": "off", "key": "method", "rate": "1/s", "mode": "off" },
        ]));
        let facts = Facts::default();
        assert_eq!(
            names(&decide(&policy, &head("/orders/1", &[]), &facts)),
            ["all", "orders"]
        );
        assert_eq!(names(&decide(&policy, &head("/", &[]), &facts)), ["all"]);
    }

    #[test]
    fn a_request_that_no_limit_is_for_goes_on() {
        let policy = policy(json!([
            { "name": "orders", "key": "method", "rate": "1/s", "match": { "path": { "prefix": "/orders" } } },
        ]));
        let decision = decide(&policy, &head("/", &[]), &Facts::default());
        assert!(matches!(decision.step, Step::Forward));
        assert_eq!(decision.counters, [Counter::Unlimited]);
    }

    // Whoever leaves out the header that is counted by would have no limit at all.
    #[test]
    fn a_missing_key_is_refused_unless_the_limit_says_skip() {
        let limit = |more: Value| {
            let mut limit = json!({ "name": "a", "key": { "header": "x-tenant" }, "rate": "1/s" });
            limit
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            policy(json!([limit]))
        };
        let head = head("/", &[]);
        let facts = Facts::default();
        let (deny, skip) = (limit(json!({})), limit(json!({ "on_missing_key": "skip" })));
        assert_eq!(reason(&decide(&deny, &head, &facts)), Reason::MissingKey);
        let decision = decide(&skip, &head, &facts);
        assert!(matches!(decision.step, Step::Forward));
        assert_eq!(decision.counters, [Counter::SkippedKey, Counter::Unlimited]);
        let shadow = limit(json!({ "mode": "shadow" }));
        assert_eq!(
            decide(&shadow, &head, &facts).counters,
            [Counter::ShadowRefused, Counter::Unlimited]
        );
    }

    // A limit that is skipped because of a repeated header can be evaded by repeating it.
    #[test]
    fn an_ambiguous_key_is_refused_also_where_a_missing_one_is_skipped() {
        let policy = policy(json!([
            { "name": "a", "key": { "header": "x-tenant" }, "rate": "1/s", "on_missing_key": "skip" },
        ]));
        let head = head("/", &[("x-tenant", "a"), ("x-tenant", "b")]);
        assert_eq!(
            reason(&decide(&policy, &head, &Facts::default())),
            Reason::AmbiguousKey
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let policy = policy(json!([{ "name": "a", "key": "method", "rate": "1/s" }]));
        for path in ["/a%2fb", "/a/../b", "//a", ""] {
            let decision = decide(&policy, &head(path, &[]), &Facts::default());
            assert_eq!(reason(&decision), Reason::AmbiguousRequest, "{path}");
        }
    }

    #[test]
    fn a_malformed_record_is_refused_and_an_absent_one_is_anonymous() {
        let policy = policy(json!([
            { "name": "a", "key": "consumer", "rate": "1/s", "on_missing_key": "skip" },
        ]));
        let identity = Some(b"not a record".to_vec());
        let facts = Facts {
            identity,
            ..Facts::default()
        };
        assert_eq!(
            reason(&decide(&policy, &head("/", &[]), &facts)),
            Reason::MalformedIdentity
        );
        let decision = decide(&policy, &head("/", &[]), &Facts::default());
        assert!(matches!(decision.step, Step::Forward));
    }

    #[test]
    fn in_shadow_nothing_is_enforced() {
        let config = json!({
            "version": 1, "mode": "shadow",
            "limits": [{ "name": "a", "key": "method", "rate": "1/s" }],
        });
        let policy = Policy::from_bytes(config.to_string().as_bytes()).unwrap();
        let decision = decide(&policy, &head("/", &[]), &Facts::default());
        let Step::Draw(draws) = &decision.step else {
            panic!()
        };
        assert_eq!(draws[0].effect(), Effect::Shadow);
        let decision = decide(&policy, &head("//", &[]), &Facts::default());
        assert!(matches!(decision.step, Step::Forward));
    }

    // One that switches another limit off, or another build, would give every client a fresh bucket by looking elsewhere.
    #[test]
    fn a_client_is_found_where_other_builds_and_configurations_have_put_it() {
        let policy = policy(json!([
            { "name": "off", "key": { "header": "x" }, "rate": "1/s", "mode": "off" },
            { "name": "b", "key": { "header": "x" }, "rate": "1/s" },
        ]));
        let head = head("/", &[("x", "alice")]);
        let decision = decide(&policy, &head, &Facts::default());
        let Step::Draw(draws) = &decision.step else {
            panic!("{decision:?}")
        };
        let of = |parts: &[&[u8]]| HashKey::new([4; 16]).fingerprint(parts.iter().copied());
        let found = (draws[0].client, draws[0].group);
        assert_eq!(found, (of(&[b"b", b"alice"]), of(&[b"b"])));
    }

    // Where `jwt_authn` says who calls there is no record of auth, which is no reason to take everybody for nobody.
    #[test]
    fn whom_jwt_authn_names_is_counted_without_a_record() {
        let config = json!({
            "version": 1,
            "identity": { "jwt_authn": { "payload": "p", "consumer": "azp" } },
            "limits": [{ "name": "a", "key": "consumer", "rate": "1/s" }],
        });
        let policy = Policy::from_bytes(config.to_string().as_bytes()).unwrap();
        let asked = policy.needs().attributes;
        let of = |consumer: Option<&str>| Facts {
            attributes: asked
                .iter()
                .map(|attribute| match attribute.path().last() {
                    Some(&"azp") => consumer.map(|consumer| consumer.as_bytes().to_vec()),
                    _ => None,
                })
                .collect(),
            ..Facts::default()
        };
        let client = |consumer: &str| {
            let decision = decide(&policy, &head("/", &[]), &of(Some(consumer)));
            match decision.step {
                Step::Draw(draws) => draws[0].client,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(client("app"), client("app"));
        assert_ne!(client("app"), client("other"));
        let nobody = decide(&policy, &head("/", &[]), &of(None));
        assert_eq!(reason(&nobody), Reason::MissingKey);
    }

    // A limit and its twin of another name must not use up each other's tokens.
    #[test]
    fn buckets_are_told_apart_by_limit_and_key() {
        let policy = policy(json!([
            { "name": "a", "key": { "header": "x" }, "rate": "1/s" },
            { "name": "b", "key": { "header": "x" }, "rate": "1/s" },
        ]));
        let clients = |value: &str| {
            let head = head("/", &[("x", value)]);
            match decide(&policy, &head, &Facts::default()).step {
                Step::Draw(draws) => draws.iter().map(|draw| draw.client).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        let (one, other) = (clients("1"), clients("2"));
        assert_ne!(one[0], one[1]);
        assert_ne!(one[0], other[0]);
        assert_eq!(one, clients("1"));
    }

    // One state for two rates is read by the one as the other wrote it, also where newcomers share it.
    #[test]
    fn states_are_told_apart_by_whose_rates_they_are() {
        let policy = policy(json!([
            { "name": "a", "key": "method", "rate": "1/s", "plans": { "rates": { "gold": "2/s" } },
              "route_override": true },
        ]));
        let prints = |plan: &str, said: Option<&str>| {
            let caller = Identity {
                kind: identity::CredentialKind::ApiKey,
                credential_id: "k".to_owned(),
                plan: Some(plan.to_owned()),
                ..Identity::anonymous()
            };
            let facts = Facts {
                identity: Some(caller.encode()),
                attributes: vec![said.map(|said| said.as_bytes().to_vec())],
                ..Facts::default()
            };
            match decide(&policy, &head("/", &[]), &facts).step {
                Step::Draw(draws) => (draws[0].client, draws[0].group),
                other => panic!("{other:?}"),
            }
        };
        let sets = [
            prints("silver", None),
            prints("gold", None),
            prints("silver", Some("5/h")),
            prints("silver", Some("6/h")),
        ];
        for (index, (client, group)) in sets.iter().enumerate() {
            let others = || sets.iter().skip(index + 1);
            assert!(others().all(|(other, _)| other != client), "{index}");
            assert!(others().all(|(_, other)| other != group), "{index}");
        }
        // A plan that the limit does not have; a route's rate for two plans, and in other words; one that is none.
        assert_eq!(prints("bronze", None), sets[0]);
        assert_eq!(prints("gold", Some("5/h burst 5")), sets[2]);
        assert_eq!(prints("gold", Some("plenty")), sets[1]);
    }
}
