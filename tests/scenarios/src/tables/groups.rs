//! Targets, and the groups of callers.

use crate::gateway::READER_KEY;
use crate::request::{Credential, Request};
use crate::scenario::Scenario;

use super::{passes, scenario, token};

fn in_group(
    name: &'static str,
    why: &'static str,
    request: Request,
    group: &'static str,
) -> Scenario {
    let sees = passes()
        .is("x-gatehouse-group", group)
        .told("x-gatehouse-group", group);
    scenario(name, why, request, sees)
}

pub(super) fn table() -> Vec<Scenario> {
    let cart = || Request::get("/public/cart");
    vec![
        scenario(
            "a target by a header",
            "the route asks for it, the upstream and the log know it",
            Request::get("/public/land").header("x-country", "DE"),
            passes().is("x-gatehouse-target", "land-de"),
        ),
        scenario(
            "a target that a client names",
            "who names a cluster itself chooses its upstream",
            Request::get("/public/land").header("x-gatehouse-target", "land-de"),
            passes().absent("x-gatehouse-target"),
        ),
        // The groups of these keys are part of the format: an update that changes them moves every caller.
        in_group(
            "a visitor of one group",
            "the key, the salt and the weights alone decide",
            cart().header("x-visitor", "carol"),
            "stable",
        ),
        in_group(
            "a visitor of the other group",
            "the key, the salt and the weights alone decide",
            cart().header("x-visitor", "bob"),
            "canary",
        ),
        in_group(
            "a visitor by another path",
            "one caller, one group",
            Request::get("/public/cart/items").header("x-visitor", "bob"),
            "canary",
        ),
        in_group(
            "a visitor without a key",
            "nothing tells it from others: the first group",
            cart(),
            "stable",
        ),
        in_group(
            "a group that a client chooses",
            "testers see what will come",
            cart()
                .header("x-visitor", "carol")
                .header("x-try-group", "canary"),
            "canary",
        ),
        in_group(
            "a group that no client may choose",
            "who could choose any group is in no experiment",
            cart()
                .header("x-visitor", "bob")
                .header("x-try-group", "stable"),
            "canary",
        ),
        in_group(
            "a group that a client claims",
            "its own word for it is taken out",
            cart()
                .header("x-visitor", "bob")
                .header("x-gatehouse-group", "stable")
                .header("x_gatehouse_group", "stable"),
            "canary",
        ),
        scenario(
            "the experiment",
            "with several the group alone says nothing",
            cart()
                .header("x-visitor", "bob")
                .header("x_gatehouse_experiment", "mine"),
            passes()
                .is("x-gatehouse-experiment", "cart")
                .absent("x_gatehouse_experiment"),
        ),
        scenario(
            "an experiment on trial",
            "nobody is to notice it",
            Request::get("/public/trial").header("x-visitor", "bob"),
            passes()
                .absent("x-gatehouse-group")
                .absent("x-gatehouse-experiment")
                .untold("x-gatehouse-group"),
        ),
        scenario(
            "a path without an experiment",
            "a client's own copies are gone there too",
            Request::get("/public").header("x-gatehouse-group", "canary"),
            passes()
                .absent("x-gatehouse-group")
                .untold("x-gatehouse-group"),
        ),
        in_group(
            "a person in a group",
            "who auth found out, however the caller proves it",
            Request::get("/users/people").bearer(token()),
            "stable",
        ),
        in_group(
            "another person in a group",
            "who auth found out, and no header",
            Request::get("/users/people")
                .header("x-user", "alice")
                .with(Credential::ApiKey(READER_KEY)),
            "canary",
        ),
    ]
}
