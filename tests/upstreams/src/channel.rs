//! A gRPC client over one HTTP/2 connection, with TLS or in the clear.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tower_service::Service;

/// A connection that the generated clients can be made of, all with the same headers.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use upstreams::{Channel, stock};
///
/// let channel = Channel::connect("localhost:8443", Some("…PEM…")).await?.header("x-api-key", "secret")?;
/// let mut client = stock::stock_client::StockClient::with_origin(channel.clone(), channel.origin());
/// let item = client.get(stock::GetRequest { id: "7".into() }).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Channel {
    sender: SendRequest<Body>,
    origin: Uri,
    headers: HeaderMap,
    head: Arc<Mutex<Option<Head>>>,
}

/// The beginning of an answer, before a gRPC library has made anything of it.
#[derive(Clone, Debug)]
pub struct Head {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
}

impl Channel {
    /// Connects to `host:port`: over TLS that trusts that authority (PEM) alone, or in the clear if there is none.
    ///
    /// # Errors
    /// There is no connection, or the other side does not speak HTTP/2.
    pub async fn connect(address: &str, ca_pem: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (stream, scheme): (Box<dyn Transport>, _) = match ca_pem {
            None => (Box::new(stream), "http"),
            Some(ca) => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let name = ServerName::try_from(host.to_string())?;
                let connector = TlsConnector::from(Arc::new(tls(ca)?));
                (Box::new(connector.connect(name, stream).await?), "https")
            }
        };
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            origin: format!("{scheme}://{address}").parse()?,
            headers: HeaderMap::new(),
            head: Arc::default(),
        })
    }

    /// With one more header in every request.
    ///
    /// # Errors
    /// HTTP/2 knows no such header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Box<dyn Error>> {
        let (name, value): (HeaderName, HeaderValue) = (name.parse()?, value.parse()?);
        self.headers.append(name, value);
        Ok(self)
    }

    /// Scheme and authority, for the generated clients.
    pub fn origin(&self) -> Uri {
        self.origin.clone()
    }

    /// How the last answer began, on this channel and on its clones.
    pub fn last_head(&self) -> Option<Head> {
        self.head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let answer = self.sender.send_request(request);
        let head = Arc::clone(&self.head);
        Box::pin(async move {
            let answer = answer.await?;
            *head.lock().unwrap_or_else(PoisonError::into_inner) = Some(Head {
                status: answer.status(),
                headers: answer.headers().clone(),
            });
            Ok(answer)
        })
    }
}

trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Transport for S {}

fn tls(ca_pem: &str) -> Result<ClientConfig, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
