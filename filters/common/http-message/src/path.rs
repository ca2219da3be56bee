//! The one form in which paths are compared.
//!
//! A filter that protects `/admin` must see `/admin` wherever the router, a proxy behind it or the upstream may see it.
//! So a path that two parsers could read differently has no canonical form and is refused (400): encoded separators, dot
//! segments, empty segments, path parameters, double encoding, control bytes, broken or overlong encodings.

use std::fmt;

use percent_encoding::utf8_percent_encode;
use thiserror::Error;

use crate::percent::{IN_PATH, hex_pair};

/// A path, percent-decoded once: starts with `/`, is UTF-8, and has no empty segment but perhaps the last, no dot segment,
/// no `;`, no `\`, no control character and nothing that decodes again.
///
/// Letter case and a trailing `/` are kept: `/a/` is not `/a`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath(String);

/// Why a request target has no canonical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// There is no `:path`, or it is empty (CONNECT may have none).
    #[error("there is no path")]
    Missing,
    /// It does not start with `/`: `*`, an absolute URI, a lone query.
    #[error("the path must start with \"/\"")]
    NotAbsolute,
    /// It has more than [`CanonicalPath::MAX_BYTES`] bytes before the query.
    #[error("the path is longer than 8192 bytes")]
    TooLong,
    /// `%2f`, `%5c` or `\`: a separator to some.
    #[error("the path has an encoded separator or a backslash")]
    EncodedSeparator,
    /// A segment `.` or `..`, plain, encoded or with parameters (`..;x`).
    #[error("the path has a dot segment")]
    DotSegment,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `;`, plain or encoded: servlet containers cut it off, others do not.
    #[error("the path has a path parameter")]
    PathParameter,
    /// What is decoded once would decode again: `%252f`.
    #[error("the path is encoded twice")]
    DoubleEncoding,
    /// A control character: encoded in the path, or as it is anywhere in the target.
    #[error("the path has a control character")]
    ControlByte,
    /// `%` without two hexadecimal digits, or a space, which ends a request line.
    #[error("the path is not properly percent-encoded")]
    InvalidEncoding,
    /// It is not UTF-8 after decoding, for example an overlong encoding.
    #[error("the path is not UTF-8")]
    InvalidUtf8,
    /// `#` anywhere in the target.
    #[error("the request target has a fragment")]
    Fragment,
}

impl CanonicalPath {
    /// The longest path before decoding, in bytes, without the query.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// The canonical path of a request target as `:path` has it; what follows `?` is not looked at but for the bytes that
    /// may not be in a target at all.
    ///
    /// # Errors
    /// Whatever could be read in two ways; see [`PathError`].
    pub fn parse(target: &[u8]) -> Result<CanonicalPath, PathError> {
        if target.is_empty() {
            return Err(PathError::Missing);
        }
        let end = memchr::memchr(b'?', target).unwrap_or(target.len());
        let raw = target.get(..end).unwrap_or_default();
        if raw.len() > Self::MAX_BYTES {
            return Err(PathError::TooLong);
        }
        if raw.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        check_target(target)?;
        if is_canonical(raw) {
            let path = String::from_utf8(raw.to_vec());
            return path.map(CanonicalPath).map_err(|_| PathError::InvalidUtf8);
        }
        let decoded = decode(raw)?;
        check_decoded_once(&decoded)?;
        let decoded = String::from_utf8(decoded).map_err(|_| PathError::InvalidUtf8)?;
        check_segments(&decoded)?;
        Ok(CanonicalPath(decoded))
    }

    /// The decoded path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The decoded path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The segments between slashes: of `/a/b` they are `a` and `b`, of `/a/` they are `a` and an empty one, of `/` there
    /// is one, empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.strip_prefix('/').unwrap_or_default().split('/')
    }

    /// The path percent-encoded again, as it may be written to `:path`. Parsing it gives this path, unless it has become longer
    /// than [`MAX_BYTES`](Self::MAX_BYTES): it can be three times as long as it came.
    pub fn encode(&self) -> String {
        utf8_percent_encode(&self.0, IN_PATH).to_string()
    }

    /// Whether the path is `prefix` or lies below it, by whole segments: `/a` and `/a/b` are under `/a`, `/ab` is not.
    /// Under a prefix that ends with `/` lies what follows that `/`, and the prefix itself.
    pub fn is_under(&self, prefix: &CanonicalPath) -> bool {
        self.0
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.0.ends_with('/'))
    }
}

/// The path, with what a terminal would act on escaped.
impl fmt::Debug for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl PathError {
    /// The error as a word for logs and counters.
    pub fn reason(&self) -> &'static str {
        match self {
            PathError::Missing => "path_missing",
            PathError::NotAbsolute => "path_not_absolute",
            PathError::TooLong => "path_too_long",
            PathError::EncodedSeparator => "path_encoded_separator",
            PathError::DotSegment => "path_dot_segment",
            PathError::EmptySegment => "path_empty_segment",
            PathError::PathParameter => "path_parameter",
            PathError::DoubleEncoding => "path_double_encoding",
            PathError::ControlByte => "path_control_byte",
            PathError::InvalidEncoding => "path_invalid_encoding",
            PathError::InvalidUtf8 => "path_invalid_utf8",
            PathError::Fragment => "path_fragment",
        }
    }
}

/// What may be nowhere in a target. A raw space or line end would end the request line of an HTTP/1 upstream early.
fn check_target(target: &[u8]) -> Result<(), PathError> {
    for byte in target {
        match byte {
            0..=0x1f | 0x7f => return Err(PathError::ControlByte),
            b'#' => return Err(PathError::Fragment),
            b' ' => return Err(PathError::InvalidEncoding),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a path is canonical as it is written, which takes one look at it: letters, digits and what else is the same to
/// everybody, in segments of which only the last may be empty and none starts with a dot. Most are; the others are looked at closely.
fn is_canonical(raw: &[u8]) -> bool {
    let mut starts_segment = false;
    raw.iter().all(|byte| {
        let may_start =
            matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~');
        let started = std::mem::replace(&mut starts_segment, *byte == b'/');
        may_start || matches!(byte, b'/' | b'.') && !started
    })
}

fn decode(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => return Err(PathError::EncodedSeparator),
            b'%' => {
                let ([high, low], after) = after
                    .split_first_chunk()
                    .ok_or(PathError::InvalidEncoding)?;
                rest = after;
                match hex_pair(*high, *low).ok_or(PathError::InvalidEncoding)? {
                    b'/' | b'\\' => return Err(PathError::EncodedSeparator),
                    0..=0x1f | 0x7f => return Err(PathError::ControlByte),
                    byte => decoded.push(byte),
                }
            }
            byte => decoded.push(*byte),
        }
    }
    Ok(decoded)
}

/// Looks at the decoded bytes, because the digits of the inner encoding may themselves be encoded: `%25%32%66`.
fn check_decoded_once(decoded: &[u8]) -> Result<(), PathError> {
    let again = decoded.windows(3).any(|window| match window {
        [b'%', high, low] => hex_pair(*high, *low).is_some(),
        _ => false,
    });
    if again {
        Err(PathError::DoubleEncoding)
    } else {
        Ok(())
    }
}

fn check_segments(decoded: &str) -> Result<(), PathError> {
    let text = decoded.as_bytes();
    let mut segments = text
        .strip_prefix(b"/")
        .unwrap_or_default()
        .split(|byte| *byte == b'/')
        .peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(|byte| *byte == b';').next();
        let name = name.unwrap_or_default();
        if matches!(name, b"." | b"..") {
            return Err(PathError::DotSegment);
        }
        if name.len() != segment.len() {
            return Err(PathError::PathParameter);
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::EmptySegment);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(target: &str) -> CanonicalPath {
        CanonicalPath::parse(target.as_bytes()).unwrap()
    }

    proptest! {
        // The one look must let nothing pass that the close look would refuse or change.
        #[test]
        fn a_path_that_looks_canonical_is(raw in "/[a./;%2fF_é ]{0,8}") {
            if is_canonical(raw.as_bytes()) {
                prop_assert_eq!(decode(raw.as_bytes()), Ok(raw.clone().into_bytes()));
                prop_assert_eq!(check_decoded_once(raw.as_bytes()), Ok(()));
                prop_assert_eq!(check_segments(&raw), Ok(()));
            }
        }
    }

    #[test]
    fn paths_that_can_be_read_in_one_way_only() {
        for (target, canonical) in [
            ("/", "/"),
            ("/orders", "/orders"),
            ("/orders/", "/orders/"),
            ("/orders?x=/../%2f;%00", "/orders"),
            ("/?", "/"),
            ("/%6Frders", "/orders"),
            ("/%6frders", "/orders"),
            ("/a%20b", "/a b"),
            ("/100%25", "/100%"),
            ("/100%25x", "/100%x"),
            ("/caf%C3%A9", "/café"),
            ("/café", "/café"),
            ("/c%23", "/c#"),
            ("/what%3f", "/what?"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/.c./d..", "/a..b/.c./d.."),
            ("/a+b", "/a+b"),
            ("/@user:name!$&'()*,=~", "/@user:name!$&'()*,=~"),
            ("/pkg.Service/Method", "/pkg.Service/Method"),
            ("/Orders", "/Orders"),
        ] {
            assert_eq!(path(target).as_str(), canonical, "{target}");
        }
    }

    #[test]
    fn paths_that_two_parsers_could_read_differently_are_refused() {
        use PathError::*;
        for (target, error) in [
            // Nothing to compare.
            ("", Missing),
            ("*", NotAbsolute),
            ("?a=b", NotAbsolute),
            ("orders", NotAbsolute),
            ("%2forders", NotAbsolute),
            ("http://api.example.com/orders", NotAbsolute),
            ("https://api.example.com", NotAbsolute),
            // Separators that only some decode.
            ("/a%2fb", EncodedSeparator),
            ("/a%2Fb", EncodedSeparator),
            ("/%2f", EncodedSeparator),
            ("/a%5cb", EncodedSeparator),
            ("/a%5Cb", EncodedSeparator),
            ("/a\\b", EncodedSeparator),
            ("/..%2fadmin", EncodedSeparator),
            ("/..%5cadmin", EncodedSeparator),
            ("/..\\admin", EncodedSeparator),
            // Dot segments, in every writing.
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/./", DotSegment),
            ("/../", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/.", DotSegment),
            ("/a/..", DotSegment),
            ("/a/%2e/b", DotSegment),
            ("/a/%2E/b", DotSegment),
            ("/a/%2e%2e/b", DotSegment),
            ("/a/%2E%2e", DotSegment),
            ("/a/.%2e/b", DotSegment),
            ("/a/%2e./b", DotSegment),
            ("/a/..;/b", DotSegment),
            ("/a/..;x=y/b", DotSegment),
            ("/a/.;/b", DotSegment),
            ("/a/%2e%2e;/b", DotSegment),
            ("/a/..%3b/b", DotSegment),
            // Empty segments.
            ("//", EmptySegment),
            ("//admin", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("///", EmptySegment),
            // Parameters.
            ("/a;p=1", PathParameter),
            ("/a;p=1/b", PathParameter),
            ("/a%3bp", PathParameter),
            ("/a%3Bp", PathParameter),
            ("/;a", PathParameter),
            ("/a;", PathParameter),
            // Encoded twice, also where the digits are encoded.
            ("/a%252fb", DoubleEncoding),
            ("/a%252Fb", DoubleEncoding),
            ("/%252e%252e/b", DoubleEncoding),
            ("/a%2541", DoubleEncoding),
            ("/a%25%34%31", DoubleEncoding),
            ("/a%254%31", DoubleEncoding),
            ("/a%25%341", DoubleEncoding),
            ("/a%25252f", DoubleEncoding),
            // Control characters.
            ("/a%00", ControlByte),
            ("/a%00.html", ControlByte),
            ("/a%0d%0ax:y", ControlByte),
            ("/a%09", ControlByte),
            ("/a%1f", ControlByte),
            ("/a%7f", ControlByte),
            ("/a%7F", ControlByte),
            ("/a\0", ControlByte),
            ("/a\tb", ControlByte),
            ("/a\r\nb", ControlByte),
            ("/a\u{7f}", ControlByte),
            ("/a?b\r\nc", ControlByte),
            // Broken encodings.
            ("/a%", InvalidEncoding),
            ("/a%2", InvalidEncoding),
            ("/a%zz", InvalidEncoding),
            ("/a%2g", InvalidEncoding),
            ("/a% 2f", InvalidEncoding),
            ("/%u002e", InvalidEncoding),
            ("/a%%32%66", InvalidEncoding),
            ("/a b", InvalidEncoding),
            ("/a?b c", InvalidEncoding),
            ("/a%2?f", InvalidEncoding),
            // Not UTF-8: overlong slash and dot, a lone continuation, a surrogate, truncated.
            ("/%c0%af", InvalidUtf8),
            ("/%C0%AF", InvalidUtf8),
            ("/%c0%ae%c0%ae/admin", InvalidUtf8),
            ("/%e0%80%af", InvalidUtf8),
            ("/%f0%80%80%af", InvalidUtf8),
            ("/%80", InvalidUtf8),
            ("/%ff", InvalidUtf8),
            ("/%ed%a0%80", InvalidUtf8),
            ("/%c3", InvalidUtf8),
            // Fragments, also behind the query.
            ("/a#b", Fragment),
            ("/a#", Fragment),
            ("/#/admin", Fragment),
            ("/a?b#c", Fragment),
        ] {
            assert_eq!(
                CanonicalPath::parse(target.as_bytes()),
                Err(error),
                "{target:?}"
            );
        }
    }

    #[test]
    fn raw_bytes_that_are_not_utf8_are_refused() {
        // Codecs let these through, so they do arrive.
        for target in [
            &b"/\xc0\xaf"[..],
            b"/a\xff",
            b"/\xc3",
            b"/\xed\xa0\x80",
            b"/%c3\x28",
        ] {
            assert_eq!(
                CanonicalPath::parse(target),
                Err(PathError::InvalidUtf8),
                "{target:?}"
            );
        }
        // Half of the character encoded, half of it not: one character all the same.
        assert_eq!(CanonicalPath::parse(b"/%c3\xa9").unwrap().as_str(), "/é");
    }

    #[test]
    fn length_is_bounded_before_any_work() {
        let longest = format!("/{}", "a".repeat(CanonicalPath::MAX_BYTES - 1));
        assert_eq!(path(&longest).as_str(), longest);
        for target in [
            format!("{longest}a"),
            format!("/{}", "a/".repeat(32 * 1024)),
            "%41".repeat(22_000),
        ] {
            assert_eq!(
                CanonicalPath::parse(target.as_bytes()),
                Err(PathError::TooLong)
            );
        }
        // The query does not count: hosts bound it.
        let query = format!("/a?{}", "b".repeat(64 * 1024 - 3));
        assert_eq!(path(&query).as_str(), "/a");
    }

    #[test]
    fn segments_keep_a_trailing_slash() {
        for (target, segments) in [
            ("/", vec![""]),
            ("/a", vec!["a"]),
            ("/a/", vec!["a", ""]),
            ("/a/b%20c", vec!["a", "b c"]),
        ] {
            assert_eq!(
                path(target).segments().collect::<Vec<_>>(),
                segments,
                "{target}"
            );
        }
    }

    #[test]
    fn below_a_prefix_means_by_whole_segments() {
        for (target, prefix, under) in [
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/ab", "/a", false),
            ("/a", "/a/", false),
            ("/a/", "/a/", true),
            ("/a/b", "/a/", true),
            ("/anything", "/", true),
            ("/", "/", true),
            ("/b/a", "/a", false),
            ("/A", "/a", false),
        ] {
            assert_eq!(
                path(target).is_under(&path(prefix)),
                under,
                "{target} under {prefix}"
            );
        }
    }

    #[test]
    fn every_error_has_a_word_of_its_own() {
        use PathError::*;
        let all = [
            Missing,
            NotAbsolute,
            TooLong,
            EncodedSeparator,
            DotSegment,
            EmptySegment,
            PathParameter,
            DoubleEncoding,
            ControlByte,
            InvalidEncoding,
            InvalidUtf8,
            Fragment,
        ];
        let words: std::collections::BTreeSet<_> = all.iter().map(PathError::reason).collect();
        assert_eq!(words.len(), all.len());
        assert!(words.iter().all(|word| {
            word.bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte == b'8')
        }));
    }

    /// Pieces of which hostile paths are made.
    fn target() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"/".to_vec()),
            Just(b".".to_vec()),
            Just(b"..".to_vec()),
            Just(b"%".to_vec()),
            Just(b"%25".to_vec()),
            Just(b"%2e".to_vec()),
            Just(b"%2F".to_vec()),
            Just(b"%41".to_vec()),
            Just(b"%34".to_vec()),
            Just(b"%c3%a9".to_vec()),
            Just(b"%c0%af".to_vec()),
            Just(b";".to_vec()),
            Just(b"?".to_vec()),
            "[a-f0-9]{1,2}".prop_map(String::into_bytes),
            any::<u8>().prop_map(|byte| vec![byte]),
            any::<char>().prop_map(|char| char.to_string().into_bytes()),
            any::<u8>().prop_map(|byte| format!("%{byte:02x}").into_bytes()),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| {
            let mut target = b"/".to_vec();
            target.extend(pieces.concat());
            target
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        // Whatever is accepted cannot be read in a second way: nothing is left that some parser would still change.
        #[test]
        fn an_accepted_path_has_one_reading(target in target()) {
            let Ok(path) = CanonicalPath::parse(&target) else { return Ok(()) };
            let text = path.as_str();
            prop_assert!(text.starts_with('/'));
            prop_assert!(!text.contains(';') && !text.contains('\\'));
            prop_assert!(!text.bytes().any(|byte| byte.is_ascii_control()));
            prop_assert!(!text.contains("//"));
            prop_assert!(path.segments().all(|segment| segment != "." && segment != ".."));
            let decoded_again: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
            prop_assert_eq!(decoded_again, text.as_bytes());
        }

        // What a filter writes back to the wire is the path that it compared.
        #[test]
        fn an_encoded_path_parses_to_itself(target in target()) {
            let Ok(path) = CanonicalPath::parse(&target) else { return Ok(()) };
            let encoded = path.encode();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
            // Encoding may make a path longer than the bound for requests.
            if encoded.len() <= CanonicalPath::MAX_BYTES {
                prop_assert_eq!(CanonicalPath::parse(encoded.as_bytes()), Ok(path));
            }
        }

        // The query never changes the path.
        #[test]
        fn the_query_is_not_part_of_the_path(target in target(), query in "[a-z/.;%=&?]{0,20}") {
            let target: Vec<u8> = target.into_iter().take_while(|byte| *byte != b'?').collect();
            let mut with_query = target.clone();
            with_query.push(b'?');
            with_query.extend(query.bytes());
            prop_assert_eq!(CanonicalPath::parse(&with_query), CanonicalPath::parse(&target));
        }

        // No bytes, however they come, cause a panic.
        #[test]
        fn any_bytes_are_a_path_or_an_error(target in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = CanonicalPath::parse(&target);
        }
    }
}
