//! Both ends of the wire in the raw: an upstream that answers in bytes, and a client that sends its body in frames of its own
//! choice.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use envoy_harness::wait_for;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::server::Pieces;

/// How long a socket may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// An upstream that speaks HTTP/1.1 byte by byte, one request a connection; gone when dropped.
pub(super) struct Peer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Got>>>,
    gone: Arc<AtomicBool>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    /// Path and query.
    pub(super) path: String,
    /// The head as it came, in lower case.
    pub(super) head: String,
    /// The body without its framing, as much as came.
    pub(super) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(super) complete: bool,
}

/// An answer as a client reads it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Peer {
    /// Has `answer` write to each connection once its request is read, and closes it.
    pub(super) fn start(
        answer: impl Fn(&Got, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        let peer = Self {
            address: listener.local_addr().expect("a listener has an address"),
            received: Arc::default(),
            gone: Arc::default(),
        };
        let (received, gone) = (Arc::clone(&peer.received), Arc::clone(&peer.gone));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if gone.load(Ordering::Relaxed) {
                    return;
                }
                let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
                // A connection that Envoy breaks is the test's to notice.
                std::thread::spawn(move || serve(stream?, &received, answer.as_ref()));
            }
        });
        peer
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came for paths that end so.
    pub(super) fn received(&self, path: &str) -> Vec<Got> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let for_path = received.iter().filter(|got| got.path.ends_with(path));
        for_path.cloned().collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    mut stream: TcpStream,
    received: &Mutex<Vec<Got>>,
    answer: &dyn Fn(&Got, &mut TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let Some(got) = read_request(&mut stream) else {
        return Ok(());
    };
    received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(got.clone());
    if got.complete {
        answer(&got, &mut stream)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // Closed with bytes unread, the socket would take back what was written.
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

fn read_request(stream: &mut TcpStream) -> Option<Got> {
    let mut input = io::BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        input.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let line = String::from_utf8_lossy(&head).into_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = line.to_ascii_lowercase();
    let mut body = Vec::new();
    let complete = if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        read_chunks(&mut input, &mut body).is_some()
    } else {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap_or(0));
        io::copy(&mut input.by_ref().take(length), &mut body).is_ok_and(|read| read == length)
    };
    Some(Got {
        path,
        head,
        body,
        complete,
    })
}

fn read_chunks(input: &mut impl io::BufRead, body: &mut Vec<u8>) -> Option<()> {
    let mut line = String::new();
    let mut read_line = |input: &mut dyn io::BufRead| {
        line.clear();
        input.read_line(&mut line).ok()?;
        line.strip_suffix("\r\n").map(str::to_owned)
    };
    loop {
        let length = u64::from_str_radix(&read_line(input)?, 16).ok()?;
        if length == 0 {
            // Trailers, and the empty line.
            while !read_line(input)?.is_empty() {}
            return Some(());
        }
        io::copy(&mut input.by_ref().take(length), body)
            .ok()
            .filter(|read| *read == length)?;
        read_line(input)?;
    }
}

/// A head of HTTP/1.1 with these lines; the connection is closed after the message.
pub(super) fn head(status: &str, lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{lines}\r\n").into_bytes()
}

/// A whole answer with these bytes of that type.
pub(super) fn answer(content_type: &str, body: &[u8]) -> Vec<u8> {
    let lines = [
        &format!("content-type: {content_type}"),
        &format!("content-length: {}", body.len()),
    ];
    [head("200 OK", &lines.map(String::as_str)), body.to_vec()].concat()
}

/// Bytes over a connection of their own, each piece only after the one before has left; then everything that comes back until
/// the other side closes.
pub(super) fn speak(address: SocketAddr, pieces: &[&[u8]], pause: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("Envoy listens");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    for piece in pieces {
        // The other side may have answered and closed by now.
        if stream.write_all(piece).is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    let mut answer = Vec::new();
    // A reset after an answer is an end as well.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Sends a body over HTTP/2, a frame for each piece, and then trailers, if there are any. An error is an answer that is not
/// whole.
pub(super) fn frames(
    address: SocketAddr,
    request: http::request::Builder,
    pieces: impl IntoIterator<Item = Bytes>,
    trailers: Option<HeaderMap>,
) -> Result<Answered, String> {
    let text = |error: hyper::Error| error.to_string();
    let request = request
        .body(Pieces::of(pieces, trailers))
        .expect("a request");
    wait_for(async {
        let stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("Envoy listens");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(text)?;
        tokio::spawn(connection);
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(text)?
            .into_parts();
        Ok(Answered {
            status: head.status.as_u16(),
            body: body.collect().await.map_err(text)?.to_bytes().into(),
        })
    })
}
