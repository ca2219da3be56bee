//! HTTP clients that block: HTTP/1.1 and HTTP/2, over TLS with the run's authority or in the clear.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::{Request, Response, tls};

/// How long a request may take from the connection to the last byte.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Where the clients' connections live.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("clients")
        .enable_all()
        .build()
        .expect("a process can start two threads")
});

/// Waits for what a gRPC client of [`Gateway::channel`](crate::Gateway::channel) does.
///
/// # Panics
/// If it takes longer than any call should.
pub fn wait_for<T>(work: impl Future<Output = T>) -> T {
    RUNTIME
        .block_on(async { tokio::time::timeout(DEADLINE, work).await })
        .unwrap_or_else(|_| panic!("not done within {} s", DEADLINE.as_secs()))
}

/// Waits for Ctrl-C (SIGINT) or SIGTERM.
pub fn until_interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    RUNTIME.block_on(async {
        let mut interrupt =
            signal(SignalKind::interrupt()).expect("a process can listen for SIGINT");
        let mut terminate =
            signal(SignalKind::terminate()).expect("a process can listen for SIGTERM");
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
}

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2; in the clear with prior knowledge (h2c).
    H2,
}

/// What is sent and read on either protocol, or in the raw.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Sends requests to one address, each over a connection of its own unless [`Client::connect`] is used.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    source: Option<IpAddr>,
    protocol: Protocol,
    tls: Option<Arc<ClientConfig>>,
    authority: String,
}

impl Client {
    /// A client in the clear.
    pub fn plain(address: SocketAddr, protocol: Protocol) -> Self {
        Self {
            address,
            source: None,
            protocol,
            tls: None,
            authority: address.to_string(),
        }
    }

    /// A client over TLS that trusts that authority (PEM) alone.
    pub fn tls(address: SocketAddr, protocol: Protocol, ca_pem: &str) -> Self {
        let alpn: &[u8] = match protocol {
            Protocol::H1 => b"http/1.1",
            Protocol::H2 => b"h2",
        };
        Self {
            address,
            source: None,
            protocol,
            tls: Some(tls::client(ca_pem, alpn)),
            authority: format!("localhost:{}", address.port()),
        }
    }

    /// The same client, connecting from that address. All of 127.0.0.0/8 is this machine's on Linux.
    pub fn from_address(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// If there is no whole answer, with the reason.
    pub fn send(&self, request: &Request) -> Response {
        self.try_send(request)
            .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.path))
    }

    /// Sends a request and reads the whole answer.
    pub fn try_send(&self, request: &Request) -> Result<Response, ClientError> {
        self.connect()?.try_send(request)
    }

    /// A connection for several requests, one after the other.
    pub fn connect(&self) -> Result<Connection, ClientError> {
        let sender = block_on(async {
            let io = TokioIo::new(self.open().await?);
            Ok(match self.protocol {
                Protocol::H1 => {
                    let (sender, connection) =
                        http1::handshake(io).await.map_err(ClientError::http)?;
                    tokio::spawn(connection);
                    Sender::H1(sender)
                }
                Protocol::H2 => {
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                        .await
                        .map_err(ClientError::http)?;
                    tokio::spawn(connection);
                    Sender::H2(sender)
                }
            })
        })?;
        Ok(Connection {
            client: self.clone(),
            sender,
        })
    }

    /// The address that it talks to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn open(&self) -> Result<Box<dyn Stream>, ClientError> {
        let stream = self.stream().await.map_err(ClientError::connection)?;
        stream.set_nodelay(true).map_err(ClientError::connection)?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(ClientError::connection)?;
        Ok(Box::new(stream))
    }

    async fn stream(&self) -> std::io::Result<TcpStream> {
        let Some(source) = self.source else {
            return TcpStream::connect(self.address).await;
        };
        let socket = match source {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(self.address).await
    }

    fn message(&self, request: &Request) -> Result<http::Request<Body>, ClientError> {
        let authority = request.authority.as_deref().unwrap_or(&self.authority);
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut message = http::Request::new(body(request)?);
        *message.method_mut() = request.method.parse().map_err(ClientError::request)?;
        // HTTP/1.1 names the host in a header, HTTP/2 in the target.
        match self.protocol {
            Protocol::H1 => {
                *message.uri_mut() = request.path.parse().map_err(ClientError::request)?;
                message
                    .headers_mut()
                    .insert("host", authority.parse().map_err(ClientError::request)?);
            }
            Protocol::H2 => {
                *message.uri_mut() = Uri::builder()
                    .scheme(scheme)
                    .authority(authority)
                    .path_and_query(request.path.as_str())
                    .build()
                    .map_err(ClientError::request)?;
            }
        }
        let headers = fields(&request.headers)?;
        // A `host` among the headers of a test is in addition to ours.
        for (name, value) in &headers {
            message.headers_mut().append(name.clone(), value.clone());
        }
        Ok(message)
    }
}

/// An open connection.
pub struct Connection {
    client: Client,
    sender: Sender,
}

enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

impl Connection {
    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// If there is no whole answer, with the reason.
    pub fn send(&mut self, request: &Request) -> Response {
        self.try_send(request)
            .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.path))
    }

    /// Sends a request and reads the whole answer.
    pub fn try_send(&mut self, request: &Request) -> Result<Response, ClientError> {
        let message = self.client.message(request)?;
        block_on(async {
            let response = match &mut self.sender {
                Sender::H1(sender) => {
                    sender.ready().await.map_err(ClientError::http)?;
                    sender.send_request(message).await
                }
                Sender::H2(sender) => {
                    sender.ready().await.map_err(ClientError::http)?;
                    sender.send_request(message).await
                }
            };
            let (head, body) = response.map_err(ClientError::http)?.into_parts();
            let body = body.collect().await.map_err(ClientError::http)?;
            Ok(Response {
                status: head.status.as_u16(),
                headers: head.headers,
                trailers: body.trailers().cloned().unwrap_or_default(),
                body: body.to_bytes().into(),
            })
        })
    }
}

/// A request got no whole answer.
#[derive(Debug)]
pub struct ClientError(String);

impl ClientError {
    pub(crate) fn connection(error: std::io::Error) -> Self {
        Self(format!("no connection: {error}"))
    }

    pub(crate) fn broken(error: std::io::Error) -> Self {
        Self(format!("the connection broke: {error}"))
    }

    fn http(error: hyper::Error) -> Self {
        let cause = std::error::Error::source(&error)
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        Self(format!("no whole answer: {error}{cause}"))
    }

    fn request(error: impl fmt::Display) -> Self {
        Self(format!(
            "not a request that a library sends ({error}); use raw()"
        ))
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientError {}

pub(crate) fn block_on<T>(
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    RUNTIME.block_on(async {
        tokio::time::timeout(DEADLINE, work)
            .await
            .unwrap_or_else(|_| {
                Err(ClientError(format!(
                    "no whole answer within {} s",
                    DEADLINE.as_secs()
                )))
            })
    })
}

fn body(request: &Request) -> Result<Body, ClientError> {
    let trailers = fields(&request.trailers)?;
    Ok(match (request.body.is_empty(), trailers.is_empty()) {
        (_, true) if request.has_empty_end => Full::new(Bytes::from(request.body.clone()))
            // What may have trailers and has none is over only behind its last data.
            .with_trailers(std::future::ready(None))
            .boxed_unsync(),
        (true, true) => Empty::new().boxed_unsync(),
        (false, true) => Full::new(Bytes::from(request.body.clone())).boxed_unsync(),
        (_, false) => Full::new(Bytes::from(request.body.clone()))
            .with_trailers(std::future::ready(Some(Ok(trailers))))
            .boxed_unsync(),
    })
}

fn fields(fields: &[(String, Vec<u8>)]) -> Result<HeaderMap, ClientError> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::try_from(name).map_err(ClientError::request)?;
        map.append(
            name,
            HeaderValue::from_bytes(value).map_err(ClientError::request)?,
        );
    }
    Ok(map)
}
