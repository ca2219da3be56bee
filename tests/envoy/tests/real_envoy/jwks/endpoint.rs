//! The endpoint that publishes keys, and does to its callers what an endpoint can do.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use envoy_harness::Gateway;
use serde_json::{Value, json};

/// What it does with a call.
#[derive(Clone, Debug)]
pub(super) enum Behaviour {
    /// Publishes the keys at these places of the issuer's set: RS256, ES256, EdDSA.
    Keys(&'static [usize]),
    /// Says nothing until the behaviour changes, and then does as the new one says.
    Silent,
    /// Closes the connection.
    Down,
    /// 500.
    Error,
    /// A page, with status 200.
    Html,
    /// The first half of the keys.
    Truncated,
    /// 64 MiB of JSON.
    Huge,
    /// 302, to where the good keys are.
    Redirect,
}

/// All faults.
pub(super) const FAULTS: [Behaviour; 7] = [
    Behaviour::Down,
    Behaviour::Silent,
    Behaviour::Error,
    Behaviour::Html,
    Behaviour::Truncated,
    Behaviour::Huge,
    Behaviour::Redirect,
];

/// The endpoint; its threads end with the process.
pub(super) struct Endpoint {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    now: Mutex<(Behaviour, usize)>,
    changed: Condvar,
}

impl Endpoint {
    pub(super) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            now: Mutex::new((behaviour, 0)),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&served);
                // A caller that is gone is none of ours.
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    /// From now on it does this, to those who wait too.
    pub(super) fn set(&self, behaviour: Behaviour) {
        self.state.lock().0 = behaviour;
        self.state.changed.notify_all();
    }

    /// How often it was called.
    pub(super) fn calls(&self) -> usize {
        self.state.lock().1
    }

    /// It, as a cluster of this name.
    pub(super) fn cluster(&self, name: &str) -> Value {
        let address =
            json!({ "address": self.address.ip().to_string(), "port_value": self.address.port() });
        json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": { "cluster_name": name, "endpoints": [
                { "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] },
            ] },
        })
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, (Behaviour, usize)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let mut now = self.lock();
        now.1 += 1;
        let now = self
            .changed
            .wait_while(now, |now| matches!(now.0, Behaviour::Silent))
            .unwrap_or_else(PoisonError::into_inner);
        let behaviour = now.0.clone();
        drop(now);
        respond(&mut stream, &head, &behaviour)?;
        stream.shutdown(Shutdown::Both)
    }
}

fn respond(stream: &mut TcpStream, head: &[u8], behaviour: &Behaviour) -> io::Result<()> {
    let whole = keys(&[0, 1, 2]);
    let mut answer = |status: &str, kind: &str, body: &[u8], length: usize| {
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )?;
        stream.write_all(body)
    };
    let json = "application/json";
    match behaviour {
        _ if head.starts_with(b"GET /elsewhere ") => {
            answer("200 OK", json, whole.as_bytes(), whole.len())
        }
        Behaviour::Keys(places) => {
            let body = keys(places);
            answer("200 OK", json, body.as_bytes(), body.len())
        }
        Behaviour::Silent | Behaviour::Down => Ok(()),
        Behaviour::Error => answer(
            "500 Internal Server Error",
            json,
            whole.as_bytes(),
            whole.len(),
        ),
        Behaviour::Html => answer("200 OK", "text/html", b"<html>sign in</html>", 20),
        Behaviour::Truncated => {
            let half = &whole.as_bytes()[..whole.len() / 2];
            answer("200 OK", json, half, half.len())
        }
        Behaviour::Huge => {
            let body = vec![b' '; 64 << 20];
            answer("200 OK", json, &body, body.len())
        }
        Behaviour::Redirect => {
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-type: {json}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{whole}",
                whole.len()
            )
        }
    }
}

/// A set of the issuer's keys at these places.
fn keys(places: &[usize]) -> String {
    let all = Gateway::issuer().key_set()["keys"]
        .as_array()
        .expect("keys");
    let keys: Vec<_> = places.iter().map(|place| &all[*place]).collect();
    json!({ "keys": keys }).to_string()
}

/// A client's connection with one request on it.
pub(super) struct Asking(TcpStream);

impl Asking {
    /// Sends a request with this token, and does not wait.
    pub(super) fn begin(address: SocketAddr, token: &str) -> Self {
        let mut asking = Self::connect(address);
        asking.send(token);
        asking
    }

    /// A connection without a request yet.
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).expect("the gateway listens"))
    }

    /// Sends a request with this token, and does not wait.
    pub(super) fn send(&mut self, token: &str) {
        let request = format!(
            "GET /users/7 HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        self.0
            .write_all(request.as_bytes())
            .expect("the gateway reads");
    }

    /// The status of the answer; none if there is none within `most`.
    pub(super) fn status(&mut self, most: Duration) -> Option<u16> {
        self.0
            .set_read_timeout(Some(most))
            .expect("a socket has a timeout");
        let mut start = [0; 12];
        self.0.read_exact(&mut start).ok()?;
        std::str::from_utf8(&start[9..]).ok()?.parse().ok()
    }
}
