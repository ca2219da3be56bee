//! A client that sends a body piece by piece, and can go away.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use envoy_harness::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use probe_filter::facts::{Body, Exchange};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::server::{Pieces, pairs};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(20);

const AUTHORITY: &str = "probe";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a process can start a thread")
});

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An open connection; closed when dropped.
pub(super) struct Connection {
    protocol: Protocol,
    sender: Sender,
    carrier: JoinHandle<()>,
}

enum Sender {
    H1(http1::SendRequest<Pieces>),
    H2(http2::SendRequest<Pieces>),
}

/// A request under way, and its connection.
pub(super) struct Pending(JoinHandle<()>);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Connection {
    pub(super) fn open(address: SocketAddr, protocol: Protocol) -> Result<Self, String> {
        wait(async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let io = TokioIo::new(stream);
            // What breaks a connection is told to the request on it.
            let (sender, carrier) = match protocol {
                Protocol::H1 => {
                    let (sender, connection) = http1::handshake(io).await?;
                    let carrier = async { drop(connection.await) };
                    (Sender::H1(sender), tokio::spawn(carrier))
                }
                Protocol::H2 => {
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                    let carrier = async { drop(connection.await) };
                    (Sender::H2(sender), tokio::spawn(carrier))
                }
            };
            Ok(Self {
                protocol,
                sender,
                carrier,
            })
        })
    }

    /// Sends the request of an exchange and waits for the whole answer.
    pub(super) fn send(&mut self, exchange: &Exchange) -> Result<Answer, String> {
        wait(self.answer(exchange))
    }

    /// Sends the request of an exchange and does not wait.
    pub(super) fn start(mut self, exchange: &Exchange) -> Pending {
        let exchange = *exchange;
        Pending(RUNTIME.spawn(async move { drop(self.answer(&exchange).await) }))
    }

    async fn answer(&mut self, exchange: &Exchange) -> Result<Answer, Failure> {
        let request = request(self.protocol, exchange);
        let response = match &mut self.sender {
            Sender::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (head, body) = response.into_parts();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: pairs(&head.headers)
                .into_iter()
                .map(|(name, value)| (name, text(&value)))
                .collect(),
            body: text(&body.collect().await?.to_bytes()),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Pending {
    /// Closes the connection.
    pub(super) fn leave(self) {
        self.0.abort();
    }
}

/// A body of a fact as pieces to send.
pub(super) fn pieces(body: Body) -> Pieces {
    match body {
        Body::None => Pieces::default(),
        Body::Chunks(pieces) => Pieces::new(pieces, None),
        Body::Trailers(pieces) => {
            let trailer = (
                HeaderName::from_static("x-trailer"),
                HeaderValue::from_static("yes"),
            );
            Pieces::new(pieces, Some(HeaderMap::from_iter([trailer])))
        }
    }
}

fn request(protocol: Protocol, exchange: &Exchange) -> Request<Pieces> {
    let mut request = Request::new(pieces(exchange.body));
    if exchange.body != Body::None {
        *request.method_mut() = Method::POST;
    }
    let headers = request.headers_mut();
    for (name, value) in exchange.request {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    // Without these two an HTTP/1.1 library sends no trailers, and is sent none.
    headers.insert("te", HeaderValue::from_static("trailers"));
    if matches!(exchange.body, Body::Trailers(_)) {
        headers.insert("trailer", HeaderValue::from_static("x-trailer"));
    }
    *request.uri_mut() = match protocol {
        Protocol::H1 => {
            headers.insert("host", HeaderValue::from_static(AUTHORITY));
            Uri::from_static("/")
        }
        Protocol::H2 => Uri::from_static("http://probe/"),
    };
    request
}

fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, String> {
    RUNTIME.block_on(async {
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no whole answer in time".to_owned()),
        }
    })
}
