//! What is left of `accept-encoding` where an answer has to be read on its way (RFC 9110 section 12.5.3).

use http_message::{HeaderMap, HeaderValue};

use crate::coding::{Coding, Codings};

const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// One coding of the list.
struct Member<'a> {
    name: &'a str,
    /// As it is written, `0.5`.
    weight: &'a str,
}

/// The client's `accept-encoding` without what is none of `readable`. Weights stay as they are; `*` becomes the names that
/// it stands for. Where nothing is left that may be sent, or the client has sent none, by which it accepts anything, the answer
/// is to come without a coding.
pub fn accepted(headers: &HeaderMap, readable: Codings) -> HeaderValue {
    if readable == Codings::default() {
        return IDENTITY;
    }
    let members = || {
        headers
            .get_all("accept-encoding")
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .filter_map(Member::parse)
    };
    let is_readable = |name: &str| {
        name.eq_ignore_ascii_case("identity")
            || Coding::named(name.as_bytes()).is_some_and(|coding| readable.has(coding))
    };
    let mut list = List {
        text: String::with_capacity(64),
        accepts: false,
    };
    for member in members().filter(|member| is_readable(member.name)) {
        list.add(member.name, member.weight);
    }
    let mut values = headers.get_all("accept-encoding");
    if values.any(|value| value.contains(&b'*'))
        && let Some(any) = members().find(|member| member.name == "*")
    {
        if any.is_refused() {
            list.add("*", any.weight);
        } else {
            let codings = Coding::ALL
                .into_iter()
                .filter(|coding| readable.has(*coding));
            for name in codings.map(Coding::name).chain(["identity"]) {
                if !members().any(|member| member.is(name)) {
                    list.add(name, any.weight);
                }
            }
        }
    }
    match HeaderValue::try_from(list.text.as_str()) {
        Ok(value) if list.accepts => value,
        _ => IDENTITY,
    }
}

/// The list that goes on.
struct List {
    text: String,
    /// Something on it may be sent.
    accepts: bool,
}

impl List {
    fn add(&mut self, name: &str, weight: &str) {
        let member = Member { name, weight };
        self.accepts |= !member.is_refused();
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        self.text.push_str(name);
        if weight != "1" {
            self.text.push_str(";q=");
            self.text.push_str(weight);
        }
    }
}

impl<'a> Member<'a> {
    /// One member of the list; nothing where it is none that the grammar has.
    fn parse(text: &'a str) -> Option<Member<'a>> {
        let (name, parameter) = match text.split_once(';') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let name = name.trim_matches([' ', '\t']);
        if name.is_empty() {
            return None;
        }
        let weight = match parameter {
            None => "1",
            Some(parameter) => {
                let (q, weight) = parameter.split_once('=')?;
                let weight = weight.trim_matches([' ', '\t']);
                let is_q = q.trim_matches([' ', '\t']).eq_ignore_ascii_case("q");
                (is_q && is_weight(weight)).then_some(weight)?
            }
        };
        Some(Member { name, weight })
    }

    fn is_refused(&self) -> bool {
        self.weight.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    }

    fn is(&self, name: &str) -> bool {
        match Coding::named(name.as_bytes()) {
            Some(coding) => Coding::named(self.name.as_bytes()) == Some(coding),
            None => self.name.eq_ignore_ascii_case(name),
        }
    }
}

/// `0` to `1` with up to three digits (RFC 9110 section 12.4.2).
fn is_weight(text: &str) -> bool {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let allowed = |byte: u8| match whole {
        "0" => byte.is_ascii_digit(),
        _ => byte == b'0',
    };
    matches!(whole, "0" | "1") && digits.len() <= 3 && digits.bytes().all(allowed)
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
            (&["br, identity;q=0"], "identity"),
            (&["br"], "identity"),
            (&["identity"], "identity"),
            (&[""], "identity"),
            (&[], "identity"),
            (&["GZIP ; Q=0.50 ,br"], "GZIP;q=0.50"),
            // Nobody can say what these mean.
            (&["gzip;q=2"], "identity"),
            (&["gzip;level=9"], "identity"),
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
