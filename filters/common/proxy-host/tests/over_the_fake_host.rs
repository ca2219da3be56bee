//! The layer over the ABI, called inside VMs of the fake host.

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::Worker;
use fake_host::{Answer, Cluster, Host};
use fetch::{Need, Outlook, Timing};
use http_message::{HeaderMap, LocalReply};
use proxy_host::foreign::{PropertyDeclaration, Span, ValueType, declare_property};
use proxy_host::metric::{Counter, Gauge, Histogram};
use proxy_host::shared_data::{self, Entry, Write};
use proxy_host::{
    Fetcher, HostError, Look, Stored, callout, clock, property, queue, random, send_local_reply,
};

/// What workers keep between their callbacks.
static FETCHERS: Mutex<Vec<Fetcher>> = Mutex::new(Vec::new());

// Insert-if-absent, compare-and-swap and an emptied key must be told apart from one another.
#[test]
fn shared_data_has_three_states() {
    let worker = Worker::start(&Host::new(), "vm");
    worker.run(|| {
        assert_eq!(shared_data::get(b"k"), Ok(None));
        assert_eq!(shared_data::set(b"k", b"1", Write::IfAbsent), Ok(true));
        assert_eq!(shared_data::set(b"k", b"2", Write::IfAbsent), Ok(false));
        let cas = shared_data::get(b"k").unwrap().unwrap().cas;
        assert_eq!(
            shared_data::set(b"k", b"", Write::IfUnchanged(cas)),
            Ok(true)
        );
        assert_eq!(
            shared_data::set(b"k", b"3", Write::IfUnchanged(cas)),
            Ok(false)
        );
        let Entry { value, cas: next } = shared_data::get(b"k").unwrap().unwrap();
        assert_eq!(value, None);
        assert_ne!(next, cas);
    });
}

// Two workers that add to one number by compare-and-swap must not lose an addition.
#[test]
fn workers_race_for_one_key() {
    const ROUNDS: u32 = 300;
    let host = Host::new();
    let add = || {
        for _ in 0..ROUNDS {
            loop {
                let entry = shared_data::get(b"n").unwrap();
                let (value, write) = match entry {
                    None => (0, Write::IfAbsent),
                    Some(entry) => {
                        let bytes: [u8; 4] = entry.value.unwrap().try_into().unwrap();
                        (u32::from_le_bytes(bytes), Write::IfUnchanged(entry.cas))
                    }
                };
                if shared_data::set(b"n", &(value + 1).to_le_bytes(), write).unwrap() {
                    break;
                }
            }
        }
    };
    let workers = [1, 2, 3].map(|_| Worker::start(&host, "limiter"));
    std::thread::scope(|scope| {
        for worker in &workers {
            scope.spawn(|| worker.run(add));
        }
    });
    let (value, _) = host.shared_data("limiter", b"n").unwrap();
    assert_eq!(value, (3 * ROUNDS).to_le_bytes());
}

// With one common name only the worker that registered last is woken: each needs a name of its own.
#[test]
fn a_queue_wakes_its_last_owner() {
    let host = Host::new();
    let (one, two) = (Worker::start(&host, "vm"), Worker::start(&host, "vm"));
    one.run(|| assert_eq!(queue::register("q"), queue::register("q")));
    two.run(|| assert!(queue::register("q").is_ok()));
    one.run(|| {
        let id = queue::resolve("vm", "q").unwrap().unwrap();
        queue::enqueue(id, b"item").unwrap();
        queue::enqueue(id, b"").unwrap();
        assert_eq!(queue::resolve("other", "q"), Ok(None));
        assert_eq!(queue::enqueue(99, b""), Err(HostError::NotFound));
    });
    assert_eq!(one.vm.deliver_queues(), 0);
    assert_eq!(two.vm.deliver_queues(), 2);
    two.run(|| {
        let id = queue::resolve("vm", "q").unwrap().unwrap();
        assert_eq!(queue::dequeue(id), Ok(Some(b"item".to_vec())));
        assert_eq!(queue::dequeue(id), Ok(Some(Vec::new())));
        assert_eq!(queue::dequeue(id), Ok(None));
        assert_eq!(queue::dequeue(99), Err(HostError::NotFound));
    });
}

// Adding nothing is refused by the host; here it is nothing.
#[test]
fn metrics_count() {
    let host = Host::new();
    Worker::start(&host, "vm").run(|| {
        let counter = Counter::define("gatehouse.c").unwrap();
        assert_eq!(counter.increment(0), Ok(()));
        assert_eq!(counter.increment(2), Ok(()));
        let gauge = Gauge::define("gatehouse.g").unwrap();
        gauge.record(5).unwrap();
        gauge.change_by(-2).unwrap();
        Histogram::define("gatehouse.h").unwrap().record(7).unwrap();
    });
    assert_eq!(host.counter("gatehouse.c"), 2);
    assert_eq!(host.counter("gatehouse.g"), 3);
    assert_eq!(host.histogram("gatehouse.h"), [7]);
}

// A test sets the time; what a filter reads must be that, on both clocks.
#[test]
fn the_clocks_are_the_hosts() {
    let host = Host::new();
    let worker = Worker::start(&host, "vm");
    let before = host.clock().monotonic();
    host.clock().set_realtime(Duration::from_secs(1_000));
    host.clock().advance(Duration::from_millis(1));
    worker.run(move || {
        assert_eq!(clock::realtime(), Duration::from_millis(1_000_001));
        assert_eq!(clock::monotonic(), before + Duration::from_millis(1));
    });
}

// Keys for hashing must not be zeros, and not the same twice; more than one call's worth must be filled.
#[test]
fn random_numbers_fill_the_buffer() {
    Worker::start(&Host::new(), "vm").run(|| {
        let (mut one, mut two) = (vec![0; 65_536 + 8], vec![0; 65_536 + 8]);
        random::fill(&mut one).unwrap();
        random::fill(&mut two).unwrap();
        assert_ne!(one, two);
        assert!(
            one.chunks(64)
                .all(|chunk| chunk.iter().any(|byte| *byte != 0))
        );
    });
}

// A line end in a reply's header would split the response; Envoy does not check.
#[test]
fn a_reply_with_a_line_end_is_refused() {
    let reply = |name: &str, value: &str| LocalReply {
        status: 403,
        details: "gatehouse_test",
        headers: HeaderMap::from_pairs([(name, value)]),
        body: Vec::new(),
        grpc_status: None,
    };
    assert_eq!(
        send_local_reply(&reply("x-a", "b\r\nset-cookie: c")),
        Err(HostError::ForbiddenByte)
    );
    assert_eq!(
        send_local_reply(&reply(":path", "/")),
        Err(HostError::ForbiddenByte)
    );
    let mut wrong_status = reply("x-a", "b");
    wrong_status.status = 100;
    assert_eq!(send_local_reply(&wrong_status), Err(HostError::BadArgument));
    let mut many = reply("x-a", "b");
    many.headers = HeaderMap::from_pairs((0..1025).map(|i| (format!("x-{i}"), "v")));
    assert_eq!(send_local_reply(&many), Err(HostError::TooLarge));
}

// Outside a stream there is no filter state; a name can be declared once.
#[test]
fn properties_need_a_stream() {
    Worker::start(&Host::new(), "vm").run(|| {
        assert_eq!(property::set("x", b"y"), Err(HostError::NotFound));
        assert_eq!(property::get(&["request", "path"]), Ok(None));
        assert_eq!(
            property::get(&["plugin_name"]),
            Ok(Some(b"worker".to_vec()))
        );
        let declaration = PropertyDeclaration {
            name: "x",
            read_only: true,
            value_type: ValueType::Bytes,
            span: Span::Request,
        };
        assert_eq!(declare_property(&declaration), Ok(()));
        assert_eq!(declare_property(&declaration), Err(HostError::BadArgument));
    });
}

// The root makes the calls that outlive a stream, and their answers come to it.
#[test]
fn the_root_makes_a_callout() {
    let host = Host::new()
        .with_cluster("idp", Cluster::Healthy)
        .with_cluster("empty", Cluster::WithoutEndpoints);
    let worker = Worker::start(&host, "vm");
    worker.run(|| {
        let head = [
            (":method", "GET"),
            (":path", "/jwks"),
            (":authority", "idp"),
        ];
        let second = Duration::from_secs(1);
        let call = |cluster, head: &[_]| callout::dispatch(cluster, head, None, second);
        assert!(call("idp", &head).is_ok());
        assert_eq!(call("idp", &head[..2]), Err(HostError::BadArgument));
        assert_eq!(call("nowhere", &head), Err(HostError::BadArgument));
        assert_eq!(call("empty", &head), Err(HostError::Internal));
    });
    let callouts = worker.vm.callouts();
    let [callout] = callouts.as_slice() else {
        panic!("one call, not {callouts:?}");
    };
    assert_eq!(callout.headers.text(":path"), Some("/jwks"));
    assert_eq!(callout.timeout, Duration::from_secs(1));
    worker
        .vm
        .answer_callout(callout.token, Answer::status(200).body("{}"));
    assert_eq!(worker.answers(), ["200 {}"]);
}

// A record that is newer than the document in use proves nothing about that document: a good token of a new key would get a 401.
#[test]
fn a_fetch_whose_document_was_not_handed_out_proves_nothing() {
    let host = Host::new();
    let (one, two) = (Worker::start(&host, "vm"), Worker::start(&host, "vm"));
    let (second, asked) = (Duration::from_secs(1), Duration::from_secs(100));
    let timing = Timing::new(2 * second, 600 * second, 3600 * second, 30 * second);
    let late = asked + 3 * second;
    one.run(move || {
        let mut leader = Fetcher::new("source", timing, 1);
        leader.look(asked).unwrap();
        assert_eq!(leader.lead(Need::Scheduled, asked), Ok(true));
        FETCHERS.lock().unwrap().push(leader);
    });
    two.run(move || {
        let mut other = Fetcher::new("source", timing, 2);
        assert_eq!(other.look(late), Ok(Look::Nothing));
        FETCHERS.lock().unwrap().push(other);
    });
    one.run(move || {
        let mut leader = FETCHERS.lock().unwrap().remove(0);
        assert_eq!(leader.store(b"keys", 0, late), Ok(Stored::Other));
    });
    two.run(move || {
        let mut other = FETCHERS.lock().unwrap().remove(0);
        let before = other.changes();
        // The lease was over when it looked; it is taken back by an answer that came late.
        assert_eq!(other.lead(Need::Scheduled, late), Ok(false));
        assert_eq!(other.outlook(asked, late), Outlook::Coming);
        assert_eq!(other.look(late), Ok(Look::Other(b"keys".to_vec())));
        let until = asked + 30 * second;
        assert_eq!(other.outlook(asked, late), Outlook::Absent { until });
        assert_ne!(other.changes(), before);
    });
}
