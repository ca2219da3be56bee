//! Refusals, in the form that each kind of caller reads: from auth, which stands in front of Envoy's bridges, and from routing,
//! which stands behind them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_harness::stock::GetRequest;
use envoy_harness::stock::stock_client::StockClient;
use envoy_harness::{Bootstrap, Gateway, Request, Response, wait_for};
use serde_json::{Value, json};
use tonic::Code;

use super::{Caller, gateway, outsider, reached_inventory, reader, writer};

/// What a refusal says, to whomever.
pub(super) struct Refusal {
    http: u16,
    grpc: i32,
    title: &'static str,
    /// By routing, behind the bridges: there gRPC-Web callers read the status as a header.
    behind_bridges: bool,
}

/// Makes of a call one that is refused.
pub(super) type Prepare<'a> = &'a dyn Fn(Request) -> Request;

const UNAUTHORIZED: Refusal = Refusal {
    http: 401,
    grpc: 16,
    title: "Unauthorized",
    behind_bridges: false,
};
const FORBIDDEN: Refusal = Refusal {
    http: 403,
    grpc: 7,
    title: "Forbidden",
    behind_bridges: false,
};
const UNKNOWN_VERSION: Refusal = Refusal {
    http: 406,
    grpc: 12,
    title: "Not Acceptable",
    behind_bridges: true,
};
const TWO_VERSIONS: Refusal = Refusal {
    http: 400,
    grpc: 3,
    title: "Bad Request",
    behind_bridges: true,
};

const QUOTA_EXCEEDED: Refusal = Refusal {
    http: 429,
    grpc: 8,
    title: "Quota Exceeded",
    behind_bridges: false,
};
const UNREADABLE_BODY: Refusal = Refusal {
    http: 415,
    grpc: 12,
    title: "Unsupported Media Type",
    behind_bridges: false,
};

// Without it a gRPC caller could be told UNAVAILABLE, and try again; a browser get an answer that it cannot read; a REST
// caller, gRPC.
#[test]
fn each_caller_is_refused_in_its_own_protocol() {
    let Some(gateway) = gateway() else { return };
    let stranger = |request: Request| request;
    let guess = |request: Request| request.header("x-api-key", "guess");
    let outsider = |request: Request| request.bearer(outsider(&gateway));
    let version_9 = |request: Request| {
        request
            .header("x-api-key", reader())
            .header("x-api-version", "9")
    };
    let two_versions = |request: Request| {
        request
            .header("x-api-key", reader())
            .header("x-api-version", "1")
            .header("x-api-version", "2")
    };
    let cases: [(&str, Prepare<'_>, Refusal); 5] = [
        ("no credential", &stranger, UNAUTHORIZED),
        ("a wrong key", &guess, UNAUTHORIZED),
        ("no scope", &outsider, FORBIDDEN),
        ("an unknown version", &version_9, UNKNOWN_VERSION),
        ("two versions", &two_versions, TWO_VERSIONS),
    ];
    for (case, prepare, refusal) in cases {
        check_every_caller(&gateway, case, prepare, &refusal);
    }
}

// Without it a refusal of the two filters between auth and the bridges could have another form than auth's; and a limit for a
// method could be evaded by calling it in another way.
#[test]
fn a_limit_holds_for_every_way_of_calling_and_each_caller_reads_it() {
    let mut bootstrap = Bootstrap::chain();
    let twins = bootstrap.filter_config("gatehouse.auth")["twins"].take();
    bootstrap.edit_filter_config("gatehouse.rate_limit", |config| {
        config["twins"] = twins;
        config["limits"] = json!([{
            "name": "stock-get",
            "match": { "grpc": { "service": "inventory.v1.Stock", "method": "Get" } },
            "key": { "header": "x-tenant" },
            "rate": "1/h",
            "burst": 1,
        }]);
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    // Each way of calling takes the last token in turn, and then nobody gets one.
    for first in Caller::ALL {
        let tenant = format!("{first:?}");
        let prepare = |request: Request| {
            request
                .header("x-api-key", reader())
                .header("x-tenant", tenant.clone())
        };
        let answer = gateway.h2().send(&prepare(first.get_7()));
        assert_eq!(answer.status, 200, "{first:?}: {answer:?}");
        check_every_caller(&gateway, &tenant, &prepare, &QUOTA_EXCEEDED);
        // A library's client reads it too, and does not take it for leave to try again.
        let channel = gateway.channel(&[("x-api-key", &reader()), ("x-tenant", &tenant)]);
        let origin = channel.origin();
        let mut client = StockClient::with_origin(channel, origin);
        let refused = wait_for(client.get(GetRequest { id: "7".into() })).unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::ResourceExhausted, "Quota Exceeded")
        );
        assert!(
            refused.metadata().contains_key("retry-after"),
            "{refused:?}"
        );
        // A Connect client as well.
        let mut connect = prepare(Request::new("POST", "/inventory.v1.Stock/Get"));
        connect = connect
            .header("connect-protocol-version", "1")
            .header("content-type", "application/json");
        let answer = gateway.h1().send(&connect.body(r#"{"id":"7"}"#));
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{answer:?}"
        );
        assert_eq!(answer.json()["code"], "resource_exhausted", "{answer:?}");
    }
}

// Without it a body that a rule cannot read could be refused in a form that its sender cannot read.
#[test]
fn a_body_that_no_rule_can_read_is_refused_in_the_form_of_its_sender() {
    let mut bootstrap = Bootstrap::chain();
    let twins = bootstrap.filter_config("gatehouse.auth")["twins"].take();
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        config["twins"] = twins;
        config["rules"] = json!([{
            "name": "adjust",
            "match": { "grpc": { "service": "inventory.v1.Stock", "method": "Adjust" } },
            "request": { "body": [{ "remove": "/note" }] },
        }]);
    });
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    for caller in Caller::ALL {
        let mut request = match caller {
            Caller::Rest => Request::new("POST", "/stock/8/adjust")
                .header("content-type", "text/plain")
                .body("5"),
            _ => caller.get_7(),
        };
        if caller != Caller::Rest {
            request.path = "/inventory.v1.Stock/Adjust".into();
        }
        let answer = gateway.h2().send(&request.bearer(writer(&gateway)));
        let at = format!("{caller:?}: {answer:?}");
        UNREADABLE_BODY.check(caller, &answer, &at);
        assert!(!reached_inventory(&answer.body), "{at}");
    }
    let json = Request::new("POST", "/stock/8/adjust")
        .header("content-type", "application/json")
        .body(r#"{"note":"x","quantity":0}"#);
    let answer = gateway.h2().send(&json.bearer(writer(&gateway)));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Calls as each caller does, on each protocol that it speaks.
pub(super) fn check_every_caller(
    gateway: &Gateway,
    case: &str,
    prepare: Prepare<'_>,
    refusal: &Refusal,
) {
    for caller in Caller::ALL {
        // A gRPC client speaks HTTP/2, the others either.
        let mut clients = vec![gateway.h2()];
        if caller != Caller::Grpc {
            clients.push(gateway.h1());
        }
        for client in clients {
            let answer = client.send(&prepare(caller.get_7()));
            let at = format!("{case}, {caller:?}: {answer:?}");
            refusal.check(caller, &answer, &at);
            assert!(!reached_inventory(&answer.body), "{at}");
        }
    }
}

impl Refusal {
    /// One of routing's.
    pub(super) const fn by_routing(http: u16, grpc: i32, title: &'static str) -> Self {
        Self {
            http,
            grpc,
            title,
            behind_bridges: true,
        }
    }

    fn check(&self, caller: Caller, answer: &Response, at: &str) {
        match caller {
            Caller::Rest => {
                assert_eq!(answer.status, self.http, "{at}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json"),
                    "{at}"
                );
                assert!(
                    !answer
                        .headers
                        .keys()
                        .any(|name| name.as_str().starts_with("grpc-")),
                    "{at}"
                );
                let problem: Value = answer.json();
                assert_eq!(problem["status"], self.http, "{at}");
                assert_eq!(problem["title"], self.title, "{at}");
            }
            Caller::Grpc => {
                assert_eq!(answer.status, 200, "{at}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/grpc"),
                    "{at}"
                );
                // Trailers-only: the head is all there is.
                assert_eq!(answer.header("grpc-message"), Some(self.title), "{at}");
                assert_eq!(answer.grpc_status(), Some(self.grpc), "{at}");
                assert!(answer.body.is_empty(), "{at}");
            }
            Caller::GrpcWeb | Caller::GrpcWebText => {
                assert_eq!(answer.status, 200, "{at}");
                let kind = match caller {
                    Caller::GrpcWebText => "application/grpc-web-text+proto",
                    _ => "application/grpc-web+proto",
                };
                assert_eq!(answer.header("content-type"), Some(kind), "{at}");
                let framed = web_status(caller, answer);
                // In front of the bridges nobody but the filter makes the frame that clients read.
                assert!(framed.is_some() || self.behind_bridges, "no frame: {at}");
                let (status, message) = framed
                    .or_else(|| {
                        let message = answer.header("grpc-message")?.to_owned();
                        Some((answer.grpc_status()?, message))
                    })
                    .unwrap_or_else(|| panic!("no status: {at}"));
                assert_eq!((status, message.as_str()), (self.grpc, self.title), "{at}");
            }
        }
        if self.http == 401 {
            assert!(answer.headers.contains_key("www-authenticate"), "{at}");
        }
        if self.http == 406 {
            assert_eq!(
                answer.header("x-gatehouse-supported-versions"),
                Some("1, 2"),
                "{at}"
            );
        }
    }
}

/// Status and message out of the frame of trailers that ends a gRPC-Web answer.
fn web_status(caller: Caller, answer: &Response) -> Option<(i32, String)> {
    let body = match caller {
        Caller::GrpcWebText => STANDARD.decode(&answer.body).ok()?,
        _ => answer.body.clone(),
    };
    if body.first() != Some(&0x80) {
        return None;
    }
    let trailers = String::from_utf8(body.get(5..)?.to_vec()).ok()?;
    let value = |name: &str| {
        let line = trailers.split("\r\n").find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    Some((value("grpc-status")?.parse().ok()?, value("grpc-message")?))
}

// Without it a gRPC call that no route is for could reach a REST service that also speaks gRPC.
#[test]
fn no_route_for_rest_takes_a_grpc_call() {
    let Some(gateway) = gateway() else { return };
    for (method, path) in [
        ("POST", "/users/1"),
        ("POST", "/v2/users/1"),
        ("POST", "/users"),
        ("GET", "/orders/1"),
    ] {
        // A gRPC-Web client reads UNIMPLEMENTED from a bare 404, as the protocol maps it.
        for (request, status, grpc_status) in [
            (Request::grpc(path, b""), 200, Some(12)),
            (Request::grpc_web(path, b""), 404, None),
        ] {
            let mut request = request.header("x-api-key", reader());
            request.method = method.into();
            let answer = gateway.h2().send(&request);
            assert_eq!(
                (answer.status, answer.grpc_status()),
                (status, grpc_status),
                "{path}: {answer:?}"
            );
            assert_eq!(answer.header("x-replica"), None, "{path}: {answer:?}");
        }
    }
}
