//! One descriptor set for the transcoder and for all four filters: nobody writes REST forms down a second time.

use envoy_harness::{Bootstrap, Gateway, Request};
use serde_json::json;

use super::methods::descriptor_set;
use super::{Caller, outsider, reached_inventory, reader};

// A REST form that one of them does not know evades its rule for the method.
#[test]
fn rules_for_a_method_hold_for_the_rest_forms_of_the_set() {
    let set = descriptor_set();
    let matched = json!({ "grpc": { "service": "inventory.v1.Stock", "method": "Get" } });
    let mut bootstrap = Bootstrap::chain();
    bootstrap.edit_filter_config("gatehouse.auth", |config| {
        config.as_object_mut().expect("an object").remove("twins");
        config["descriptor_set"] = set.as_str().into();
    });
    bootstrap.edit_filter_config("gatehouse.rate_limit", |config| {
        config["descriptor_set"] = set.as_str().into();
        config["limits"] = json!([
            { "name": "get", "match": matched, "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 4 },
        ]);
    });
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        config["descriptor_set"] = set.as_str().into();
        config["rules"] = json!([
            { "name": "get", "match": matched, "response": { "headers": [{ "set": "x-seen-by", "value": "transform" }] } },
        ]);
    });
    bootstrap.edit_filter_config("gatehouse.routing", |config| {
        config["grpc"] = json!({ "descriptor_set": set, "undeclared": "refuse" });
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let ask = |caller: Caller| {
        let request = caller.get_7().header("x-api-key", reader());
        gateway.h2().send(&request.header("x-tenant", "acme"))
    };
    for caller in Caller::ALL {
        let answer = ask(caller);
        assert_eq!(answer.status, 200, "{caller:?}: {answer:?}");
        assert_eq!(
            answer.header("x-seen-by"),
            Some("transform"),
            "{caller:?}: {answer:?}"
        );
    }
    // All of them have taken from one bucket.
    let over = ask(Caller::Rest);
    assert_eq!(over.status, 429, "{over:?}");
    assert_eq!(ask(Caller::Grpc).grpc_status(), Some(8));
    // And one rule is for all of them.
    for path in ["/stock/7", "/stock/7/watch"] {
        let answer = gateway
            .h1()
            .send(&Request::get(path).bearer(outsider(&gateway)));
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(!reached_inventory(&answer.body), "{path}");
    }
    let adjust = Request::new("POST", "/stock/7/adjust").bearer(outsider(&gateway));
    assert_eq!(gateway.h1().send(&adjust.body("{}")).status, 403);
}
