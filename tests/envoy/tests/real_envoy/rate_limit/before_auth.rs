//! A second instance in front of auth, which limits by address alone: a flood costs no signature.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use envoy_harness::{Bootstrap, Gateway, Request};
use serde_json::json;

use super::{PLUGIN, counter};
use crate::forge::{FORGE, Sign};

const ADDRESS_PLUGIN: &str = "gatehouse.rate_limit_address";
const BURST: usize = 20;

/// `envoy/envoy.yaml` with a limit that a test can use up in front of auth, in the VM of that `vm_id`.
fn bootstrap(vm_id: &str) -> Bootstrap {
    let mut bootstrap = Bootstrap::chain();
    let filters = bootstrap.plugins();
    let place = |name: &str| filters.iter().position(|filter| filter == name);
    assert!(
        place(ADDRESS_PLUGIN) < place("gatehouse.auth"),
        "{filters:?}"
    );
    let config = json!({
        "version": 1,
        // The name that the limit of the other instance has.
        "limits": [{ "name": "orders-write", "key": "address", "rate": "1/h", "burst": BURST }],
    });
    bootstrap.set_filter_config(ADDRESS_PLUGIN, config);
    bootstrap.plugin_mut(ADDRESS_PLUGIN)["vm_config"]["vm_id"] = vm_id.into();
    bootstrap
}

/// What auth has counted so far, all of it.
fn auth_counters(gateway: &Gateway) -> BTreeMap<String, u64> {
    let stats = gateway.envoy().stats();
    stats
        .into_iter()
        .filter(|(name, _)| name.starts_with("wasmcustom.gatehouse.auth."))
        .collect()
}

/// A token that nobody signed, a little different each time so that no answer can be remembered.
fn forged(index: usize) -> String {
    let token = FORGE.good(Sign::Es256);
    match index % 3 {
        0 => token,
        1 => format!("{token}{index}"),
        _ => format!("garbage.{index}.garbage"),
    }
}

#[test]
fn a_flood_of_forged_tokens_is_refused_before_auth_looks_at_them() {
    const FLOOD: usize = 300;
    let Some(gateway) = Gateway::start(&bootstrap(ADDRESS_PLUGIN)) else {
        return;
    };
    let attacker = gateway.h2().from_address(Ipv4Addr::new(127, 0, 9, 1));
    let mut connection = attacker.connect().expect("a connection");
    let before = auth_counters(&gateway);
    let statuses: Vec<u16> = (0..FLOOD)
        .map(|index| {
            let request = Request::get("/users/1").bearer(forged(index));
            connection.send(&request).status
        })
        .collect();
    let after = auth_counters(&gateway);
    assert!(
        statuses[..BURST].iter().all(|status| *status == 401),
        "{statuses:?}"
    );
    assert!(
        statuses[BURST..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    // Auth has decided on those of the burst, and on nothing else.
    let denied = "wasmcustom.gatehouse.auth.denied";
    assert_eq!(after[denied] - before[denied], BURST as u64);
    let reasons = |counters: &BTreeMap<String, u64>| -> u64 {
        // What the cache of tokens was of use for is told now and then, not at once.
        let reasons = counters
            .iter()
            .filter(|(name, _)| name.contains(".reason."));
        reasons.map(|(_, count)| count).sum()
    };
    assert_eq!(
        reasons(&after) - reasons(&before),
        BURST as u64,
        "{after:?}"
    );

    // Nobody else notices, and both instances say how they stand.
    let alice = gateway
        .token("alice")
        .scope("orders:read orders:write")
        .groups(&["staff"]);
    let order = Request::new("POST", "/orders")
        .bearer(alice.sign())
        .body("{}");
    let neighbour = gateway.h2().from_address(Ipv4Addr::new(127, 0, 9, 2));
    let answer = neighbour.send(&order);
    assert!(answer.header("x-replica").is_some(), "{}", answer.text());
    let said = |name: &str| -> Vec<String> {
        let values = answer.headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        said("ratelimit"),
        ["\"orders-write\";r=19;t=1", "\"orders-write\";r=19;t=3600"],
        "the limit by subject, and the limit by address"
    );
    assert_eq!(
        said("ratelimit-policy"),
        ["\"orders-write\";q=20;w=2", "\"orders-write\";q=20;w=72000"]
    );
    let refused = attacker.send(&order);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers.get_all("ratelimit").iter().count(), 1);
}

/// Under Istio all plugins of one image share a VM: then, too, each instance has buckets of its own, whatever limits are called.
#[test]
fn two_instances_in_one_vm_count_apart() {
    let Some(gateway) = Gateway::start(&bootstrap(PLUGIN)) else {
        return;
    };
    let alice = gateway
        .token("alice")
        .scope("orders:read orders:write")
        .groups(&["staff"]);
    let order = Request::new("POST", "/orders")
        .bearer(alice.sign())
        .body("{}");
    let answers: Vec<_> = (0..BURST + 1)
        .map(|index| {
            let from = Ipv4Addr::new(127, 0, 9, 10 + u8::try_from(index % 2).unwrap());
            gateway.h2().from_address(from).send(&order)
        })
        .collect();
    // The limit by subject lets twenty through at once and ten more each second; each address has had ten or eleven of twenty.
    let left: Vec<_> = answers
        .iter()
        .map(|answer| {
            let mut said = answer.headers.get_all("ratelimit").iter();
            said.next_back().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    assert!(
        left[0].contains(";r=19;") && left[1].contains(";r=19;"),
        "{left:?}"
    );
    assert!(left[BURST].contains(";r=9;"), "{left:?}");
    assert_eq!(counter(&gateway, "internal"), 0);
}
