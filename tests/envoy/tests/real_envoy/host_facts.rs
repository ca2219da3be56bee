//! The facts of `probe-filter` on a real Envoy: what the fake host is believed to do, Envoy does.

mod client;
mod stage;

use envoy_harness::Protocol;
use probe_filter::facts::{Body, Chain, Exchange, Expect, FACTS, Fact};
use probe_filter::script::Script;

use stage::{NOTHING, Stage};

/// What facts can share an Envoy: one that loses its VM would take what another one is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    One,
    Three,
    Workers,
    Trap,
}

// Without it the fake host could be wrong about Envoy, and every test on it prove nothing.
#[test]
fn every_fact_of_one_filter_holds() {
    run(Company::One);
}

#[test]
fn every_fact_of_three_filters_holds() {
    run(Company::Three);
}

#[test]
fn every_fact_of_two_workers_holds() {
    run(Company::Workers);
}

#[test]
fn every_fact_of_a_lost_vm_holds() {
    run(Company::Trap);
}

// Without it the facts about pieces could be tried on bodies of one piece.
#[test]
fn this_client_sends_a_body_in_pieces() {
    let Some(stage) = Stage::start(Chain::One, Protocol::H2) else {
        return;
    };
    let exchange = Exchange {
        request: &[("x-probe-first", "request-body: sum-size sum; pause")],
        body: Body::Trailers(&["one,", "two,", "three"]),
        expect: Expect {
            // Each callback is told all that is held back: 4, then 8, then 13.
            headers: &[("sum", "25")],
            upstream_body: Some("one,two,three"),
            ..NOTHING.expect
        },
        ..NOTHING
    };
    assert_eq!(stage.take_part(&exchange), [""; 0]);
}

/// Runs the facts of a company over either protocol, each on an Envoy of its own: shared data outlives a fact.
fn run(company: Company) {
    let mut wrong = Vec::new();
    for protocol in [Protocol::H2, Protocol::H1] {
        let chain = match company {
            Company::One | Company::Trap => Chain::One,
            Company::Three => Chain::Three,
            Company::Workers => Chain::Workers,
        };
        let Some(stage) = Stage::start(chain, protocol) else {
            return;
        };
        if company == Company::Trap {
            stage.expect_vm_loss();
        }
        let facts: Vec<_> = FACTS
            .iter()
            .filter(|fact| company_of(fact) == company)
            .collect();
        assert!(!facts.is_empty(), "no fact of {company:?}");
        for fact in facts {
            for (number, exchange) in fact.exchanges.iter().enumerate() {
                wrong.extend(stage.take_part(exchange).into_iter().map(|difference| {
                    let name = fact.name;
                    let why = fact.why;
                    format!("{name} [{number}] over {protocol:?}: {difference} ({why})")
                }));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn company_of(fact: &Fact) -> Company {
    let mut scripts = fact.exchanges.iter().flat_map(|exchange| exchange.request);
    match (
        scripts.any(|(_, value)| Script::parse(value).has("trap")),
        fact.chain,
    ) {
        (true, Chain::One) => Company::Trap,
        (true, Chain::Three | Chain::Workers) => panic!("{}: no Envoy for it", fact.name),
        (false, Chain::One) => Company::One,
        (false, Chain::Three) => Company::Three,
        (false, Chain::Workers) => Company::Workers,
    }
}
