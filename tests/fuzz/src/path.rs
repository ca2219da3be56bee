//! Any bytes as a path: what is taken for one has one reading.

use http_message::{CanonicalPath, PathError};

/// # Panics
/// A path is taken that some parser would read as another.
pub fn run(input: &[u8]) {
    let Ok(path) = CanonicalPath::parse(input) else {
        return;
    };
    let text = path.as_str();
    let encoded = path.encode();
    let again = CanonicalPath::parse(encoded.as_bytes());
    match encoded.len() > CanonicalPath::MAX_BYTES {
        true => assert_eq!(again, Err(PathError::TooLong)),
        false => assert_eq!(again.as_ref(), Ok(&path)),
    }
    let raw = input.split(|byte| *byte == b'?').next().unwrap_or_default();
    assert_eq!(
        decoded(raw).as_deref(),
        Some(text.as_bytes()),
        "decoded once"
    );
    assert!(!text.contains(['\\', ';']) && !text.chars().any(|letter| letter.is_ascii_control()));
    let segments: Vec<_> = text.split('/').collect();
    assert_eq!(segments[0], "");
    assert!(
        !segments[1..]
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
    );
    assert!(!segments[1..segments.len() - 1].contains(&""));
    assert!(
        segments
            .iter()
            .eq(std::iter::once(&"").chain(&path.segments().collect::<Vec<_>>()))
    );
    assert!(path.is_under(&path));
}

/// Percent-decoded, as the simplest of servers does.
fn decoded(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        out.push(if *byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            rest = &after[2..];
            u8::from_str_radix(digits, 16).ok()?
        } else {
            *byte
        });
    }
    Some(out)
}

/// Paths, and what attackers make of them.
pub fn seeds() -> Vec<Vec<u8>> {
    let paths: [&[u8]; 18] = [
        b"/",
        b"/users/17?x=%2f",
        b"/a/",
        b"//a",
        b"/a/../b",
        b"/a/%2e%2e/b",
        b"/a%2fb",
        b"/a%5Cb",
        b"/a;x=1/b",
        b"/%252e",
        b"/caf%C3%A9",
        b"/\xc3\xa9",
        b"/%c0%af",
        b"/a%00",
        b"*",
        b"http://a/b",
        b"/a#b",
        b"/%e2%82%ac/%F0%9F%98%80",
    ];
    paths.map(<[u8]>::to_vec).to_vec()
}
