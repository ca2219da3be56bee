//! An answer that is larger than anybody would hold.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use envoy_harness::Gateway;

use super::{load_assignment, single};

/// Resident memory of a process in KiB, now or at most.
pub(super) fn memory(process: u32, member: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(member))
        .expect("a line");
    line.trim_matches(|letter: char| !letter.is_ascii_digit())
        .parse()
        .expect("a number")
}

/// Sends one answer of so many pieces, all but the first only once it is told that the first has arrived.
fn drip(listener: &TcpListener, pieces: usize, piece: &str, go: &mpsc::Receiver<()>) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        request.extend(byte);
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("a reader");
    let mut send = |text: &str| write!(stream, "{:x}\r\n{text}\r\n", text.len()).expect("a reader");
    send("{\"customers\": [{\"email\": \"a@b.test\"}");
    go.recv().expect("the first byte arrived");
    for _ in 0..pieces {
        send(piece);
    }
    send("]}");
    stream.write_all(b"0\r\n\r\n").expect("a reader");
}

// An answer that is held until it is whole takes as much memory as an upstream cares to send.
#[test]
fn a_large_answer_streams_through_in_flat_memory() {
    const MIB: usize = 200;
    let member = format!(
        ", {{\"email\": \"secret@b.test\", \"text\": \"{}\"}}",
        "x".repeat(960)
    );
    let piece = member.repeat((1 << 20) / member.len());
    let (to_drip, go) = mpsc::channel();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut bootstrap = single(load_assignment(address), false);
    // By default Envoy ends an answer that takes longer than 15 s, as it may on a busy machine.
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        ["timeout"] = "0s".into();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let process = gateway.envoy().process_id();
    std::thread::scope(|scope| {
        scope.spawn({
            let (listener, piece) = (&listener, piece.as_str());
            move || drip(listener, MIB, piece, &go)
        });
        let before = memory(process, "VmRSS:");
        let mut client = TcpStream::connect(gateway.h1().address()).expect("Envoy listens");
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket takes a deadline");
        client
            .write_all(b"GET /customers HTTP/1.1\r\nhost: users.test\r\nconnection: close\r\n\r\n")
            .expect("Envoy reads");
        let (mut total, mut tail, mut chunk) = (0usize, Vec::new(), vec![0; 1 << 16]);
        let (mut seen_body, mut leaked) = (false, false);
        // Resident memory once the stream is under way, and the most from then on.
        let (mut early, mut most) = (None, 0);
        let mut next_look = 10 << 20;
        loop {
            let count = client.read(&mut chunk).expect("Envoy answers");
            if count == 0 {
                break;
            }
            total += count;
            if total > next_look {
                next_look += 10 << 20;
                let now = memory(process, "VmRSS:");
                early.get_or_insert(now);
                most = most.max(now);
            }
            tail.extend_from_slice(&chunk[..count]);
            // Every address has one, and nothing else in the document.
            leaked |= chunk[..count].contains(&b'@');
            let mask = b"\"email\": \"***\"";
            if !seen_body && tail.windows(mask.len()).any(|window| window == mask) {
                seen_body = true;
                to_drip.send(()).expect("the upstream waits");
            }
            let keep = tail.len().saturating_sub(512);
            if seen_body {
                tail.drain(..keep);
            }
        }
        let grown = memory(process, "VmHWM:").saturating_sub(before);
        let risen = most.saturating_sub(early.expect("more than 10 MiB came"));
        eprintln!(
            "{total} bytes came; Envoy grew by {grown} KiB, by {risen} KiB after the first 10 MiB"
        );
        assert!(seen_body && !leaked);
        assert!(
            tail.ends_with(b"]}\r\n0\r\n\r\n"),
            "{}",
            String::from_utf8_lossy(&tail)
        );
        assert!(total > (MIB - 5) << 20, "{total}");
        assert!(grown < 64 * 1024, "Envoy grew by {grown} KiB");
        assert!(risen < 16 * 1024, "Envoy went on growing, by {risen} KiB");
    });
    // The request at the end is refused at once, rather than waited for.
    drop(listener);
    gateway.assert_filters_alive();
}
