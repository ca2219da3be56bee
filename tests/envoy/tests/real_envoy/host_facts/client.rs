//! A client that sends a body piece by piece, and can go away.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use envoy_harness::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
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

/// A request under way, on a connection of its own.
pub(super) struct Pending(JoinHandle<Result<Answer, String>>);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Pending {
    /// Sends the request of an exchange.
    pub(super) fn send(address: SocketAddr, protocol: Protocol, exchange: &Exchange) -> Self {
        let request = request(protocol, exchange);
        Self(RUNTIME.spawn(async move {
            let response = tokio::time::timeout(DEADLINE, answer(address, protocol, request));
            match response.await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no whole answer in time".to_owned()),
            }
        }))
    }

    /// Waits for the answer.
    pub(super) fn answer(self) -> Result<Answer, String> {
        RUNTIME
            .block_on(self.0)
            .map_err(|error| error.to_string())?
    }

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

/// The connection lives in this future, and ends with it.
async fn answer(
    address: SocketAddr,
    protocol: Protocol,
    request: Request<Pieces>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::H1 => {
            let (mut sender, connection) = http1::handshake(io).await?;
            let answer = async { read(sender.send_request(request).await?).await };
            tokio::pin!(answer);
            tokio::select! {
                answer = &mut answer => Ok(answer?),
                // The answer may be whole when the other side has closed the connection.
                _ = connection => Ok(answer.await?),
            }
        }
        Protocol::H2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let answer = async { read(sender.send_request(request).await?).await };
            tokio::pin!(answer);
            tokio::select! {
                answer = &mut answer => Ok(answer?),
                _ = connection => Ok(answer.await?),
            }
        }
    }
}

async fn read(response: Response<Incoming>) -> hyper::Result<Answer> {
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
