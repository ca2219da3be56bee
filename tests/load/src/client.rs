//! Requests over connections that stay open: one thread, so that the load takes one processor and Envoy's worker another.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Requests under way at once, one on each connection: the worker always finds the next, as that of a busy gateway does.
const CONNECTIONS: usize = 32;

/// Looks at a connection between two looks at the clock.
const LOOKS: usize = 1024;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Connections to one listener.
#[derive(Debug)]
pub(crate) struct Client(Vec<Connection>);

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as it came, chunked or not.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// The status line and the headers, their names in lower case as Envoy writes them.
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, String> {
        let connect = || -> std::io::Result<Connection> {
            let stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(Connection {
                stream,
                buffer: vec![0; 64 * 1024],
            })
        };
        (0..CONNECTIONS)
            .map(|_| connect().map_err(|error| format!("no connection to {address}: {error}")))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Sends one request and hands its answer to `look`.
    pub(crate) fn ask<R>(
        &mut self,
        request: &[u8],
        look: impl FnOnce(&Answer<'_>) -> R,
    ) -> Result<R, String> {
        let connection = self.0.first_mut().ok_or("there is no connection")?;
        connection.send(request)?;
        connection.receive().map(|answer| look(&answer))
    }

    /// Sends `count` requests, each as soon as its connection is free, and checks the status of each answer.
    pub(crate) fn send<'r>(
        &mut self,
        mut next: impl FnMut() -> &'r [u8],
        count: usize,
        status: u16,
    ) -> Result<(), String> {
        let under_way = self.0.len().min(count);
        for connection in self.0.iter_mut().take(under_way) {
            connection.send(next())?;
        }
        let mut left = count - under_way;
        let mut awaited = count;
        while awaited > 0 {
            for connection in self.0.iter_mut().take(under_way.min(awaited)) {
                connection.receive()?.check(status)?;
                awaited -= 1;
                if left > 0 {
                    connection.send(next())?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }
}

impl Answer<'_> {
    fn check(&self, wanted: u16) -> Result<(), String> {
        match self.status == wanted {
            true => Ok(()),
            false => Err(format!(
                "answered {}, not {wanted}: {} {}",
                self.status,
                self.head,
                String::from_utf8_lossy(self.body.get(..200).unwrap_or(self.body))
            )),
        }
    }
}

impl Connection {
    /// A request is smaller than the kernel's buffer, which is empty when one is sent.
    fn send(&mut self, request: &[u8]) -> Result<(), String> {
        self.stream
            .write_all(request)
            .map_err(|error| format!("a request could not be sent: {error}"))
    }

    /// Reads what has come, without ever sleeping: to wake a sleeping client would be work of the worker's.
    fn read(&mut self, filled: usize) -> std::io::Result<usize> {
        let room = self.buffer.get_mut(filled..).unwrap_or_default();
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            for _ in 0..LOOKS {
                match self.stream.read(room) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                    outcome => return outcome,
                }
            }
            if Instant::now() > deadline {
                return Err(ErrorKind::TimedOut.into());
            }
            // Where both have to share one processor.
            std::thread::yield_now();
        }
    }

    /// Reads one answer to its end.
    fn receive(&mut self) -> Result<Answer<'_>, String> {
        let mut filled = 0;
        let mut head: Option<Head> = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let count = self
                .read(filled)
                .map_err(|error| self.explain(&error, filled))?;
            if count == 0 {
                return Err(self.explain(&ErrorKind::UnexpectedEof.into(), filled));
            }
            filled += count;
            let bytes = self.buffer.get(..filled).unwrap_or_default();
            if head.is_none() {
                head = Head::parse(bytes)?;
            }
            if head.as_ref().is_some_and(|head| head.is_whole(bytes)) {
                break;
            }
        }
        let Head { status, end, .. } = head.ok_or("there is no head")?;
        let (head, body) = self
            .buffer
            .get(..filled)
            .and_then(|bytes| bytes.split_at_checked(end))
            .unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(|error| error.to_string())?;
        Ok(Answer { status, head, body })
    }

    fn explain(&self, error: &std::io::Error, filled: usize) -> String {
        let so_far = self.buffer.get(..filled.min(400)).unwrap_or_default();
        format!(
            "the answer did not end ({error}); {filled} bytes have come: {}",
            String::from_utf8_lossy(so_far)
        )
    }
}

#[derive(Debug)]
struct Head {
    status: u16,
    /// None: the body comes in chunks.
    content_length: Option<usize>,
    /// Bytes of the head.
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

    fn is_whole(&self, bytes: &[u8]) -> bool {
        match self.content_length {
            Some(length) => bytes.len() >= self.end + length,
            None => bytes.ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}
