//! What curl, or the gRPC client, printed.

use envoy_harness::Echo;

/// An answer as `curl -i` and `upstreams call --include` print it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `HTTP/2 200`
    pub(crate) status_line: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(printed: &str) -> Option<Self> {
        let (head, body) = printed
            .split_once("\r\n\r\n")
            .or_else(|| printed.split_once("\n\n"))?;
        let mut lines = head.lines();
        let status_line = lines.next()?.trim().to_string();
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
            .collect();
        Some(Self {
            status_line,
            status,
            headers,
            body: body.to_string(),
        })
    }

    /// Every value of a header.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// What a replica says that it was sent, if one answered. A gRPC message stands behind five bytes.
    pub(crate) fn echo(&self) -> Option<Echo> {
        serde_json::from_str(self.body.get(self.body.find('{')?..)?.trim_end()).ok()
    }
}
