//! Cookies of a request (RFC 6265).

use crate::header_map::HeaderMap;

/// The values of the cookie, in all `cookie` headers (RFC 6265 section 4.2.1). Letter case of the name matters. What is in
/// quotes keeps them.
pub fn cookies<'a, 'n>(
    headers: &'a HeaderMap,
    name: &'n str,
) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(b"cookie"))
        .flat_map(|(_, line)| line.split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // HTTP/1 may spread cookies over several headers, and a client may send one twice.
    #[test]
    fn every_value_is_found() {
        for (lines, values) in [
            (&["a=1"][..], &["1"][..]),
            (&["a=1; b=2;a=3"], &["1", "3"]),
            (&["b=2", "a=1"], &["1"]),
            (&["a=\"x y\"; a=b=c"], &["\"x y\"", "b=c"]),
            (&["a="], &[""]),
            (&["xa=1; a2=1; A=1; a"], &[]),
            (&[], &[]),
        ] {
            let headers = HeaderMap::from_pairs(lines.iter().map(|line| ("cookie", *line)));
            let found: Vec<&[u8]> = cookies(&headers, "a").collect();
            let expected: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }
}
