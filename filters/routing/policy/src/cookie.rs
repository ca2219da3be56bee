//! The cookie that keeps a caller in its group (RFC 6265).

use http_message::{HeaderValue, RequestHead, cookies};

/// The longest value that is taken; our own have 32 bytes.
const MAX_BYTES: usize = 64;

/// The value of the cookie, if the request has it once. A value of another form than ours is none: a client that makes up its own
/// gets one of ours.
pub(crate) fn find<'a>(head: &'a RequestHead, name: &str) -> Option<&'a [u8]> {
    let mut values = cookies(head.headers(), name);
    let value = values.next()?;
    let fits =
        (1..=MAX_BYTES).contains(&value.len()) && value.iter().all(u8::is_ascii_alphanumeric);
    (fits && values.next().is_none()).then_some(value)
}

/// A new value, and the `set-cookie` that hands it to the client. Scripts need not read it.
pub(crate) fn make(name: &str, max_age_s: u64, random: [u8; 16]) -> Option<(Vec<u8>, HeaderValue)> {
    let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let header =
        format!("{name}={value}; Max-Age={max_age_s}; Path=/; Secure; HttpOnly; SameSite=Lax");
    let header = HeaderValue::try_from(header.as_str()).ok()?;
    Some((value.into_bytes(), header))
}

#[cfg(test)]
mod tests {
    use http_message::HeaderMap;

    use super::*;

    fn found(cookies: &[&str]) -> Option<String> {
        let pairs = cookies.iter().map(|value| ("cookie", *value));
        let head = RequestHead::new(HeaderMap::from_pairs(pairs));
        find(&head, "group").map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    // A caller that is told by another's cookie would change its group with it.
    #[test]
    fn the_cookie_is_found_by_its_name() {
        for (cookies, value) in [
            (&["group=abc1"][..], Some("abc1")),
            (&["a=1; group=abc1; b=2"], Some("abc1")),
            (&["a=1", "group=abc1"], Some("abc1")),
            (&["xgroup=abc1; group2=abc1"], None),
            (&["Group=abc1"], None),
            (&["group=a; group=b"], None),
            (&["group=a", "group=b"], None),
            (&["group="], None),
            (&["group"], None),
            (&["group=a b"], None),
            (&["group=\"abc\""], None),
            (&[], None),
        ] {
            assert_eq!(found(cookies).as_deref(), value, "{cookies:?}");
        }
        assert_eq!(found(&[&format!("group={}", "a".repeat(65))]), None);
    }

    #[test]
    fn a_cookie_that_was_made_is_found() {
        let (value, header) = make("group", 60, [0xab; 16]).unwrap();
        let header = std::str::from_utf8(header.as_bytes()).unwrap();
        assert_eq!(
            header,
            "group=abababababababababababababababab; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
        let pair = header.split_once(';').unwrap().0;
        assert_eq!(found(&[pair]).map(String::into_bytes), Some(value));
    }
}
