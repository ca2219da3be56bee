//! Upstreams of a test's own, where the `upstreams` do not do: they answer in pieces and with trailers, and the test sees
//! byte for byte what they were sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A server on loopback that speaks HTTP/1.1 and, with prior knowledge, HTTP/2; gone when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

/// A whole request, as a server got it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Path and query.
    pub(crate) path: String,
    /// Headers, names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end, and did not break off.
    pub(crate) complete: bool,
    /// Trailers, as the headers.
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

/// A body that is sent piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Pieces(VecDeque<Frame<Bytes>>);

impl Server {
    /// Answers each request with what `answer` makes of it.
    pub(crate) fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Received) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a process can start a thread");
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        runtime.spawn(accept(listener, answer));
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    /// Where it listens, as the `load_assignment` of a cluster.
    pub(crate) fn load_assignment(&self, cluster: &str) -> serde_json::Value {
        let address = serde_json::json!({
            "address": self.address.ip().to_string(), "port_value": self.address.port(),
        });
        serde_json::json!({
            "cluster_name": cluster,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] }],
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Received {
    /// The first value of a header, as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(is, _)| is == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    async fn read(request: Request<Incoming>) -> Self {
        let (head, mut body) = request.into_parts();
        let mut received = Self {
            path: head
                .uri
                .path_and_query()
                .map_or("", |path| path.as_str())
                .to_owned(),
            headers: pairs(&head.headers),
            body: Vec::new(),
            complete: false,
            trailers: Vec::new(),
        };
        // A body that breaks off is as long as it is: nobody waits for the answer any more.
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return received };
            if let Some(data) = frame.data_ref() {
                received.body.extend_from_slice(data);
            }
            if let Some(trailers) = frame.trailers_ref() {
                received.trailers = pairs(trailers);
            }
        }
        received.complete = true;
        received
    }
}

impl Pieces {
    /// These pieces, and then trailers, if there are any.
    pub(crate) fn new(pieces: &[&'static str], trailers: Option<HeaderMap>) -> Self {
        let pieces = pieces
            .iter()
            .map(|piece| Bytes::from_static(piece.as_bytes()));
        Self::of(pieces, trailers)
    }

    /// The same of bytes that are made at run time. Over HTTP/2 each piece is a frame, and reaches the filters as such.
    pub(crate) fn of(pieces: impl IntoIterator<Item = Bytes>, trailers: Option<HeaderMap>) -> Self {
        let data = pieces.into_iter().map(Frame::data);
        Self(data.chain(trailers.map(Frame::trailers)).collect())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// Header fields in their order.
pub(crate) fn pairs(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

async fn accept<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Received) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Pieces>> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(answer(Received::read(request).await).await) }
        });
        tokio::spawn(async move {
            // A connection that Envoy breaks is the test's to notice.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
