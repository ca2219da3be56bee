//! Edits of a head that have a name.

use http_message::{HeaderEdits, HeaderMap, HeaderName, HeaderValue, RequestHead};

use crate::reason::Reason;
use crate::{hex, trace_parent};

/// What is drawn at random for one request, in bytes: an id of 16, and 24 for a trace.
pub const DRAW_BYTES: usize = 40;

/// What is made sure of in a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestPresets {
    pub(crate) request_id: bool,
    pub(crate) traceparent: bool,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestPresets {
    /// Whether anything is.
    pub(crate) fn any(self) -> bool {
        self.request_id || self.traceparent
    }

    /// Whether anything would have to be made for this head as it came. `edited`: an edit may take away what makes a trace.
    pub(crate) fn need_draw(self, head: &RequestHead, edited: bool) -> bool {
        self.request_id && head.request_id().is_none()
            || self.traceparent && (edited || !trace_parent::is_there(head.headers()))
    }

    /// Adds the edits, after those that are there. `draw` is random.
    pub(crate) fn apply(
        self,
        head: &RequestHead,
        draw: Option<[u8; DRAW_BYTES]>,
        edits: &mut HeaderEdits,
    ) -> Result<(), Reason> {
        if !self.need_draw(head, true) {
            return Ok(());
        }
        let Some((id, trace)) = draw.as_ref().and_then(|draw| draw.split_first_chunk()) else {
            // The host was not asked, since nothing has to be made.
            return match self.need_draw(head, false) {
                true => Err(Reason::Internal),
                false => Ok(()),
            };
        };
        if self.request_id && head.request_id().is_none() {
            let id = HeaderValue::try_from(uuid(*id)).map_err(|_| Reason::Internal)?;
            edits.set(REQUEST_ID, id);
        }
        if self.traceparent {
            let trace = trace.try_into().map_err(|_| Reason::Internal)?;
            trace_parent::ensure(head.headers(), trace, edits);
        }
        Ok(())
    }
}

/// A UUID of version 4 (RFC 9562 section 5.4).
fn uuid(random: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in random.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match index {
            6 => byte & 0x0f | 0x40,
            8 => byte & 0x3f | 0x80,
            _ => byte,
        };
        hex::push(byte, &mut text);
    }
    text
}

/// Headers by which a server tells what it is made of, which helps nobody but who looks for its faults.
pub(crate) const OF_SERVERS: [HeaderName; 16] = [
    HeaderName::from_static("server"),
    HeaderName::from_static("powered-by"),
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-powered-by-plesk"),
    HeaderName::from_static("x-powered-cms"),
    HeaderName::from_static("x-server-powered-by"),
    HeaderName::from_static("x-aspnet-version"),
    HeaderName::from_static("x-aspnetmvc-version"),
    HeaderName::from_static("x-backend-server"),
    HeaderName::from_static("x-drupal-dynamic-cache"),
    HeaderName::from_static("x-generated-by"),
    HeaderName::from_static("x-generator"),
    HeaderName::from_static("x-runtime"),
    HeaderName::from_static("x-server-name"),
    HeaderName::from_static("x-umbraco-version"),
    HeaderName::from_static("x-varnish"),
];

/// What a browser is told of every answer of an API, unless the upstream knows better.
const SECURITY: [(HeaderName, HeaderValue); 5] = [
    (
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    ),
    (
        HeaderName::from_static("x-frame-options"),
        HeaderValue::from_static("DENY"),
    ),
    (
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static("frame-ancestors 'none'"),
    ),
    (
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("x-permitted-cross-domain-policies"),
        HeaderValue::from_static("none"),
    ),
];

/// RFC 6797 section 7.2: not over a connection that is not secure.
const TRANSPORT: (HeaderName, HeaderValue) = (
    HeaderName::from_static("strict-transport-security"),
    HeaderValue::from_static("max-age=31536000"),
);

/// Adds the headers that a response is safer with and does not have. `is_https`: its client asked by https.
pub(crate) fn add_security_headers(headers: &HeaderMap, is_https: bool, edits: &mut HeaderEdits) {
    let transport = is_https.then_some(TRANSPORT);
    for (name, value) in SECURITY.into_iter().chain(transport) {
        if edits.knows_all(name.as_bytes(), headers)
            && edits.values(name.as_bytes(), headers).is_empty()
        {
            edits.append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of two requests with one id the log shows neither.
    #[test]
    fn an_id_that_cannot_be_trusted_is_replaced() {
        let both = RequestPresets {
            request_id: true,
            traceparent: false,
        };
        let long = "a".repeat(RequestHead::MAX_REQUEST_ID_BYTES + 1);
        for (values, made) in [
            (&["7"][..], false),
            (&["5b1f0f5e-9a3c-4f0f-8f6a-0d6f5b1f0f5e"], false),
            (&[], true),
            (&[""], true),
            (&["a b"], true),
            (&["1", "2"], true),
            (&[long.as_str()], true),
        ] {
            let pairs = values.iter().map(|value| ("x-request-id", *value));
            let head = RequestHead::new(HeaderMap::from_pairs(pairs));
            assert_eq!(both.need_draw(&head, false), made, "{values:?}");
            let mut edits = HeaderEdits::new();
            both.apply(&head, Some([0xff; DRAW_BYTES]), &mut edits)
                .unwrap();
            let left = edits.values(b"x-request-id", head.headers());
            if made {
                let [id] = left.as_slice() else {
                    panic!("{values:?}")
                };
                assert_eq!(id.as_bytes(), b"ffffffff-ffff-4fff-bfff-ffffffffffff");
                // A host that gave nothing at random: better no request than one with the same id as another.
                let mut edits = HeaderEdits::new();
                assert_eq!(both.apply(&head, None, &mut edits), Err(Reason::Internal));
            } else {
                assert!(edits.is_empty(), "{values:?}");
            }
        }
    }

    #[test]
    fn what_the_upstream_says_stays() {
        let headers = HeaderMap::from_pairs([("x-frame-options", "SAMEORIGIN")]);
        for (is_https, count) in [(false, 4), (true, 5)] {
            let mut edits = HeaderEdits::new();
            add_security_headers(&headers, is_https, &mut edits);
            let frame = edits.values(b"x-frame-options", &headers);
            assert_eq!(frame, [HeaderValue::from_static("SAMEORIGIN")]);
            assert_eq!(edits.iter().count(), count);
            let transport = edits.values(b"strict-transport-security", &headers);
            assert_eq!(!transport.is_empty(), is_https);
        }
    }
}
