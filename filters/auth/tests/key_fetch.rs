//! Keys that are fetched, on the fake host: races between workers, lost leaders, late answers, streams that are gone.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use fake_host::{Answer, Callout, Cluster, FilterStatus, Host, Stream, Vm, VmOptions};
use serde_json::{Value, json};
use support::{KEYS, NOW, claims_with, config};

const SECOND: Duration = Duration::from_secs(1);
/// The lease of a fetch: the default timeout and what is added to it.
const LEASE: Duration = Duration::from_millis(2500);

/// A host with a cluster for the keys, and so many workers.
struct Gateway {
    host: Host,
    workers: Vec<Vm>,
}

fn remote(changes: Value) -> Value {
    let mut remote = json!({ "cluster": "idp", "uri": "https://idp.test/keys" });
    let Value::Object(changes) = changes else {
        panic!("an object")
    };
    remote.as_object_mut().unwrap().extend(changes);
    let mut config = config();
    config["jwt"]["providers"][0]["jwks"] = json!({ "remote": remote });
    config
}

fn gateway(config: &Value, workers: usize) -> Gateway {
    gateway_of(&vec![options(config); workers])
}

fn options(config: &Value) -> VmOptions {
    VmOptions::new("auth", gatehouse_auth::register).config(config.to_string())
}

fn gateway_of(workers: &[VmOptions]) -> Gateway {
    let host = Host::new().with_cluster("idp", Cluster::Healthy);
    host.clock().set_realtime(NOW);
    host.clock().advance(100 * SECOND);
    let start = |options: &VmOptions| {
        let options = options.clone();
        host.start(options).expect("a good configuration")
    };
    let workers = workers.iter().map(start).collect();
    Gateway { host, workers }
}

impl Gateway {
    fn tick(&self) {
        for worker in &self.workers {
            worker.tick();
        }
    }

    fn pass(&self, time: Duration) {
        self.host.clock().advance(time);
        self.tick();
    }

    /// The one callout of all workers, and the worker that made it.
    fn leader(&self) -> (&Vm, Callout) {
        let mut calls: Vec<_> = self
            .workers
            .iter()
            .flat_map(|worker| {
                worker
                    .callouts()
                    .into_iter()
                    .map(move |call| (worker, call))
            })
            .collect();
        assert_eq!(calls.len(), 1, "calls: {calls:?}");
        calls.remove(0)
    }

    fn calls(&self) -> usize {
        self.workers
            .iter()
            .map(|worker| worker.callouts().len())
            .sum()
    }

    fn answer(&self, answer: Answer) {
        let (worker, call) = self.leader();
        worker.answer_callout(call.token, answer);
    }

    /// The keys come to all workers.
    fn serve_keys(&self, keys: &Value) {
        self.answer(good(keys));
        for worker in &self.workers {
            worker.deliver_queues();
        }
    }

    fn counter(&self, name: &str) -> u64 {
        self.host.counter(&format!("gatehouse.auth.{name}"))
    }
}

fn good(keys: &Value) -> Answer {
    Answer::status(200)
        .header("content-type", "application/json")
        .body(keys.to_string())
}

/// The keys of the issuer but for those at these places.
fn keys_without(places: &[usize]) -> Value {
    let mut keys = KEYS.jwks();
    for place in places.iter().rev() {
        keys["keys"].as_array_mut().unwrap().remove(*place);
    }
    keys
}

/// A request with the token of the key at this place: RS256, ES256, EdDSA.
fn ask(worker: &Vm, place: usize) -> (Stream, FilterStatus) {
    static TOKENS: LazyLock<[String; 3]> = LazyLock::new(|| KEYS.tokens(&claims_with(json!({}))));
    ask_with(worker, &TOKENS[place])
}

fn ask_with(worker: &Vm, token: &str) -> (Stream, FilterStatus) {
    let bearer = format!("Bearer {token}");
    let mut stream = worker.request([
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api"),
        (":path", "/orders"),
        ("authorization", &bearer),
    ]);
    let status = stream.request_headers(true);
    (stream, status)
}

fn status(stream: &Stream) -> Option<u16> {
    match stream.request_status() {
        FilterStatus::Replied(reply) => Some(reply.status),
        FilterStatus::Continue => Some(200),
        _ => None,
    }
}

/// A token with an id that no key has.
fn stray_token(number: usize) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"stray-{number}"}}"#);
    support::raw_token(&header, &claims_with(json!({})).to_string())
}

// One fetch for each worker would be as many calls as there are cores, each time, from each Envoy.
#[test]
fn one_worker_fetches_and_all_have_the_keys() {
    let gateway = gateway(&remote(json!({})), 3);
    assert_eq!(gateway.calls(), 0, "nothing is called while configuring");
    gateway.tick();
    let (_, call) = gateway.leader();
    assert_eq!(call.cluster, "idp");
    assert_eq!(call.headers.text(":path"), Some("/keys"));
    assert_eq!(call.headers.text(":authority"), Some("idp.test"));
    assert_eq!(call.timeout, 2 * SECOND);
    gateway.serve_keys(&KEYS.jwks());
    for worker in &gateway.workers {
        for place in 0..3 {
            assert_eq!(ask(worker, place).1, FilterStatus::Continue);
        }
    }
    gateway.pass(10 * SECOND);
    assert_eq!((gateway.calls(), gateway.counter("jwks_fetches")), (0, 1));
    assert_eq!(gateway.counter("jwks_keys"), 3);
    assert_eq!(gateway.counter("jwks_age_seconds"), 10);
    assert_eq!(gateway.counter("jwks_waited"), 0);
}

// Whoever asks before the keys are there is neither let in nor refused; and is told as soon as they come, on every worker.
#[test]
fn requests_wait_and_are_decided_again() {
    let gateway = gateway(&remote(json!({})), 2);
    let waiting: Vec<_> = (0..40)
        .map(|number| ask(&gateway.workers[number % 2], number % 3).0)
        .collect();
    let (forged, _) = ask_with(&gateway.workers[1], &{
        let mut claims = claims_with(json!({}));
        claims["iss"] = support::ISSUER.into();
        support::raw_token(r#"{"alg":"RS256","kid":"rs"}"#, &claims.to_string())
    });
    assert!(waiting.iter().all(|stream| status(stream).is_none()));
    assert_eq!(
        gateway.workers[0].tick_period(),
        Some(Duration::from_millis(5))
    );
    gateway.tick();
    assert_eq!(gateway.counter("jwks_fetches"), 1);
    gateway.serve_keys(&KEYS.jwks());
    assert!(waiting.iter().all(|stream| status(stream) == Some(200)));
    for stream in &waiting {
        let upstream = stream.upstream().headers;
        assert_eq!(upstream.text("x-user"), Some("alice"));
        assert_eq!(upstream.text("authorization"), None);
    }
    assert_eq!(status(&forged), Some(401));
    gateway.tick();
    assert_eq!(gateway.workers[0].tick_period(), Some(SECOND));
    assert_eq!(gateway.counter("jwks_waited"), 41);
    assert_eq!(gateway.counter("allowed"), 40);
    assert_eq!(gateway.counter("denied"), 1);
}

// A wake-up that is lost must cost milliseconds, not the deadline.
#[test]
fn a_tick_does_what_a_lost_queue_item_would_have_done() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.tick();
    let waiting: Vec<_> = gateway
        .workers
        .iter()
        .map(|worker| ask(worker, 0).0)
        .collect();
    gateway.answer(good(&KEYS.jwks()));
    gateway.tick();
    assert!(waiting.iter().all(|stream| status(stream) == Some(200)));
}

// Where Pause in headers lets the body callbacks run (`allow_on_headers_stop_iteration`), one of them that continues lets the whole
// request go, undecided, with the client's own identity headers.
#[test]
fn neither_body_nor_trailers_pull_a_waiting_request_through() {
    let worker = options(&remote(json!({}))).allow_stop_iteration();
    let gateway = gateway_of(&[worker]);
    let [token, ..] = KEYS.tokens(&claims_with(json!({})));
    let post = |token: &str| {
        let bearer = format!("Bearer {token}");
        let mut stream = gateway.workers[0].request([
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "api"),
            (":path", "/orders"),
            ("authorization", &bearer),
            ("x-user", "root"),
        ]);
        assert_eq!(stream.request_headers(false), FilterStatus::Pause);
        stream
    };
    let forged = support::raw_token(
        r#"{"alg":"RS256","kid":"rs"}"#,
        &claims_with(json!({})).to_string(),
    );
    let mut streams = [post(&token), post(&token), post(&forged)];
    for (number, stream) in streams.iter_mut().enumerate() {
        assert_eq!(stream.request_body("some", false), FilterStatus::Pause);
        let end = match number {
            0 => stream.request_body("thing", true),
            _ => stream.request_trailers([("x-user", "root"), ("x-checksum", "abc")]),
        };
        assert_eq!(end, FilterStatus::Pause);
        assert!(!stream.upstream().started, "undecided");
    }
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    for (number, stream) in streams[..2].iter().enumerate() {
        let upstream = stream.upstream();
        assert_eq!(upstream.headers.text("x-user"), Some("alice"));
        assert_eq!(upstream.headers.text("authorization"), None);
        assert_eq!(upstream.text(), ["something", "some"][number]);
        assert_eq!(upstream.trailers.text("x-user"), None);
        assert_eq!(
            upstream.trailers.text("x-checksum"),
            [None, Some("abc")][number]
        );
        assert!(upstream.complete);
    }
    assert_eq!(status(&streams[2]), Some(401));
    assert!(!streams[2].upstream().started);
    // One that waits again, for a key that is not in the set.
    gateway.pass(SECOND);
    let mut later = post(&stray_token(0));
    assert_eq!(later.request_body("some", false), FilterStatus::Pause);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&later), Some(401));
    assert!(!later.upstream().started);
    // The body of a request that has not waited goes on.
    let mut stream = gateway.workers[0].request([
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "api"),
        (":path", "/orders"),
        ("authorization", &format!("Bearer {token}")),
    ]);
    assert_eq!(stream.request_headers(false), FilterStatus::Continue);
    assert_eq!(stream.request_body("some", false), FilterStatus::Continue);
    assert_eq!(stream.request_body("thing", true), FilterStatus::Continue);
    assert_eq!(stream.upstream().text(), "something");
}

// Whatever becomes of the fetch, no request waits past its deadline, and none gets in without its keys.
#[test]
fn everyone_is_answered_by_the_deadline() {
    let gateway = gateway(&remote(json!({ "wait": "3s" })), 2);
    let (stream, _) = ask(&gateway.workers[0], 0);
    gateway.tick();
    gateway.answer(Answer::timed_out());
    gateway.pass(2 * SECOND);
    let (later, _) = ask(&gateway.workers[1], 1);
    assert_eq!(status(&stream), None);
    gateway.pass(SECOND);
    assert_eq!(status(&stream), Some(503));
    assert!(stream.upstream().headers.text(":path").is_none());
    assert_eq!(status(&later), None);
    gateway.pass(2 * SECOND);
    assert_eq!(status(&later), Some(503));
    assert_eq!(gateway.counter("reason.keys_unavailable"), 2);
    assert!(gateway.counter("jwks_failures") >= 1);
}

#[test]
fn a_failed_fetch_is_tried_again_and_more_and_more_seldom() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.tick();
    let mut times = Vec::new();
    for _ in 0..5 {
        gateway.answer(Answer::status(500));
        let mut waited = Duration::ZERO;
        while gateway.calls() == 0 {
            waited += Duration::from_millis(100);
            gateway.pass(Duration::from_millis(100));
        }
        times.push(waited);
    }
    for (index, waited) in times.iter().enumerate() {
        // Nothing was fetched yet: no longer than four seconds.
        let most = SECOND * 2_u32.pow(u32::try_from(index).unwrap()).min(4);
        assert!(
            *waited >= most / 2 && *waited <= most + SECOND / 10,
            "{times:?}"
        );
    }
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(ask(&gateway.workers[1], 0).1, FilterStatus::Continue);
}

// What answers in the issuer's place (a proxy's page, a login form, half a document) must not cost the keys that are there.
#[test]
fn bad_answers_leave_the_last_good_set_in_use() {
    let gateway = gateway(&remote(json!({ "refresh": "10s", "max_bytes": "4KiB" })), 2);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    let json = |body: &str| {
        Answer::status(200)
            .header("content-type", "application/json")
            .body(body)
    };
    let whole = KEYS.jwks().to_string();
    for bad in [
        Answer::status(500),
        Answer::status(404),
        Answer::status(302).header("location", "https://elsewhere.test/"),
        Answer::nothing(),
        Answer::refused(),
        Answer::timed_out(),
        Answer::status(200)
            .header("content-type", "text/html")
            .body("<html>"),
        Answer::status(200).body(&whole),
        json(&whole[..whole.len() / 2]),
        json(r#"{"keys":[]}"#),
        json(&"x".repeat(64 << 10)),
    ] {
        while gateway.calls() == 0 {
            gateway.pass(SECOND);
        }
        let failures = gateway.counter("jwks_failures");
        gateway.answer(bad);
        assert_eq!(gateway.counter("jwks_failures"), failures + 1);
        for worker in &gateway.workers {
            assert_eq!(ask(worker, 0).1, FilterStatus::Continue);
        }
    }
}

#[test]
fn keys_too_old_are_not_used() {
    let gateway = gateway(
        &remote(json!({ "refresh": "10s", "max_stale": "60s", "wait": "3s" })),
        2,
    );
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    for _ in 0..59 {
        gateway.pass(SECOND);
        assert_eq!(ask(&gateway.workers[0], 0).1, FilterStatus::Continue);
        if gateway.calls() > 0 {
            gateway.answer(Answer::status(503));
        }
    }
    gateway.pass(2 * SECOND);
    let (stream, _) = ask(&gateway.workers[0], 0);
    assert_eq!(
        status(&stream),
        None,
        "the token was verified before, and waits all the same"
    );
    while gateway.calls() == 0 {
        gateway.pass(SECOND / 2);
    }
    // The very same document makes them good again.
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(ask(&gateway.workers[1], 1).1, FilterStatus::Continue);
}

// Another configuration fetches from there too, takes what this one does not, and keeps the fetches succeeding: the keys that this
// one has left are not published any more, and must not outlive their time.
#[test]
fn keys_too_old_are_not_used_though_another_configuration_fetches() {
    let limits = |changes: Value| {
        let mut limits = json!({ "refresh": "10s", "max_stale": "60s", "wait": "3s" });
        limits
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        options(&remote(limits))
    };
    let gateway = gateway_of(&[limits(json!({})), limits(json!({ "max_keys": 2 }))]);
    let [lax, strict] = &gateway.workers[..] else {
        panic!("two of them")
    };
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    assert_eq!(ask(strict, 0).1, FilterStatus::Continue);
    let mut left = None;
    for second in 0..75 {
        gateway.pass(SECOND);
        if gateway.calls() > 0 {
            gateway.serve_keys(&KEYS.jwks());
        }
        assert_eq!(ask(lax, 0).1, FilterStatus::Continue, "{second}");
        if left.is_none() && ask(strict, 0).1 != FilterStatus::Continue {
            left = Some(second);
        }
    }
    assert!(
        left.is_some_and(|second| (50..=62).contains(&second)),
        "{left:?}"
    );
    // It cannot know whether the keys that it does not take have this one.
    gateway.pass(SECOND);
    let (stream, _) = ask(strict, 1);
    gateway.pass(3 * SECOND);
    assert_eq!(status(&stream), Some(503));
    gateway.pass(10 * SECOND);
    gateway.serve_keys(&keys_without(&[0]));
    assert_eq!(ask(strict, 1).1, FilterStatus::Continue);
}

// The lease must not outlive the leader: nobody would ever fetch again.
#[test]
fn a_leader_that_traps_is_followed_by_another() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.tick();
    let (leader, _) = gateway.leader();
    leader.trap();
    let other = gateway
        .workers
        .iter()
        .find(|worker| worker.is_alive())
        .unwrap();
    let (stream, _) = ask(other, 0);
    gateway.pass(LEASE - SECOND / 10);
    assert_eq!(gateway.calls(), 0, "the lease is not over");
    gateway.pass(SECOND / 10);
    assert_eq!(gateway.calls(), 1);
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&stream), Some(200));
}

// The document is written, the record is not, and the follower fetches the very same bytes: were the record to keep the old number,
// no worker would look, the new key would be unknown and the old one good until the issuer publishes something else.
#[test]
fn a_leader_that_traps_between_its_writes_hides_nothing() {
    for before in [None, Some(keys_without(&[1]))] {
        let gateway = gateway(&remote(json!({ "refresh": "10s" })), 3);
        gateway.tick();
        if let Some(before) = &before {
            gateway.serve_keys(before);
            while gateway.calls() == 0 {
                gateway.pass(SECOND);
            }
        }
        let after = keys_without(&[0]);
        let (leader, _) = gateway.leader();
        leader.trap_after_writes(1);
        gateway.answer(good(&after));
        assert!(!leader.is_alive());
        gateway.pass(LEASE);
        gateway.serve_keys(&after);
        for worker in gateway.workers.iter().filter(|worker| worker.is_alive()) {
            assert_eq!(ask(worker, 1).1, FilterStatus::Continue, "{before:?}");
            assert_ne!(ask(worker, 0).1, FilterStatus::Continue, "{before:?}");
        }
    }
}

// An answer that comes after the lease, by a leader that was only slow, must not undo what its follower has fetched.
#[test]
fn a_late_answer_changes_nothing() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.workers[0].tick();
    let late = gateway.workers[0].callouts().remove(0);
    gateway.host.clock().advance(LEASE);
    gateway.workers[1].tick();
    let call = gateway.workers[1].callouts().remove(0);
    gateway.workers[1].answer_callout(call.token, good(&KEYS.jwks()));
    gateway.workers[0].answer_callout(late.token, good(&keys_without(&[0])));
    gateway.pass(SECOND);
    for worker in &gateway.workers {
        worker.deliver_queues();
        assert_eq!(ask(worker, 0).1, FilterStatus::Continue);
    }
    assert_eq!(gateway.calls(), 0);
}

// Workers that look in the same moment: the swap lets one through, however often it is disturbed.
#[test]
fn writes_of_others_do_not_break_the_lease() {
    for disturbed in [1, 5, 31] {
        let gateway = gateway(&remote(json!({})), 2);
        gateway.tick();
        gateway.host.outrun(disturbed);
        gateway.answer(good(&KEYS.jwks()));
        gateway.host.outrun(0);
        gateway.tick();
        assert_eq!(ask(&gateway.workers[0], 0).1, FilterStatus::Continue);
        assert_eq!(ask(&gateway.workers[1], 0).1, FilterStatus::Continue);
    }
}

// Real races, on threads: whatever the order, one call.
#[test]
fn of_many_workers_that_tick_at_once_one_leads() {
    for _ in 0..20 {
        let gateway = gateway(&remote(json!({})), 4);
        std::thread::scope(|scope| {
            for worker in &gateway.workers {
                scope.spawn(move || worker.tick());
            }
        });
        assert_eq!(gateway.calls(), 1);
    }
}

// What the host does in a stream's name that is gone happens to another client's request.
#[test]
fn a_stream_that_is_gone_is_not_touched() {
    let gateway = gateway(&remote(json!({})), 1);
    let (mut gone, _) = ask(&gateway.workers[0], 0);
    let (stays, _) = ask(&gateway.workers[0], 1);
    gateway.tick();
    gone.close();
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&stays), Some(200));
    assert_eq!(gateway.counter("allowed"), 1);
    assert!(gone.upstream().headers.text("x-user").is_none());
}

// A client that makes up key ids must not make the gateway call the issuer each time, nor hold the others up.
#[test]
fn a_flood_of_made_up_ids_is_one_fetch_a_cool_down() {
    let gateway = gateway(&remote(json!({ "refresh": "24h" })), 2);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    gateway.pass(SECOND);
    let mut waiting: Vec<(usize, Stream)> = Vec::new();
    // 100 seconds: three cool-downs and a bit.
    for number in 0..1_000 {
        let worker = &gateway.workers[number % 2];
        let (stream, _) = ask_with(worker, &stray_token(number));
        waiting.push((number, stream));
        gateway.tick();
        if gateway.calls() > 0 {
            gateway.serve_keys(&KEYS.jwks());
        }
        gateway.pass(SECOND / 10);
        assert_eq!(ask(worker, number % 3).1, FilterStatus::Continue);
        waiting.retain(|(began, stream)| match status(stream) {
            None => {
                assert!(number - began <= 51, "{began} waits at {number}");
                true
            }
            status => {
                assert!(matches!(status, Some(401 | 503)), "{began}: {status:?}");
                false
            }
        });
    }
    assert_eq!(gateway.counter("jwks_fetches"), 1 + 4);
}

// What a fetch has not brought is no reason to fetch again at once; nor is it a reason to refuse for longer than a fetch is kept off.
#[test]
fn an_id_that_is_not_there_is_remembered_for_one_cool_down() {
    let gateway = gateway(&remote(json!({})), 1);
    let worker = &gateway.workers[0];
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    gateway.pass(SECOND);
    let (early, _) = ask(worker, 1);
    gateway.tick();
    gateway.pass(SECOND);
    gateway.serve_keys(&keys_without(&[1]));
    assert_eq!(status(&early), Some(401));
    // It is published now. The fetch for it began a second before its answer came.
    gateway.pass(28 * SECOND);
    assert_eq!(status(&ask(worker, 1).0), Some(401));
    assert_eq!(gateway.calls(), 0);
    gateway.pass(SECOND);
    let (after, _) = ask(worker, 1);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&after), Some(200));
    assert_eq!(gateway.counter("jwks_fetches"), 3);
}

// Somebody who makes up an id uses up the fetch. The token of a key that was published since is good: a 401 would be false.
#[test]
fn a_new_key_is_not_refused_because_a_stray_one_was_asked_for() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    gateway.pass(SECOND);
    let (stray, _) = ask_with(&gateway.workers[0], &stray_token(0));
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    assert_eq!(status(&stray), Some(401));
    gateway.pass(SECOND);
    // Further from the next fetch than it may wait: told so at once.
    for worker in &gateway.workers {
        assert_eq!(status(&ask(worker, 1).0), Some(503));
    }
    gateway.pass(25 * SECOND);
    let waiting: Vec<_> = gateway
        .workers
        .iter()
        .map(|worker| ask(worker, 1).0)
        .collect();
    let (other, _) = ask_with(&gateway.workers[1], &stray_token(1));
    gateway.pass(3 * SECOND);
    assert!(waiting.iter().all(|stream| status(stream).is_none()));
    assert_eq!(gateway.calls(), 0, "no more often for waiting");
    gateway.pass(SECOND);
    gateway.serve_keys(&KEYS.jwks());
    assert!(waiting.iter().all(|stream| status(stream) == Some(200)));
    assert_eq!(status(&other), Some(401));
    assert_eq!(gateway.counter("jwks_fetches"), 3);
    assert_eq!(gateway.counter("reason.keys_unavailable"), 2);
}

// With a cool-down no longer than the wait nobody with a good token is told anything but yes, whatever others make up.
#[test]
fn a_short_cool_down_refuses_no_good_token() {
    let gateway = gateway(&remote(json!({ "cool_down": "2s", "refresh": "24h" })), 2);
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    gateway.pass(SECOND);
    let (stray, _) = ask_with(&gateway.workers[0], &stray_token(0));
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    assert_eq!(status(&stray), Some(401));
    gateway.pass(SECOND / 10);
    let mut good_ones = Vec::new();
    for number in 0..40 {
        let _ = ask_with(&gateway.workers[0], &stray_token(number));
        good_ones.push(ask(&gateway.workers[number % 2], 1).0);
        gateway.pass(SECOND / 10);
        if gateway.calls() > 0 {
            gateway.serve_keys(&KEYS.jwks());
        }
    }
    gateway.tick();
    assert!(good_ones.iter().all(|stream| status(stream) == Some(200)));
}

// Without it, callers with tokens of a new key get a 401 until the next refresh, for minutes.
#[test]
fn a_new_key_is_fetched_when_its_first_token_comes() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    gateway.pass(SECOND);
    let waiting: Vec<_> = gateway
        .workers
        .iter()
        .map(|worker| ask(worker, 1).0)
        .collect();
    assert_eq!(ask(&gateway.workers[0], 0).1, FilterStatus::Continue);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    assert!(waiting.iter().all(|stream| status(stream) == Some(200)));
    assert_eq!(gateway.counter("jwks_fetches"), 2);
}

// A fetch that began before the key was published says nothing of it: another one is made before anybody is refused.
#[test]
fn a_fetch_that_was_under_way_does_not_refuse_a_new_key() {
    let gateway = gateway(&remote(json!({ "refresh": "10s" })), 2);
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    while gateway.calls() == 0 {
        gateway.pass(SECOND);
    }
    gateway.host.clock().advance(SECOND / 10);
    let (stream, _) = ask(&gateway.workers[0], 1);
    gateway.serve_keys(&keys_without(&[1]));
    gateway.tick();
    assert_eq!(status(&stream), None);
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&stream), Some(200));
}

// Where the issuer cannot be asked, a new key's token is not called bad: nobody knows.
#[test]
fn an_unknown_key_is_not_refused_while_the_issuer_is_down() {
    let gateway = gateway(&remote(json!({ "wait": "3s" })), 1);
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    gateway.pass(SECOND);
    let (stream, _) = ask(&gateway.workers[0], 1);
    gateway.tick();
    gateway.answer(Answer::refused());
    gateway.tick();
    assert_eq!(status(&stream), None);
    gateway.pass(3 * SECOND);
    assert_eq!(status(&stream), Some(503));
}

// While the issuer is down, the next try may be a minute off. Who waits for it all the same waits for nothing, and keeps the place of
// somebody for whom keys come in time.
#[test]
fn nobody_waits_for_a_try_that_comes_too_late() {
    let gateway = gateway(&remote(json!({ "refresh": "20s", "wait": "3s" })), 1);
    let worker = &gateway.workers[0];
    gateway.tick();
    gateway.serve_keys(&keys_without(&[1]));
    let next_call = || {
        while gateway.calls() == 0 {
            gateway.pass(SECOND / 10);
        }
    };
    next_call();
    gateway.answer(Answer::refused());
    // Half a second to a second from the next try.
    let (early, _) = ask(worker, 1);
    assert_eq!(status(&early), None);
    for _ in 0..3 {
        next_call();
        gateway.answer(Answer::refused());
    }
    // Four seconds at least.
    assert_eq!(status(&ask(worker, 1).0), Some(503));
    next_call();
    let (during, _) = ask(worker, 1);
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&during), Some(200));
}

// A token that was verified before its key was withdrawn would stay good until it expires.
#[test]
fn a_key_that_leaves_the_set_leaves_the_token_cache_at_once() {
    let gateway = gateway(&remote(json!({ "refresh": "10s" })), 2);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    for worker in &gateway.workers {
        assert_eq!(ask(worker, 0).1, FilterStatus::Continue);
        assert_eq!(ask(worker, 2).1, FilterStatus::Continue);
    }
    while gateway.calls() == 0 {
        gateway.pass(SECOND);
    }
    gateway.serve_keys(&keys_without(&[0]));
    for worker in &gateway.workers {
        assert_ne!(ask(worker, 0).1, FilterStatus::Continue);
        assert_eq!(ask(worker, 2).1, FilterStatus::Continue);
    }
}

// A reload must not cost the keys, nor hold those who wait on the configuration before it.
#[test]
fn a_new_configuration_finds_the_keys_and_the_old_one_ends_its_waits() {
    let gateway = gateway(&remote(json!({})), 1);
    let worker = &gateway.workers[0];
    let (old, _) = ask(worker, 0);
    worker.tick();
    let config = remote(json!({ "cool_down": "10s" })).to_string();
    worker.reconfigure(&config).unwrap();
    let (new, _) = ask(worker, 1);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    gateway.tick();
    assert_eq!((status(&old), status(&new)), (Some(200), Some(200)));
    worker.reconfigure(remote(json!({})).to_string()).unwrap();
    gateway.tick();
    assert_eq!(ask(worker, 2).1, FilterStatus::Continue);
    assert_eq!(gateway.counter("jwks_fetches"), 1);
}

#[test]
fn keys_of_discovery_come_in_two_steps() {
    let mut config = config();
    config["jwt"]["providers"][0]["jwks"] = json!({ "discovery": { "cluster": "idp" } });
    let gateway = gateway(&config, 2);
    let (stream, _) = ask(&gateway.workers[0], 0);
    gateway.tick();
    let (_, call) = gateway.leader();
    assert_eq!(
        call.headers.text(":path"),
        Some("/.well-known/openid-configuration")
    );
    gateway.host.clock().advance(SECOND);
    gateway.answer(good(
        &json!({ "issuer": support::ISSUER, "jwks_uri": format!("{}/keys", support::ISSUER) }),
    ));
    let (_, call) = gateway.leader();
    assert_eq!(call.headers.text(":path"), Some("/keys"));
    assert_eq!(
        call.timeout, SECOND,
        "both calls together take no longer than one fetch may"
    );
    gateway.serve_keys(&KEYS.jwks());
    assert_eq!(status(&stream), Some(200));
    assert_eq!(gateway.counter("jwks_fetches"), 1);
}

#[test]
fn discovery_of_another_issuer_brings_no_keys() {
    let mut config = config();
    config["jwt"]["providers"][0]["jwks"] =
        json!({ "discovery": { "cluster": "idp", "wait": "3s" } });
    let gateway = gateway(&config, 1);
    let (stream, _) = ask(&gateway.workers[0], 0);
    gateway.tick();
    gateway.answer(good(
        &json!({ "issuer": "https://other.test", "jwks_uri": format!("{}/keys", support::ISSUER) }),
    ));
    assert_eq!(gateway.calls(), 0);
    gateway.pass(3 * SECOND);
    assert_eq!(status(&stream), Some(503));
}

// A cluster that is missing, or has no endpoint, is a failure like any other.
#[test]
fn a_call_that_cannot_be_made_is_a_failed_fetch() {
    for cluster in [None, Some(Cluster::WithoutEndpoints)] {
        let config = remote(json!({ "cluster": "other" }));
        let gateway = gateway(&config, 2);
        if let Some(cluster) = cluster {
            let _ = gateway.host.clone().with_cluster("other", cluster);
        }
        gateway.tick();
        gateway.tick();
        assert_eq!(gateway.counter("jwks_fetches"), 1);
        assert_eq!(gateway.counter("jwks_failures"), 1);
    }
}

// What is shared is a fixed set of keys, however long it runs and whatever clients send.
#[test]
fn shared_data_does_not_grow() {
    let gateway = gateway(&remote(json!({ "refresh": "10s", "cool_down": "1s" })), 2);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    let before = gateway.host.shared_keys("auth");
    for number in 0..200 {
        let _ = ask_with(&gateway.workers[number % 2], &stray_token(number));
        gateway.pass(SECOND);
        if gateway.calls() > 0 {
            gateway.serve_keys(&KEYS.jwks());
        }
    }
    assert_eq!(gateway.host.shared_keys("auth"), before);
    assert_eq!(before.len(), 3);
}

// One line for each key: an operator sees which one and why, and no line shows a key.
#[test]
fn unusable_keys_are_logged_one_by_one() {
    let gateway = gateway(&remote(json!({})), 2);
    gateway.tick();
    let mut keys = KEYS.jwks();
    let list = keys["keys"].as_array_mut().unwrap();
    list.push(json!({ "kty": "RSA", "kid": "short", "n": "3ZWrUY0Y6IKN1qI4BhxR2C7oHVFgGPYkd38uGq1jQNSqEvJFcN93CYm16_G78FAFKWqwsJb3Wx-nbxDn6LtP4A", "e": "AQAB" }));
    let twin = list[0].clone();
    list.push(twin);
    gateway.serve_keys(&keys);
    let lines: Vec<_> = gateway
        .workers
        .iter()
        .flat_map(Vm::logs)
        .filter(|line| line.text.contains("key refused"))
        .map(|line| line.text)
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("jwks provider=main key refused: keys["))
    );
    assert_ne!(
        ask(&gateway.workers[0], 0).1,
        FilterStatus::Continue,
        "either of the twins"
    );
    assert_eq!(ask(&gateway.workers[0], 1).1, FilterStatus::Continue);
}

// More requests than may wait are told so at once; those that wait are not hurt.
#[test]
fn there_is_an_end_to_waiting() {
    let gateway = gateway(&remote(json!({})), 1);
    let worker = &gateway.workers[0];
    let waiting: Vec<_> = (0..4096).map(|_| ask(worker, 2).0).collect();
    let (refused, _) = ask(worker, 2);
    assert_eq!(status(&refused), Some(503));
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    let mut ticks = 0;
    while waiting.iter().any(|stream| status(stream).is_none()) {
        gateway.tick();
        ticks += 1;
        assert!(ticks < 100);
    }
    assert!(waiting.iter().all(|stream| status(stream) == Some(200)));
    assert!(ticks > 10, "they are not all decided in one callback");
}

// Memory that a VM has taken it never gives back: large heads must not take more of it for being few.
#[test]
fn there_is_an_end_to_what_waiting_takes() {
    let gateway = gateway(&remote(json!({})), 1);
    let worker = &gateway.workers[0];
    let [token, ..] = KEYS.tokens(&claims_with(json!({})));
    let (bearer, large) = (format!("Bearer {token}"), "x".repeat(60 << 10));
    let ask_largely = || {
        let mut stream = worker.request([
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "api"),
            (":path", "/orders"),
            ("authorization", &bearer),
            ("x-large", &large),
        ]);
        stream.request_headers(true);
        stream
    };
    let (waiting, refused): (Vec<_>, Vec<_>) = (0..300)
        .map(|_| ask_largely())
        .partition(|stream| status(stream).is_none());
    assert!(
        (250..=(16 << 10) / 60).contains(&waiting.len()),
        "{}",
        waiting.len()
    );
    assert!(refused.iter().all(|stream| status(stream) == Some(503)));
    let crowded = u64::try_from(refused.len()).unwrap();
    assert_eq!(gateway.counter("jwks_crowded"), crowded);
    gateway.tick();
    gateway.serve_keys(&KEYS.jwks());
    while waiting.iter().any(|stream| status(stream).is_none()) {
        gateway.tick();
    }
    assert!(waiting.iter().all(|stream| status(stream) == Some(200)));
    // What has left makes room.
    gateway.pass(SECOND);
    let (later, _) = ask_with(worker, &stray_token(0));
    assert_eq!(status(&later), None);
}
