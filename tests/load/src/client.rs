//! Requests over connections that stay open: one thread, so that the load takes one processor and Envoy the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Connections to one listener.
#[derive(Debug)]
pub(crate) struct Client(Vec<Connection>);

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Requests under way at once. A worker of a busy gateway finds several whenever it looks.
const CONNECTIONS: usize = 16;

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, String> {
        let connect = || -> std::io::Result<Connection> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(Connection {
                stream,
                buffer: vec![0; 256 * 1024],
            })
        };
        (0..CONNECTIONS)
            .map(|_| connect().map_err(|error| format!("{address}: {error}")))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Sends `count` requests, one of the heads after another, and checks the status of each answer.
    pub(crate) fn send(
        &mut self,
        heads: &mut impl Iterator<Item = Vec<u8>>,
        count: usize,
        status: u16,
    ) -> Result<usize, String> {
        let mut sent = 0;
        while sent < count {
            for connection in &mut self.0 {
                let head = heads.next().ok_or("no request is left")?;
                connection
                    .stream
                    .write_all(&head)
                    .map_err(|error| error.to_string())?;
            }
            for connection in &mut self.0 {
                connection.receive(status)?;
                sent += 1;
            }
        }
        Ok(sent)
    }
}

impl Connection {
    /// Reads one answer to its end.
    fn receive(&mut self, wanted: u16) -> Result<(), String> {
        let mut filled = 0;
        let mut head: Option<Head> = None;
        loop {
            let room = self
                .buffer
                .get_mut(filled..)
                .ok_or("the answer is too long")?;
            let count = self.stream.read(room).map_err(|error| error.to_string())?;
            if count == 0 {
                return Err("the connection was closed".into());
            }
            filled += count;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            if head.is_none() {
                head = Head::parse(bytes)?;
            }
            let Some(head) = &head else { continue };
            if head.status != wanted {
                let text = String::from_utf8_lossy(bytes);
                return Err(format!(
                    "status {} in place of {wanted}: {text}",
                    head.status
                ));
            }
            let done = match head.content_length {
                Some(length) => filled >= head.end + length,
                None => bytes.ends_with(b"\r\n0\r\n\r\n"),
            };
            if done {
                return Ok(());
            }
        }
    }
}

#[derive(Debug)]
struct Head {
    status: u16,
    /// None: the body comes in chunks.
    content_length: Option<usize>,
    end: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .ok_or_else(|| format!("not an answer: {text}"))?;
        let content_length = lines
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| *name == "content-length")
            .and_then(|(_, value)| value.parse().ok());
        Ok(Some(Self {
            status,
            content_length,
            end: end + 4,
        }))
    }
}
