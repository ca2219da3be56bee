//! One replica of a REST service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::Echo;

/// Longest delay that `/delay/<ms>` gives.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// A replica: answers any path with what it was sent.
///
/// - `/healthz` says 200, or 503 while the replica is set unhealthy;
/// - `…/delay/<ms>` answers after that many milliseconds;
/// - `…/status/<code>` answers with that status;
/// - `GET /customers/<id>` answers with all that there is on a customer, as a careless service does;
/// - `GET /customers/<id>/broken` begins so, and is no JSON any more behind the card;
/// - a gRPC call gets the same JSON as the one message of a successful answer.
#[derive(Clone, Debug)]
pub struct Replica(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: String,
    name: String,
    healthy: AtomicBool,
}

impl Replica {
    /// A healthy replica `name` (`users-1`) of `service` (`users`).
    pub fn new(service: impl Into<String>, name: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            service: service.into(),
            name: name.into(),
            healthy: AtomicBool::new(true),
        }))
    }

    /// What `/healthz` says from now on. Other paths go on answering.
    pub fn set_healthy(&self, healthy: bool) {
        self.0.healthy.store(healthy, Ordering::Relaxed);
    }

    /// The replica as a service for HTTP/1 and HTTP/2.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if request.uri().path() == "/healthz" {
            return self.health();
        }
        let asked = match *request.method() {
            Method::GET => Asked::of(request.uri().path()),
            _ => Asked::by_number(request.uri().path()),
        };
        let grpc = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        let Ok(echo) = Echo::read(&self.0.service, &self.0.name, request).await else {
            return plain(StatusCode::BAD_REQUEST, "the body broke off\n");
        };
        if let Asked::Delay(delay) = asked {
            tokio::time::sleep(delay).await;
        }
        let json = match &asked {
            Asked::Customer(id) => customer(id, &self.0.name),
            Asked::BrokenCustomer(id) => {
                let mut whole = customer(id, &self.0.name);
                let end = whole.iter().position(|byte| *byte == b'}');
                whole.truncate(end.unwrap_or_default());
                whole.extend_from_slice(b",,");
                whole
            }
            _ => serde_json::to_vec(&echo).expect("an echo is plain strings and numbers"),
        };
        let mut response = if grpc {
            grpc_answer(json)
        } else {
            rest_answer(json)
        };
        if let Asked::Status(status) = asked {
            *response.status_mut() = status;
        }
        if let Ok(name) = HeaderValue::try_from(&self.0.name) {
            response.headers_mut().insert("x-replica", name);
        }
        response
    }

    fn health(&self) -> Response<Body> {
        match self.0.healthy.load(Ordering::Relaxed) {
            true => plain(StatusCode::OK, "ok\n"),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, "unhealthy\n"),
        }
    }
}

/// What the last segments of a path ask for.
enum Asked {
    Echo,
    Delay(Duration),
    Status(StatusCode),
    Customer(String),
    BrokenCustomer(String),
}

impl Asked {
    fn of(path: &str) -> Self {
        let customer = path.strip_prefix("/customers/").unwrap_or_default();
        match customer.split_once('/') {
            None if !customer.is_empty() => Self::Customer(customer.into()),
            Some((id, "broken")) => Self::BrokenCustomer(id.into()),
            _ => Self::by_number(path),
        }
    }

    /// What requests of any method ask for.
    fn by_number(path: &str) -> Self {
        let mut segments = path.rsplit('/');
        let (Some(number), Some(verb)) = (segments.next(), segments.next()) else {
            return Self::Echo;
        };
        match (verb, number.parse::<u16>()) {
            ("delay", Ok(milliseconds)) => {
                Self::Delay(Duration::from_millis(milliseconds.into()).min(MAX_DELAY))
            }
            // An informational status is no answer.
            ("status", Ok(code @ 200..)) => {
                StatusCode::from_u16(code).map_or(Self::Echo, Self::Status)
            }
            _ => Self::Echo,
        }
    }
}

async fn answer(State(replica): State<Replica>, request: Request<Body>) -> Response<Body> {
    replica.answer(request).await
}

/// All that there is on a customer: more than most who ask should see.
fn customer(id: &str, replica: &str) -> Vec<u8> {
    let id = Value::from(id);
    let replica = Value::from(replica);
    // Written out, so that the card stands in front of what a broken answer leaves out.
    format!(
        r#"{{"id":{id},"name":"Ada Example","email":"ada@example.test","notes":["calls at night"],"card":{{"number":"4111 1111 1111 1111","expires":"12/29"}},"replica":{replica}}}"#
    )
    .into_bytes()
}

fn rest_answer(mut json: Vec<u8>) -> Response<Body> {
    json.push(b'\n');
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// One message, then `grpc-status: 0` as a trailer (gRPC over HTTP/2, "Responses").
fn grpc_answer(json: Vec<u8>) -> Response<Body> {
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(&json);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body: UnsyncBoxBody<Bytes, _> = Full::new(Bytes::from(message))
        .with_trailers(async move { Some(Ok(trailers)) })
        .boxed_unsync();
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
