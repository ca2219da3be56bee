//! A refusal for want of room, in the form that the caller reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_message::{
    HeaderName, HeaderValue, LocalReply, Place, Problem, ProblemType, Protocol, RequestHead,
};
use prost::encoding::{bytes, message, string, uint32};
use prost_types::{Any, Duration};

use crate::reason::Reason;

/// A serialized `google.rpc.Status`, in base64 (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// When a client that retries may do so, in milliseconds (gRFC A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

const SECOND: u64 = 1_000_000_000;

/// A refusal for want of room: what is told in every form, and the wait that gRPC is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) problem: Problem,
    uri: &'static str,
    violated: Vec<String>,
    /// Nanoseconds.
    wait: u64,
}

impl Refusal {
    pub(crate) fn new(
        reason: Reason,
        violated: Vec<&str>,
        wait: u64,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Refusal {
        Refusal {
            problem: reason.problem(headers),
            uri: reason.problem_type().unwrap_or("about:blank"),
            violated: violated.into_iter().map(str::to_owned).collect(),
            wait: wait.max(1),
        }
    }

    /// The names of the rates that had no room.
    pub fn violated(&self) -> &[String] {
        &self.violated
    }

    /// The reply to the one who sent `head`.
    pub fn render(&self, head: &RequestHead, place: Place) -> LocalReply {
        let grpc_metadata = match head.protocol() {
            Protocol::Grpc | Protocol::GrpcWeb => self.grpc_metadata(),
            Protocol::Http | Protocol::Connect => Vec::new(),
        };
        let kind = ProblemType {
            uri: self.uri,
            violated_policies: self.violated.clone(),
            grpc_metadata,
            ..ProblemType::default()
        };
        self.problem.render_as(&kind, head, place)
    }

    /// The same wait as `Retry-After`, to the nanosecond and to the millisecond, and which rates had no room.
    fn grpc_metadata(&self) -> Vec<(HeaderName, HeaderValue)> {
        let pushback = self.wait.div_ceil(1_000_000).to_string();
        let details = STANDARD_NO_PAD.encode(self.status());
        [(STATUS_DETAILS, details), (PUSHBACK, pushback)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
            .collect()
    }

    /// `google.rpc.Status` with `RetryInfo` and, where a quota is used up, `QuotaFailure`
    /// (<https://github.com/googleapis/googleapis/tree/master/google/rpc>).
    fn status(&self) -> Vec<u8> {
        let mut status = Vec::new();
        uint32::encode(1, &u32::from(self.problem.grpc_status.code()), &mut status);
        string::encode(2, &self.problem.title.to_owned(), &mut status);
        let mut retry_info = Vec::new();
        message::encode(1, &duration(self.wait), &mut retry_info);
        message::encode(3, &detail("RetryInfo", retry_info), &mut status);
        if self.problem.status == Reason::Exceeded.status() {
            let mut failure = Vec::new();
            for name in &self.violated {
                let mut violation = Vec::new();
                // Not who the client is: it may be told to others along the way.
                string::encode(1, &format!("limit:{name}"), &mut violation);
                string::encode(2, &self.problem.detail.to_owned(), &mut violation);
                bytes::encode(1, &violation, &mut failure);
            }
            message::encode(3, &detail("QuotaFailure", failure), &mut status);
        }
        status
    }
}

fn detail(name: &str, value: Vec<u8>) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value,
    }
}

fn duration(nanoseconds: u64) -> Duration {
    let part = |number: Option<u64>| number.unwrap_or_default();
    Duration {
        seconds: i64::try_from(part(nanoseconds.checked_div(SECOND))).unwrap_or(i64::MAX),
        nanos: i32::try_from(part(nanoseconds.checked_rem(SECOND))).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use http_message::HeaderMap;
    use prost::Message;

    use super::*;

    fn reply(content_type: &str, wait: u64) -> LocalReply {
        let refusal = Refusal::new(
            Reason::Exceeded,
            vec!["burst", "daily.1d"],
            wait,
            Vec::new(),
        );
        let pairs = [
            (":method", "POST"),
            (":path", "/a.B/C"),
            ("content-type", content_type),
        ];
        let head = RequestHead::new(HeaderMap::from_pairs(pairs));
        refusal.render(&head, Place::BeforeBridges)
    }

    fn header(reply: &LocalReply, name: &str) -> Option<Vec<u8>> {
        reply.headers.get_all(name).next().map(<[u8]>::to_vec)
    }

    /// The length-delimited fields of a message by their numbers, and its varints as little-endian bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = prost::encoding::decode_varint(&mut bytes).unwrap();
            let number = prost::encoding::decode_varint(&mut bytes).unwrap();
            let value = match key & 7 {
                0 => number.to_le_bytes().to_vec(),
                2 => {
                    let (value, rest) = bytes.split_at(usize::try_from(number).unwrap());
                    bytes = rest;
                    value.to_vec()
                }
                other => panic!("wire type {other}"),
            };
            found.push((u32::try_from(key >> 3).unwrap(), value));
        }
        found
    }

    // Clients of gRPC read neither Retry-After nor a JSON body: without these they guess.
    #[test]
    fn grpc_is_told_how_long_and_why() {
        let reply = reply("application/grpc", 1_250_000_001);
        assert_eq!(header(&reply, "grpc-retry-pushback-ms").unwrap(), b"1251");
        let details = header(&reply, "grpc-status-details-bin").unwrap();
        let status = fields(&STANDARD_NO_PAD.decode(details).unwrap());
        assert_eq!(status[0], (1, 8_u64.to_le_bytes().to_vec()));
        assert_eq!(status[1], (2, b"Quota Exceeded".to_vec()));
        let any = |index: usize| Any::decode(&status[index].1[..]).unwrap();
        let (retry, failure) = (any(2), any(3));
        assert_eq!(retry.type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let delay = Duration::decode(&fields(&retry.value)[0].1[..]).unwrap();
        assert_eq!((delay.seconds, delay.nanos), (1, 250_000_001));
        assert_eq!(
            failure.type_url,
            "type.googleapis.com/google.rpc.QuotaFailure"
        );
        let subjects: Vec<_> = fields(&failure.value)
            .iter()
            .map(|(_, violation)| fields(violation)[0].1.clone())
            .collect();
        assert_eq!(subjects, [&b"limit:burst"[..], b"limit:daily.1d"]);
    }

    #[test]
    fn others_are_not() {
        for content_type in ["application/json", "application/connect+proto"] {
            let reply = reply(content_type, 1);
            assert_eq!(header(&reply, "grpc-status-details-bin"), None);
            assert_eq!(header(&reply, "grpc-retry-pushback-ms"), None);
        }
        assert_eq!(
            header(&reply("application/grpc", 0), "grpc-retry-pushback-ms").unwrap(),
            b"1"
        );
    }
}
