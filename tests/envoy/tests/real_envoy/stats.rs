//! The listener that Prometheus asks.

use envoy_harness::{Bootstrap, Gateway, Protocol, Read, Request};
use upstreams::Echo;

/// The pages of the admin interface that it leads to.
const PAGES: [&str; 2] = ["/stats/prometheus", "/ready"];

/// A replica stands in for the admin interface, and says what it was sent. Without it whoever may read the counters could
/// also read the configuration with its keys, or end Envoy.
#[test]
fn nothing_but_two_pages_leads_to_the_admin_interface() {
    let mut bootstrap = Bootstrap::chain();
    bootstrap.cluster_mut("admin")["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        ["address"]["socket_address"]["address"] = "users-1".into();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let listener = gateway.envoy().listener("stats").expect("the listener");
    let client = envoy_harness::Client::plain(listener, Protocol::H1);
    let ask = |method: &str, target: &str| {
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: stats\r\nconnection: close\r\n\r\n");
        let answer = client.raw(request.as_bytes(), Read::ToTheEnd);
        let text = answer.text();
        let echo = text.find('{').map(|at| {
            serde_json::from_str::<Echo>(text[at..].trim_end())
                .unwrap_or_else(|error| panic!("{method} {target}: {error}: {text}"))
        });
        (answer.status(), echo)
    };

    for (method, target) in [
        ("GET", "/"),
        ("GET", "/stats"),
        ("GET", "/stats/"),
        ("GET", "/stats?format=prometheus"),
        ("GET", "/stats/prometheus/"),
        ("GET", "/stats/prometheus/x"),
        ("GET", "/stats/prometheus/../../config_dump"),
        ("GET", "/stats/prometheus/%2e%2e/%2e%2e/config_dump"),
        ("GET", "/stats%2fprometheus"),
        ("GET", "/stats/Prometheus"),
        ("GET", "/ready/"),
        ("GET", "/ready/../quitquitquit"),
        ("GET", "/ready;/config_dump"),
        ("GET", "//ready"),
        ("GET", "/config_dump"),
        ("GET", "/certs"),
        ("GET", "/clusters"),
        ("GET", "/server_info"),
        ("GET", "http://stats/config_dump"),
        ("POST", "/quitquitquit"),
        ("POST", "/logging?level=trace"),
        ("POST", "/reset_counters"),
        ("POST", "/ready"),
        ("POST", "/stats/prometheus"),
        ("DELETE", "/ready"),
        ("HEAD", "/ready"),
        ("CONNECT", "127.0.0.1:9901"),
    ] {
        let (status, echo) = ask(method, target);
        assert!(
            matches!(status, Some(400 | 404)) && echo.is_none(),
            "{method} {target}: {status:?} {echo:?}"
        );
    }

    for page in PAGES {
        for target in [
            page.to_owned(),
            format!("{page}?usedonly"),
            format!("/x/..{page}"),
        ] {
            let (status, echo) = ask("GET", &target);
            let echo = echo.unwrap_or_else(|| panic!("{target}: {status:?}"));
            assert_eq!((status, echo.method.as_str()), (Some(200), "GET"));
            assert_eq!(echo.path.split('?').next(), Some(page), "{target}");
        }
    }
    let request = Request::get("/ready");
    let h2 = envoy_harness::Client::plain(listener, Protocol::H2);
    assert_eq!(h2.send(&request).echo().path, "/ready");
}
