//! The head of a request.

use std::cell::OnceCell;
use std::ops::Range;

use crate::header_map::{HeaderMap, Occurrence, same_name};
use crate::path::{CanonicalPath, PathError};
use crate::protocol::Protocol;
use crate::query::Query;

/// The head of a request: what the client sent (or a filter before this one made of it), read once.
///
/// A pseudo header that is absent reads as empty: CONNECT may lack `:path`. So does one that is repeated, which codecs
/// refuse.
#[derive(Debug)]
pub struct RequestHead {
    headers: HeaderMap,
    method: Field,
    authority: Field,
    scheme: Field,
    raw_path: Field,
    content_type: Field,
    authorization: Field,
    /// Whether it has the header of unary Connect.
    connect: bool,
    path: OnceCell<Result<CanonicalPath, PathError>>,
}

/// Where a value lies in the map's bytes; empty if the header is absent or repeated.
#[derive(Debug, Default)]
struct Field {
    range: Range<usize>,
    seen: bool,
}

impl RequestHead {
    /// The longest request id that is passed on, in bytes.
    pub const MAX_REQUEST_ID_BYTES: usize = 128;

    /// The head with these headers.
    pub fn new(headers: HeaderMap) -> RequestHead {
        let mut head = RequestHead {
            headers: HeaderMap::default(),
            method: Field::default(),
            authority: Field::default(),
            scheme: Field::default(),
            raw_path: Field::default(),
            content_type: Field::default(),
            authorization: Field::default(),
            connect: false,
            path: OnceCell::new(),
        };
        for (name, value) in &headers {
            // By their lengths: most headers are none of these, and are not compared.
            let field = match name.len() {
                5 if name == b":path" => &mut head.raw_path,
                7 if name == b":method" => &mut head.method,
                7 if name == b":scheme" => &mut head.scheme,
                10 if name == b":authority" => &mut head.authority,
                12 if name == b"content-type" => &mut head.content_type,
                13 if same_name(name, b"authorization") => &mut head.authorization,
                24 => {
                    head.connect |= same_name(name, b"connect-protocol-version");
                    continue;
                }
                _ => continue,
            };
            let start = offset_in(headers.as_bytes(), value);
            field.range = if field.seen {
                0..0
            } else {
                start..start.saturating_add(value.len())
            };
            field.seen = true;
        }
        head.headers = headers;
        head
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// `:method`.
    pub fn method(&self) -> &[u8] {
        self.field(&self.method)
    }

    /// `:authority`; hosts put `host` of HTTP/1 there.
    pub fn authority(&self) -> &[u8] {
        self.field(&self.authority)
    }

    /// `:scheme`.
    pub fn scheme(&self) -> &[u8] {
        self.field(&self.scheme)
    }

    /// `:path` as it is on the wire, with the query. Compare [`RequestHead::path`] instead.
    pub fn raw_path(&self) -> &[u8] {
        self.field(&self.raw_path)
    }

    /// The path in the one form in which paths are compared, found at the first call.
    ///
    /// # Errors
    /// A path that could be read in two ways; answer it with 400.
    pub fn path(&self) -> Result<&CanonicalPath, PathError> {
        self.path
            .get_or_init(|| CanonicalPath::parse(self.raw_path()))
            .as_ref()
            .map_err(|error| *error)
    }

    /// The query.
    pub fn query(&self) -> Query<'_> {
        Query::of(self.raw_path())
    }

    /// `content-type`; empty if absent or repeated.
    pub fn content_type(&self) -> &[u8] {
        self.field(&self.content_type)
    }

    /// `authorization`.
    pub fn authorization(&self) -> Occurrence<'_> {
        match &self.authorization {
            field if !field.seen => Occurrence::Absent,
            // No value starts where the map does.
            field if field.range == (0..0) => Occurrence::Repeated,
            field => Occurrence::Once(self.field(field)),
        }
    }

    /// What the request speaks.
    pub fn protocol(&self) -> Protocol {
        Protocol::of_request(
            self.connect,
            self.content_type(),
            self.method(),
            self.raw_path(),
        )
    }

    /// `x-request-id`, if there is exactly one, of visible ASCII and at most [`RequestHead::MAX_REQUEST_ID_BYTES`] bytes.
    pub fn request_id(&self) -> Option<&str> {
        let Occurrence::Once(id) = self.headers.occurrence("x-request-id") else {
            return None;
        };
        let fits = (1..=Self::MAX_REQUEST_ID_BYTES).contains(&id.len())
            && id.iter().all(u8::is_ascii_graphic);
        if fits {
            std::str::from_utf8(id).ok()
        } else {
            None
        }
    }

    fn field(&self, field: &Field) -> &[u8] {
        self.headers
            .as_bytes()
            .get(field.range.clone())
            .unwrap_or_default()
    }
}

/// Where `part`, a slice of `whole`, starts in it.
fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&str, &str)]) -> RequestHead {
        RequestHead::new(HeaderMap::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let head = head(&[
            (":method", "GET"),
            ("accept", "*/*"),
            (":path", "/a/%62?x=1"),
            (":authority", "api.example.com"),
            ("content-type", "text/plain"),
            (":scheme", "https"),
        ]);
        assert_eq!(head.method(), b"GET");
        assert_eq!(head.authority(), b"api.example.com");
        assert_eq!(head.scheme(), b"https");
        assert_eq!(head.raw_path(), b"/a/%62?x=1");
        assert_eq!(head.content_type(), b"text/plain");
        assert_eq!(head.path().unwrap().as_str(), "/a/b");
        assert_eq!(head.query().as_bytes(), b"x=1");
        assert_eq!(head.headers().len(), 6);
    }

    // A header that is as long as one of these is not that one: a client could make its path or its host go away with it.
    #[test]
    fn other_headers_of_the_same_length_are_no_fields() {
        let head = head(&[
            ("range", "1"),
            ("referer", "2"),
            ("user-agent", "3"),
            ("content-what", "4"),
            ("authorizatiom", "5"),
            (":path", "/a"),
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "api.example.com"),
            ("content-type", "text/plain"),
            ("authorization", "Basic"),
            ("x-aaa", "1"),
            ("x-aaaaa", "3"),
            ("x-aaaaaaaa", "4"),
            ("x-aaaaaaaaaa", "5"),
            ("x-aaaaaaaaaaa", "6"),
        ]);
        assert_eq!(head.raw_path(), b"/a");
        assert_eq!(head.method(), b"GET");
        assert_eq!(head.scheme(), b"https");
        assert_eq!(head.authority(), b"api.example.com");
        assert_eq!(head.content_type(), b"text/plain");
        assert_eq!(head.authorization(), Occurrence::Once(b"Basic"));
    }

    #[test]
    fn an_absent_pseudo_header_is_normal() {
        // CONNECT has no path; a filter that took it for granted would take the worker down.
        let head = head(&[(":method", "CONNECT"), (":authority", "a:443")]);
        assert_eq!(head.raw_path(), b"");
        assert_eq!(head.path(), Err(PathError::Missing));
        assert_eq!(head.scheme(), b"");
        assert_eq!(RequestHead::new(HeaderMap::default()).method(), b"");
    }

    #[test]
    fn a_repeated_pseudo_header_has_no_value() {
        // Which of the two an upstream takes is not known, so none of them may decide.
        let head = head(&[
            (":path", "/open"),
            (":path", "/admin"),
            (":path", "/x"),
            (":method", "GET"),
            (":method", "GET"),
        ]);
        assert_eq!(head.path(), Err(PathError::Missing));
        assert_eq!(head.method(), b"");
    }

    #[test]
    fn request_ids_are_single_short_and_visible() {
        assert_eq!(head(&[("x-request-id", "a-1")]).request_id(), Some("a-1"));
        assert_eq!(head(&[]).request_id(), None);
        assert_eq!(head(&[("x-request-id", "")]).request_id(), None);
        assert_eq!(head(&[("x-request-id", "a b")]).request_id(), None);
        assert_eq!(head(&[("x-request-id", "é")]).request_id(), None);
        assert_eq!(
            head(&[("x-request-id", "a"), ("x-request-id", "a")]).request_id(),
            None
        );
        let longest = "a".repeat(RequestHead::MAX_REQUEST_ID_BYTES);
        assert_eq!(
            head(&[("x-request-id", &longest)]).request_id(),
            Some(longest.as_str())
        );
        assert_eq!(
            head(&[("x-request-id", &format!("{longest}a"))]).request_id(),
            None
        );
    }

    #[test]
    fn protocol_is_judged_by_the_whole_head() {
        assert_eq!(
            head(&[("content-type", "application/grpc")]).protocol(),
            Protocol::Grpc
        );
        assert_eq!(
            head(&[(":method", "GET"), (":path", "/p.S/M?connect=v1")]).protocol(),
            Protocol::Connect
        );
        assert_eq!(
            head(&[(":method", "GET"), (":path", "/")]).protocol(),
            Protocol::Http
        );
    }

    // Of two credentials neither may count, and none sent is another thing than an empty one.
    #[test]
    fn authorization_is_absent_once_or_repeated() {
        for pairs in [
            &[][..],
            &[("authorization", "")],
            &[(":path", "/"), ("Authorization", "Bearer a")],
            &[("authorization", ""), ("authorization", "")],
            &[
                ("authorization", "a"),
                ("authorization", "b"),
                ("authorization", "c"),
            ],
        ] {
            let head = head(pairs);
            assert_eq!(
                head.authorization(),
                head.headers().occurrence("authorization")
            );
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept() {
        let head = RequestHead::new(HeaderMap::from_pairs([
            (&b":path"[..], &b"/\xff"[..]),
            (b"x", b"\xfe"),
        ]));
        assert_eq!(head.raw_path(), b"/\xff");
        assert_eq!(head.path(), Err(PathError::InvalidUtf8));
        assert_eq!(head.headers().occurrence("x"), Occurrence::Once(b"\xfe"));
    }
}
