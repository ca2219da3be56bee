//! Bytes as they are, for what no HTTP library sends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::block_on;
use crate::{Client, ClientError};

/// Most bytes of an answer that are read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// One whole HTTP/1.1 answer; interim (1xx) answers do not count.
    OneAnswer,
    /// Everything until the other side closes.
    ToTheEnd,
}

/// Bytes that came back.
#[derive(Clone, Debug)]
pub struct RawAnswer(pub Vec<u8>);

impl RawAnswer {
    /// Status of the first answer that is not interim; none if nothing like an answer came.
    pub fn status(&self) -> Option<u16> {
        let mut rest = self.0.as_slice();
        loop {
            let head = Head::read(rest)?;
            if !head.interim() {
                return Some(head.status);
            }
            rest = rest.get(head.length..)?;
        }
    }

    /// The bytes as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl Client {
    /// Sends bytes as they are (over TLS if the client has it) and reads what comes back. The connection may be closed by
    /// the other side while we still write: what it said until then is the answer.
    ///
    /// # Panics
    /// If what was to be read does not come in time.
    pub fn raw(&self, bytes: &[u8], read: Read) -> RawAnswer {
        self.try_raw(bytes, read)
            .unwrap_or_else(|error| panic!("raw request: {error}"))
    }

    /// As [`Client::raw`], for tests of what must not be answered.
    pub fn try_raw(&self, bytes: &[u8], read: Read) -> Result<RawAnswer, ClientError> {
        block_on(async {
            let (mut input, mut output) = tokio::io::split(self.open().await?);
            let write = async {
                // An error here shows as the end of what can be read.
                let _ = output.write_all(bytes).await;
                let _ = output.flush().await;
                std::future::pending::<()>().await;
            };
            let collect = async {
                let mut answer = Vec::new();
                let mut chunk = vec![0; 16 * 1024];
                while answer.len() < MAX_ANSWER && !(read == Read::OneAnswer && whole(&answer)) {
                    match input.read(&mut chunk).await {
                        Ok(0) => break,
                        Ok(count) => answer.extend_from_slice(&chunk[..count]),
                        // A reset, or TLS closed without a word: the end, if there was an answer before it.
                        Err(_) if !answer.is_empty() => break,
                        Err(error) => return Err(ClientError::broken(error)),
                    }
                }
                Ok(RawAnswer(answer))
            };
            tokio::select! {
                answer = collect => answer,
                () = write => unreachable!("writing never ends"),
            }
        })
    }
}

/// Head of an HTTP/1.1 answer.
struct Head {
    status: u16,
    /// Bytes, with the empty line.
    length: usize,
    content_length: Option<usize>,
    chunked: bool,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let length = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..length]).to_ascii_lowercase();
        let mut lines = text.split("\r\n");
        let status = lines
            .next()?
            .strip_prefix("http/1.")?
            .split(' ')
            .nth(1)?
            .parse()
            .ok()?;
        let mut head = Self {
            status,
            length,
            content_length: None,
            chunked: false,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name {
                "content-length" => head.content_length = value.trim().parse().ok(),
                "transfer-encoding" => head.chunked = value.contains("chunked"),
                _ => {}
            }
        }
        Some(head)
    }

    fn interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Whether one answer is complete. An answer without a length ends with the connection.
fn whole(mut bytes: &[u8]) -> bool {
    loop {
        let Some(head) = Head::read(bytes) else {
            return false;
        };
        let rest = &bytes[head.length..];
        if head.interim() {
            bytes = rest;
            continue;
        }
        return match (head.status, head.content_length) {
            (101 | 204 | 304, _) => true,
            _ if head.chunked => {
                rest.starts_with(b"0\r\n\r\n") || rest.windows(7).any(|end| end == b"\r\n0\r\n\r\n")
            }
            (_, Some(length)) => rest.len() >= length,
            (_, None) => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Without it a raw test would wait for its deadline, or take half an answer for a whole one.
    #[test]
    fn an_answer_is_whole_when_its_framing_says_so() {
        assert!(!whole(b"HTTP/1.1 200 OK\r\n"));
        assert!(!whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"));
        assert!(whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
        assert!(!whole(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
        ));
        assert!(whole(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        ));
        assert!(!whole(b"HTTP/1.1 100 Continue\r\n\r\n"));
        assert!(whole(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
        ));
        let answer =
            RawAnswer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n".to_vec());
        assert_eq!(answer.status(), Some(403));
        assert_eq!(RawAnswer(Vec::new()).status(), None);
    }
}
