//! Configuration updates on a gateway at work: a fault is refused with its path while the old configuration keeps serving, a good
//! one takes over, and no request fails either way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use envoy_harness::{Bootstrap, Gateway, Options, Reload, Request, demo_key};
use serde_json::{Value, json};

/// What is put in place of a filter's configuration.
enum Fault {
    Edit(fn(&mut Value)),
    Text(fn(Value) -> String),
}

/// A fault, where it is said to be, and words that must not be repeated.
struct Case {
    what: &'static str,
    plugin: &'static str,
    fault: Fault,
    says: &'static [&'static str],
    keeps_secret: &'static str,
}

const AUTH: &str = "gatehouse.auth";
const ROUTING: &str = "gatehouse.routing";
const NO_SECRET: &str = "\u{1}nothing of this kind";

fn case(
    what: &'static str,
    plugin: &'static str,
    says: &'static [&'static str],
    edit: fn(&mut Value),
) -> Case {
    Case {
        what,
        plugin,
        fault: Fault::Edit(edit),
        says,
        keeps_secret: NO_SECRET,
    }
}

fn text(
    what: &'static str,
    plugin: &'static str,
    says: &'static [&'static str],
    text: fn(Value) -> String,
) -> Case {
    Case {
        what,
        plugin,
        fault: Fault::Text(text),
        says,
        keeps_secret: NO_SECRET,
    }
}

/// Every fault that row 35 of the catalogue names, and more, for each filter.
fn cases() -> Vec<Case> {
    let mut cases = vec![
        case(
            "an unknown field",
            AUTH,
            &["rules[1].match.paht: unknown field, did you mean path?"],
            |config| {
                let path = config["rules"][1]["match"]["path"].take();
                config["rules"][1]["match"] = json!({ "paht": path });
            },
        ),
        case(
            "an unknown field at the root",
            AUTH,
            &["rulez: unknown field, did you mean rules?"],
            |config| config["rulez"] = json!([]),
        ),
        case(
            "a feature of a later version",
            AUTH,
            &["jwt.providers[0].remote_jwks: unknown field"],
            |config| {
                config["jwt"]["providers"][0]["remote_jwks"] = json!({ "cluster": "issuer" });
            },
        ),
        case("a wrong type", AUTH, &["realm: wrong type"], |config| {
            config["realm"] = json!(1)
        }),
        case(
            "another version",
            AUTH,
            &["version:", "this build reads version 1"],
            |config| config["version"] = json!(2),
        ),
        case("no version", AUTH, &["version"], |config| {
            config.as_object_mut().unwrap().remove("version");
        }),
        case(
            "two rules of one name",
            AUTH,
            &["rules[1].name"],
            |config| config["rules"][1]["name"] = config["rules"][0]["name"].clone(),
        ),
        case(
            "a provider that does not exist",
            AUTH,
            &["provider", "did you mean main?"],
            |config| {
                config["rules"][2]["any"] = json!([{ "credential": "jwt", "provider": "mian" }]);
            },
        ),
        case(
            "two keys of one id",
            AUTH,
            &["api_keys.keys[1]"],
            |config| {
                config["api_keys"]["keys"][1]["id"] = config["api_keys"]["keys"][0]["id"].clone();
            },
        ),
        case("a rule that says both", AUTH, &["rules[0]"], |config| {
            config["rules"][0]["any"] = json!([{ "credential": "api_key" }])
        }),
        case("an empty match", AUTH, &["rules[0].match"], |config| {
            config["rules"][0]["match"] = json!({})
        }),
        case(
            "a path that is not canonical",
            AUTH,
            &["rules[0].match.path.exact"],
            |config| {
                config["rules"][0]["match"] = json!({ "path": { "exact": "/a/../b" } });
            },
        ),
        case(
            "a skew past its bound",
            AUTH,
            &["jwt.providers[0].clock_skew"],
            |config| {
                config["jwt"]["providers"][0]["clock_skew"] = json!("1h");
            },
        ),
        case(
            "a weak key",
            AUTH,
            &["jwt.providers[0].jwks.keys[0]"],
            |config| {
                config["jwt"]["providers"][0]["jwks"] =
                    json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] });
            },
        ),
        Case {
            keeps_secret: "c2VjcmV0LXBhcnQtb2YtdGhlLWtleS1wYWly",
            ..case(
                "a private key",
                AUTH,
                &["jwt.providers[0].jwks.keys[0]"],
                |config| {
                    config["jwt"]["providers"][0]["jwks"]["keys"][0]["d"] =
                        json!("c2VjcmV0LXBhcnQtb2YtdGhlLWtleS1wYWly");
                },
            )
        },
        Case {
            keeps_secret: "hunter2-the-plain-key",
            ..text(
                "a key that is not hashed",
                AUTH,
                &["api_keys.keys[0].sha256"],
                |mut config| {
                    config["api_keys"]["keys"][0]["sha256"] = json!("hunter2-the-plain-key");
                    config.to_string()
                },
            )
        },
        case("ten megabytes", AUTH, &[], |config| {
            config["realm"] = json!("r".repeat(10 << 20))
        }),
        text("no JSON", AUTH, &[], |_| "version: 1".into()),
        text("JSON that ends early", AUTH, &[], |config| {
            let mut text = config.to_string();
            text.pop();
            text
        }),
        text("a member twice", AUTH, &["version"], |config| {
            config.to_string().replacen('{', "{\"version\":1,", 1)
        }),
        text("nesting of 100,000", AUTH, &[], |_| {
            format!("{{\"version\":1,\"rules\":{}", "[".repeat(100_000))
        }),
        text("an array", AUTH, &[], |_| "[]".into()),
        text("nothing", AUTH, &[], |_| String::new()),
    ];
    cases.extend([
        case(
            "routing: an unknown field",
            ROUTING,
            &["api_version.defualt: unknown field, did you mean default?"],
            |config| {
                config["api_version"]["defualt"] = json!("1");
            },
        ),
        case(
            "routing: a default that is not supported",
            ROUTING,
            &["api_version.default"],
            |config| {
                config["api_version"]["default"] = json!("9");
            },
        ),
        case(
            "routing: a version twice",
            ROUTING,
            &["api_version.supported[1]"],
            |config| config["api_version"]["supported"] = json!(["1", "1"]),
        ),
        case(
            "routing: another version",
            ROUTING,
            &["version:"],
            |config| config["version"] = json!(0),
        ),
        text("routing: nothing", ROUTING, &[], |_| String::new()),
    ]);
    cases
}

/// Without this test a typo in a rule could open the gateway, close it, or stop it.
#[test]
fn a_faulty_configuration_is_refused_with_its_path_and_the_old_one_serves_on() {
    let bootstrap = Bootstrap::chain();
    let Some(gateway) = Gateway::start_with(
        &bootstrap,
        &Options {
            reloadable: true,
            ..Options::default()
        },
    ) else {
        return;
    };
    let refused = under_load(&gateway, || {
        let cases = cases();
        for case in &cases {
            // Addresses and credentials are in already: nothing is put in the place of a fault.
            let mut faulty = gateway.bootstrap().clone();
            match case.fault {
                Fault::Edit(edit) => faulty.edit_filter_config(case.plugin, edit),
                Fault::Text(text) => {
                    let config = faulty.filter_config(case.plugin);
                    faulty.set_filter_config_text(case.plugin, text(config));
                }
            }
            match gateway.envoy().replace_listeners(&faulty) {
                Ok(()) => panic!("{}: taken", case.what),
                Err(log) => {
                    assert!(
                        log.contains("configuration refused"),
                        "{}: no reason in the log: {log}",
                        case.what
                    );
                    for said in case.says {
                        assert!(
                            log.contains(said),
                            "{}: the log does not say {said:?}: {log}",
                            case.what
                        );
                    }
                    assert!(
                        !log.contains(case.keeps_secret),
                        "{}: the log has the secret",
                        case.what
                    );
                }
            }
        }
        cases.len()
    });
    assert!(refused > 20);
}

/// Without this test an update could drop requests, or never arrive.
#[test]
fn a_good_configuration_takes_over_and_no_request_fails() {
    let bootstrap = Bootstrap::chain();
    let Some(gateway) = Gateway::start_with(
        &bootstrap,
        &Options {
            reloadable: true,
            ..Options::default()
        },
    ) else {
        return;
    };
    under_load(&gateway, || {
        for open in [true, false, true] {
            let mut changed = bootstrap.clone();
            changed.edit_filter_config(AUTH, |config| {
                config["rules"][0]["match"] = match open {
                    true => json!({ "path": { "prefix": "/opened" } }),
                    false => json!({ "path": { "exact": "/healthz" }, "methods": ["GET"] }),
                };
            });
            match gateway.reload(&changed) {
                Reload::Accepted => {}
                Reload::Rejected(log) => panic!("a good configuration is refused: {log}"),
            }
            // 404 is Envoy's router, behind auth: the request was let in.
            let expected = if open { 404 } else { 401 };
            gateway
                .envoy()
                .wait_until("every worker decides by the new rules", |_| {
                    (0..8).all(|_| gateway.h1().send(&Request::get("/opened/1")).status == expected)
                });
        }
    });
}

/// Does `work` while four clients call the gateway all the time; fails if one call does, or if there were none to speak of.
fn under_load<R>(gateway: &Gateway, work: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let request = Request::get("/users/1").header("x-api-key", demo_key("acme-2026"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|index| {
                let client = if index % 2 == 0 {
                    gateway.h1()
                } else {
                    gateway.h2()
                };
                let (done, answered, request) = (&done, &answered, &request);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        match client.try_send(request) {
                            Ok(response) if response.status == 200 => {
                                answered.fetch_add(1, Ordering::Relaxed)
                            }
                            Ok(response) => {
                                return Err(format!(
                                    "status {}: {}",
                                    response.status,
                                    response.text()
                                ));
                            }
                            Err(error) => return Err(error.to_string()),
                        };
                    }
                    Ok(())
                })
            })
            .collect();
        // Ends the clients also where `work` fails.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let ending = Done(&done);
        let result = work();
        drop(ending);
        for client in clients {
            client
                .join()
                .expect("a client thread ended")
                .expect("no request fails");
        }
        let answered = answered.load(Ordering::Relaxed);
        assert!(
            answered > 100,
            "only {answered} requests were answered meanwhile"
        );
        result
    })
}
