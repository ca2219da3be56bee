//! `traceparent`, by which a request is followed from service to service (W3C Trace Context).

use http_message::{HeaderEdits, HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes one where there is none that can be read. `tracestate` belongs to the one that it came with, and goes (section 2.3).
pub(crate) fn ensure(headers: &HeaderMap, draw: [u8; 24], edits: &mut HeaderEdits) {
    let values = edits.values(TRACEPARENT.as_bytes(), headers);
    if let [value] = values.as_slice()
        && is_valid(value.as_bytes())
        && edits.knows_all(TRACEPARENT.as_bytes(), headers)
    {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(make(draw)) {
        edits.set(TRACEPARENT, value);
        edits.remove(b"tracestate");
    }
}

/// Whether the request has one that stays if no edit touches it.
pub(crate) fn is_there(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all("traceparent");
    values.next().is_some_and(is_valid) && values.next().is_none()
}

/// Version 00. The flag says "sampled": then services sample as they would had they no parent at all, while without it those
/// that go by their parent would record nothing.
fn make(draw: [u8; 24]) -> String {
    let mut text = String::from("00-");
    for (index, byte) in draw.into_iter().enumerate() {
        if index == 16 {
            text.push('-');
        }
        // No id is all zeros: a last byte that is zero becomes one.
        let is_last = matches!(index, 15 | 23);
        crate::hex::push(if is_last && byte == 0 { 1 } else { byte }, &mut text);
    }
    text.push_str("-01");
    text
}

/// Section 3.2: `version-traceid-parentid-flags`; a version that is not known may have more behind these.
fn is_valid(value: &[u8]) -> bool {
    let is_hex = |part: &[u8]| {
        part.iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
    };
    let Some((known, more)) = value.split_at_checked(55) else {
        return false;
    };
    let parts: Vec<&[u8]> = known.split(|byte| *byte == b'-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else {
        return false;
    };
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| is_hex(part))
        && *version != b"ff"
        && [trace, parent]
            .iter()
            .all(|id| id.iter().any(|byte| *byte != b'0'))
        && (more.is_empty() || *version != b"00" && more.starts_with(b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn after(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let headers = HeaderMap::from_pairs(pairs.iter().copied());
        let mut edits = HeaderEdits::new();
        ensure(&headers, [7; 24], &mut edits);
        let text = |value: HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        ["traceparent", "tracestate"]
            .into_iter()
            .flat_map(|name| {
                let values = edits.values(name.as_bytes(), &headers);
                values
                    .into_iter()
                    .map(move |value| (name.to_owned(), text(value)))
            })
            .collect()
    }

    #[test]
    fn one_that_can_be_read_stays() {
        for good in [
            GOOD,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later",
        ] {
            let found = after(&[("traceparent", good), ("tracestate", "a=1")]);
            let expected = [("traceparent", good), ("tracestate", "a=1")];
            assert_eq!(
                found,
                expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
            );
            assert!(is_there(&HeaderMap::from_pairs([("traceparent", good)])));
        }
    }

    // A trace that no service can read is lost; one that two clients share joins what does not belong together.
    #[test]
    fn any_other_is_replaced_and_its_state_goes() {
        let made = "00-07070707070707070707070707070707-0707070707070707-01";
        for bad in [
            "",
            "1",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        ] {
            let found = after(&[("traceparent", bad), ("tracestate", "a=1")]);
            assert_eq!(
                found,
                [("traceparent".to_owned(), made.to_owned())],
                "{bad}"
            );
            assert!(!is_there(&HeaderMap::from_pairs([("traceparent", bad)])));
        }
        let twice = [("traceparent", GOOD), ("traceparent", GOOD)];
        assert_eq!(after(&twice).len(), 1);
        assert_eq!(after(&[]), [("traceparent".to_owned(), made.to_owned())]);
        assert!(is_valid(make([0; 24]).as_bytes()));
    }
}
