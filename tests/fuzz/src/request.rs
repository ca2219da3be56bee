//! A request as text: the method and the path on one line, then a header a line.

use http_message::{HeaderEdits, HeaderMap, HeaderWrite, RequestHead};

/// Header pairs.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads a request; whatever the text, it is one.
pub(crate) fn read(text: &[u8]) -> RequestHead {
    let mut lines = text.split(|byte| *byte == b'\n');
    let (method, path) = cut(lines.next().unwrap_or_default(), b' ');
    let mut pairs: Pairs = vec![
        (b":method".to_vec(), method.to_vec()),
        (b":authority".to_vec(), b"api.gatehouse.test".to_vec()),
        (b":path".to_vec(), path.to_vec()),
    ];
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = cut(line, b':');
        // As the host hands them over. Only it makes pseudo headers.
        if !name.is_empty() {
            pairs.push((name.to_ascii_lowercase(), value.trim_ascii().to_vec()));
        }
    }
    RequestHead::new(HeaderMap::from_pairs(pairs))
}

fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, &[]),
    }
}

/// The headers as they are after the host has done what it was told.
pub(crate) fn after(head: &RequestHead, edits: &HeaderEdits) -> Pairs {
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    let mut headers: Pairs = head.headers().iter().map(owned).collect();
    for write in edits.writes(head.headers()) {
        match write {
            HeaderWrite::Remove(name) => headers.retain(|(is, _)| is != name),
            HeaderWrite::Replace(name, value) => {
                headers.retain(|(is, _)| is != name);
                headers.push(owned((name, value)));
            }
            HeaderWrite::Add(name, value) => headers.push(owned((name, value))),
        }
    }
    headers
}

/// The name as some upstream may read it (CGI): no difference between letters of two cases, nor between `-`, `_` and `.`.
pub(crate) fn folded(name: &[u8]) -> Vec<u8> {
    let fold = |byte: &u8| match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    name.iter().map(fold).collect()
}
