//! Row 21: many keys. Memory is what the configuration says, and nobody gets a fresh bucket by bringing others along.

use std::fs;

use envoy_harness::{Gateway, Request, Statuses};
use serde_json::json;

use super::{PLUGIN, answered_by_envoy, counter, is_long, with_limits};

const MIB: u64 = 1 << 20;

/// Two hundred thousand clients, an hour's tokens of each gone: what a key for each would take (150 bytes and more, which the host
/// never gives back) is over twice the bound. A million of them in `make long`. Those who came first are known after them, every
/// one: only newcomers pay for a table that is too small.
#[test]
fn row_21_two_hundred_thousand_keys_stay_within_the_tables_size() {
    let clients = if is_long() { 1_000_000 } else { 200_000 };
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 1 },
    ]));
    answered_by_envoy(&mut bootstrap);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let stated = stated_bytes(&gateway);
    assert!((4 * MIB..6 * MIB).contains(&stated), "{stated}");

    // Connections, buffers, the heaps of Envoy and of the VMs grow to what this load takes; the table has one client.
    flood(&gateway, clients / 8, |_| "warm-up".to_owned());
    const KNOWN: usize = 500;
    let ask_known = || {
        let known = (0..KNOWN).map(|client| format!("known-{client}"));
        gateway.h2().flood("x-tenant", known)
    };
    assert_eq!(ask_known(), Statuses::from([(200, KNOWN as u64)]));
    let before = resident_bytes(&gateway);
    flood(&gateway, clients, |client| format!("tenant-{client}"));
    let after = resident_bytes(&gateway);
    let grown = after.saturating_sub(before);
    eprintln!(
        "{clients} keys: {grown} bytes more than after the warm-up, {before}; the table says {stated}"
    );
    assert!(
        grown <= stated + 8 * MIB,
        "{grown} bytes more, the table says {stated}"
    );
    // The table is full, not unused: about six clients of seven found no place of their own.
    assert!(counter(&gateway, "overflow") > clients as u64 / 2);
    assert_eq!(counter(&gateway, "internal"), 0);
    assert_eq!(ask_known(), Statuses::from([(429, KNOWN as u64)]));
}

/// A client that was refused stays refused, however many others come: no entry is evicted before it says nothing more. And all those
/// who find no place share what one client has, in each slot.
#[test]
fn row_21_no_crowd_gets_anybody_a_fresh_bucket() {
    const SLOTS: u64 = 4;
    const CROWD: u64 = 3_000;
    const BURST: u64 = 2;
    let mut bootstrap = with_limits(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": BURST },
    ]));
    answered_by_envoy(&mut bootstrap);
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["table"] = json!({ "slots": SLOTS });
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let of = |tenant: &str| Request::get("/").header("x-tenant", tenant);
    let victim = of("the first");
    let statuses: Vec<_> = (0..3).map(|_| gateway.h1().send(&victim).status).collect();
    assert_eq!(statuses, [200, 200, 429]);

    // Each asks as often as a bucket of its own would allow.
    let crowd = (0..CROWD * BURST).map(|request| format!("tenant-{}", request / BURST));
    let statuses = gateway.h2().flood("x-tenant", crowd);
    let admitted = statuses.get(&200).copied().unwrap_or(0);
    // Eight places in each slot, one of which is the victim's, and one shared bucket.
    let most = (SLOTS * (8 + 1) - 1) * BURST;
    assert!(admitted <= most, "{admitted} admitted, {most} may be");
    assert!(admitted >= SLOTS * BURST, "{admitted} admitted");
    assert_eq!(gateway.h1().send(&victim).status, 429);
}

/// Sends over four connections, a hundred requests under way on each.
fn flood(gateway: &Gateway, requests: usize, tenant: impl Fn(usize) -> String + Sync) {
    const CONNECTIONS: usize = 4;
    std::thread::scope(|scope| {
        for first in 0..CONNECTIONS {
            let tenant = &tenant;
            scope.spawn(move || {
                let clients = (first..requests).step_by(CONNECTIONS);
                gateway.h2().flood("x-tenant", clients.map(tenant));
            });
        }
    });
}

/// What the filter logs when it is configured.
fn stated_bytes(gateway: &Gateway) -> u64 {
    let log = gateway.envoy().log();
    let (_, after) = log
        .split_once("table_max_bytes=")
        .unwrap_or_else(|| panic!("the table's size is not in the log: {log}"));
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

/// The memory of the Envoy process, as Linux counts it.
fn resident_bytes(gateway: &Gateway) -> u64 {
    let path = format!("/proc/{}/status", gateway.envoy().process_id());
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no VmRSS in {path}"));
    kib * 1024
}
