//! The facts, on the fake host: what it is believed to do, it does.

use std::time::Duration;

use fake_host::{
    Answer, Cluster, FailurePolicy, FilterStatus, Headers, Host, RouteView, Stream, Vm, VmOptions,
};
use probe_filter::facts::{Body, Chain, Client, Exchange, FACTS, Fact, PICKED, PLAIN, STATE};
use probe_filter::observation::Observation;
use probe_filter::script::Script;

const BACK_OFF: Duration = Duration::from_secs(1);

/// Each fact, and what is wrong with each that does not hold.
#[test]
fn every_fact_holds() {
    let wrong: Vec<_> = FACTS.iter().flat_map(run).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A name that is used twice would hide one of the two in a report.
#[test]
fn facts_have_names_of_their_own() {
    let mut names: Vec<_> = FACTS.iter().map(|fact| fact.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FACTS.len());
}

fn routes(view: &RouteView<'_>) -> Option<String> {
    let by_header = view.headers.text("x-pick") == Some("yes");
    let by_state = view
        .filter_state
        .get("envoy.string")
        .is_some_and(|state| state == b"pick");
    let name = match (by_header, by_state) {
        (true, _) => PICKED,
        (false, true) => STATE,
        (false, false) => PLAIN,
    };
    Some(name.to_owned())
}

fn run(fact: &Fact) -> Vec<String> {
    let host = Host::new()
        .with_cluster("callee", Cluster::Healthy)
        .with_routes(routes);
    let start = |name: &str| {
        let options = VmOptions::new(name, probe_filter::register)
            .config(format!("x-probe-{name}"))
            .failure_policy(FailurePolicy::Reload { base: BACK_OFF });
        host.start(options).expect("a name is a good configuration")
    };
    let vms = match fact.chain {
        Chain::One => vec![start("first")],
        Chain::Three => vec![start("first"), start("second"), start("third")],
        Chain::Workers => vec![start("first"), start("first")],
    };
    let mut wrong = Vec::new();
    for (number, exchange) in fact.exchanges.iter().enumerate() {
        let differences = take_part(&host, &vms, exchange);
        let place = format!("{} [{number}]", fact.name);
        wrong.extend(
            differences
                .into_iter()
                .map(|line| format!("{place}: {line}")),
        );
    }
    wrong
}

/// Drives one exchange and says what is not as expected.
fn take_part(host: &Host, vms: &[Vm], exchange: &Exchange) -> Vec<String> {
    if exchange.client == Client::WaitsForReload {
        host.clock().advance(BACK_OFF);
    }
    let scripts = exchange.request.iter();
    if scripts
        .clone()
        .any(|(_, value)| Script::parse(value).has("trap"))
    {
        vms[0].trap_in_next_callback();
    }
    for vm in vms {
        vm.deliver_queues();
    }
    let mut stream = open(vms, exchange);
    send_request(&mut stream, exchange.body);
    if exchange.client == Client::Leaves {
        let paused = stream.request_status() == FilterStatus::Pause;
        stream.close();
        let_go(vms);
        let unpaused = || "not paused when its client left".to_owned();
        return (!paused).then(unpaused).into_iter().collect();
    }
    while stream.request_status() == FilterStatus::Pause {
        if !let_go(vms) {
            return vec!["paused, and nothing to come".to_owned()];
        }
    }
    if stream.upstream().complete {
        send_response(&mut stream, exchange.response);
    }
    seen(&stream).differences(&exchange.expect)
}

fn open(vms: &[Vm], exchange: &Exchange) -> Stream {
    let method = match exchange.body {
        Body::None => "GET",
        Body::Chunks(_) | Body::Trailers(_) => "POST",
    };
    let pseudo = [
        (":method", method),
        (":path", "/"),
        (":authority", "probe"),
        (":scheme", "http"),
    ];
    let head = pseudo.iter().chain(exchange.request).copied();
    match vms {
        [first, second, third] => fake_host::Chain::new()
            .filter(first)
            .filter(second)
            .native()
            .filter(third)
            .request(head),
        vms => vms[exchange.worker].request(head),
    }
}

fn send_request(stream: &mut Stream, body: Body) {
    stream.request_headers(body == Body::None);
    if let Body::Chunks(chunks) | Body::Trailers(chunks) = body {
        for chunk in chunks {
            stream.request_body(chunk, false);
        }
    }
    match body {
        Body::None => FilterStatus::Continue,
        Body::Chunks(_) => stream.request_body("", true),
        Body::Trailers(_) => stream.request_trailers([("x-trailer", "yes")]),
    };
}

fn send_response(stream: &mut Stream, body: Body) {
    stream.response_headers([(":status", "200")], body == Body::None);
    if let Body::Chunks(chunks) | Body::Trailers(chunks) = body {
        for chunk in chunks {
            stream.response_body(chunk, false);
        }
    }
    match body {
        Body::None => FilterStatus::Continue,
        Body::Chunks(_) => stream.response_body("", true),
        Body::Trailers(_) => stream.response_trailers([("x-trailer", "yes")]),
    };
}

/// Everything that time would bring: answers, ticks, and what is in queues. False if there was nothing.
fn let_go(vms: &[Vm]) -> bool {
    let mut came = false;
    for vm in vms {
        for callout in vm.callouts() {
            came = true;
            vm.answer_callout(callout.token, Answer::status(200));
        }
        if vm.tick_period().is_some() {
            came = true;
            vm.tick();
        }
        came |= vm.deliver_queues() > 0;
    }
    came
}

fn seen(stream: &Stream) -> Observation {
    let (client, upstream) = (stream.client(), stream.upstream());
    Observation {
        status: client.status().unwrap_or(0),
        headers: texts(&client.headers),
        body: client.text().to_owned(),
        upstream_headers: texts(&upstream.headers),
        upstream_body: upstream.text().to_owned(),
        route: stream.route().unwrap_or_default(),
    }
}

fn texts(headers: &Headers) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}
