//! What is left of `accept-encoding` where an answer has to be read on its way (RFC 9110 section 12.5.3).

use http_message::{HeaderMap, HeaderValue};

use crate::coding::{Coding, Codings};

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// One coding of the list.
struct Member<'a> {
    name: &'a [u8],
    /// As it is written, `0.5`.
    weight: &'a [u8],
}

/// The client's `accept-encoding` without what is none of `readable`. Weights stay as they are; `*` becomes the names that
/// it stands for. Where nothing is left that may be sent, or the client has sent none, by which it accepts anything, the answer
/// is to come without a coding.
pub fn accepted(headers: &HeaderMap, readable: Codings) -> HeaderValue {
    if readable == Codings::default() {
        return IDENTITY;
    }
    let mut list = List {
        text: Vec::with_capacity(64),
        accepts: false,
    };
    let mut any = None;
    for member in members(headers) {
        if member.is_readable(readable) {
            list.add(member.name, member.weight);
        } else if any.is_none() && member.name == b"*" {
            any = Some(member.weight);
        }
    }
    if let Some(weight) = any {
        list.add_any(weight, headers, readable);
    }
    if !list.accepts {
        return IDENTITY;
    }
    HeaderValue::try_from(list.text).unwrap_or(IDENTITY)
}

/// Those that the grammar has.
fn members(headers: &HeaderMap) -> impl Iterator<Item = Member<'_>> {
    headers
        .get_all("accept-encoding")
        .filter(|value| std::str::from_utf8(value).is_ok())
        .flat_map(|value| value.split(|byte| *byte == b','))
        .filter_map(Member::parse)
}

/// The list that goes on.
struct List {
    text: Vec<u8>,
    /// Something on it may be sent.
    accepts: bool,
}

impl List {
    fn add(&mut self, name: &[u8], weight: &[u8]) {
        self.accepts |= !is_refusal(weight);
        if !self.text.is_empty() {
            self.text.extend_from_slice(b", ");
        }
        self.text.extend_from_slice(name);
        if weight != b"1" {
            self.text.extend_from_slice(b";q=");
            self.text.extend_from_slice(weight);
        }
    }

    /// What `*` stands for.
    #[inline(never)]
    fn add_any(&mut self, weight: &[u8], headers: &HeaderMap, readable: Codings) {
        if is_refusal(weight) {
            return self.add(b"*", weight);
        }
        let codings = Coding::ALL
            .into_iter()
            .filter(|coding| readable.has(*coding));
        for name in codings.map(Coding::name).chain(["identity"]) {
            if !members(headers).any(|member| member.is(name)) {
                self.add(name.as_bytes(), weight);
            }
        }
    }
}

impl<'a> Member<'a> {
    /// One member of the list; nothing where it is none that the grammar has.
    fn parse(text: &'a [u8]) -> Option<Member<'a>> {
        let (name, parameter) = split_at(text, b';');
        let name = trim(name);
        if name.is_empty() {
            return None;
        }
        let weight = match parameter {
            None => b"1",
            Some(parameter) => {
                let (q, weight) = split_at(parameter, b'=');
                let weight = trim(weight?);
                let is_q = trim(q).eq_ignore_ascii_case(b"q");
                (is_q && is_weight(weight)).then_some(weight)?
            }
        };
        Some(Member { name, weight })
    }

    fn is_readable(&self, readable: Codings) -> bool {
        match Coding::named(self.name) {
            Some(coding) => readable.has(coding),
            None => self.name.eq_ignore_ascii_case(b"identity"),
        }
    }

    fn is(&self, name: &str) -> bool {
        match Coding::named(name.as_bytes()) {
            Some(coding) => Coding::named(self.name) == Some(coding),
            None => self.name.eq_ignore_ascii_case(name.as_bytes()),
        }
    }
}

/// What is in front of the byte, and what is behind it, if it is there.
fn split_at(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|other| *other == byte) {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at.saturating_add(1)..),
        ),
        None => (text, None),
    }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn is_refusal(weight: &[u8]) -> bool {
    weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
}

/// `0` to `1` with up to three digits (RFC 9110 section 12.4.2).
fn is_weight(text: &[u8]) -> bool {
    let (whole, digits) = split_at(text, b'.');
    let digits = digits.unwrap_or_default();
    let allowed = |byte: &u8| match whole {
        b"0" => byte.is_ascii_digit(),
        _ => *byte == b'0',
    };
    matches!(whole, b"0" | b"1") && digits.len() <= 3 && digits.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left(values: &[&str], readable: Codings) -> String {
        let headers = values.iter().map(|value| ("accept-encoding", *value));
        let value = accepted(&HeaderMap::from_pairs(headers), readable);
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    }

    // An upstream that is still offered br answers in br, and the rule that masks has to refuse the answer.
    #[test]
    fn only_what_can_be_read_is_left() {
        for (values, expected) in [
            (&["gzip"][..], "gzip"),
            (&["gzip, deflate, br, zstd"], "gzip, deflate"),
            (&["gzip, deflate", "br"], "gzip, deflate"),
            (
                &["br;q=1.0, gzip;q=0.8, *;q=0.1"],
                "gzip;q=0.8, deflate;q=0.1, identity;q=0.1",
            ),
            (&["*"], "gzip, deflate, identity"),
            (&["br, *"], "gzip, deflate, identity"),
            (
                &["x-gzip, *;q=0.5"],
                "x-gzip, deflate;q=0.5, identity;q=0.5",
            ),
            (&["gzip;q=0, *"], "gzip;q=0, deflate, identity"),
            (&["gzip;q=0, br"], "identity"),
            (&["gzip, identity;q=0"], "gzip, identity;q=0"),
            (&["gzip;q=0.5, *;q=0"], "gzip;q=0.5, *;q=0"),
            (&["br, *;q=0"], "identity"),
            (&["gzip, *;q=0", "*"], "gzip, *;q=0"),
            (&["br, identity;q=0"], "identity"),
            (&["br"], "identity"),
            (&["identity"], "identity"),
            (&[""], "identity"),
            (&[], "identity"),
            (&["GZIP ; Q=0.50 ,br"], "GZIP;q=0.50"),
            // Nobody can say what these mean.
            (&["gzip;q=2"], "identity"),
            (&["gzip;level=9"], "identity"),
            (&["gzip;level=1"], "identity"),
            (&["gzip;q=0.1234, deflate"], "deflate"),
            (&["gzip;q=-1, deflate;q=1.001"], "identity"),
            (&["\u{e9}, deflate"], "deflate"),
        ] {
            assert_eq!(left(values, Codings::ALL), expected, "{values:?}");
        }
        assert_eq!(
            left(&["gzip, deflate, br"], Codings::from_iter([Coding::Gzip])),
            "gzip"
        );
        assert_eq!(left(&["gzip, *"], Codings::default()), "identity");
        let no_text = HeaderMap::from_pairs([("accept-encoding", &b"gzip, \xff"[..])]);
        assert_eq!(accepted(&no_text, Codings::ALL), IDENTITY);
        // A list as long as Envoy lets it be does not become a header that no one may write.
        let long = vec!["gzip"; 10_000].join(",");
        assert_eq!(left(&[&long], Codings::ALL), "identity");
    }

    proptest! {
        // Whatever a client sends, nothing unreadable is offered, and what is left is left again.
        #[test]
        fn no_client_can_offer_more(values in proptest::collection::vec("[ -~]{0,40}", 0..3)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let first = left(&values, Codings::ALL);
            prop_assert_eq!(&left(&[&first], Codings::ALL), &first);
            for member in first.split(',') {
                let (name, weight) = member.split_once(';').unwrap_or((member, ""));
                let name = name.trim();
                let known = Coding::named(name.as_bytes()).is_some();
                prop_assert!(known || name.eq_ignore_ascii_case("identity") || (name == "*" && weight.contains('0')), "{}", first);
            }
        }
    }
}
