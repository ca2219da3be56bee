//! Loading a plugin, and changing its configuration while it serves.

mod common;

use common::{probe, script};
use fake_host::{FilterStatus, Host};

// A refused configuration must be an error with the plugin's own words in it.
#[test]
fn a_refused_configuration_says_why() {
    let refused = Host::new().start(probe("probe").config("")).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("[error] the configuration is the name of a request header"),
        "{text}"
    );
}

// A refused update leaves the old configuration serving; an accepted one is for new streams only.
#[test]
fn an_update_is_for_new_streams() {
    let vm = Host::new().start(probe("probe")).unwrap();
    assert!(vm.reconfigure("").is_err());
    let asks = "request-headers: pause | tick: continue-request go";
    let mut old = vm.request(script(asks));
    assert_eq!(old.request_headers(true), FilterStatus::Pause);
    vm.reconfigure("x-other").unwrap();
    assert_eq!(
        vm.request(script(asks)).request_headers(true),
        FilterStatus::Continue
    );
    vm.tick();
    assert_eq!(old.request_status(), FilterStatus::Continue);
    assert_eq!(vm.loads(), 1);
}

// What a filter does where Envoy lacks a function can only be tried on a host without it.
#[test]
fn a_foreign_function_can_be_missing() {
    for (host, expected) in [
        (Host::new(), "yes"),
        (Host::new().without_foreign("verify_signature"), "no"),
    ] {
        let vm = host.start(probe("probe")).unwrap();
        let mut stream = vm.request(script("request-headers: verify v"));
        stream.request_headers(true);
        stream.response_headers([(":status", "200")], true);
        assert_eq!(stream.client().headers.text("x-probe-v"), Some(expected));
    }
}

// Envoy's log level changes at run time; lines below it must not be written.
#[test]
fn the_log_level_is_followed() {
    let host = Host::new();
    let vm = host.start(probe("probe")).unwrap();
    let verify = || {
        vm.forget();
        vm.request(script("request-headers: verify v"))
            .request_headers(true);
        vm.logs().len()
    };
    assert_eq!(verify(), 1);
    host.set_log_level(3);
    assert_eq!(verify(), 0);
    host.set_log_level(2);
    assert_eq!(verify(), 1);
}
