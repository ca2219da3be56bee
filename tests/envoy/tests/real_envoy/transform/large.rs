//! Answers that are larger than anybody would hold.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use envoy_harness::Gateway;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{load_assignment, single};
use crate::is_long;

const HELD_BYTES: &str = "wasmcustom.gatehouse.transform.held_bytes";

/// `Body::PART`, by which the filter works coded bodies off, and a slice of Envoy's buffers. The chunks that Envoy hands over are
/// larger, so that three of these are less than three of those.
const CHUNK: u64 = 16 << 10;

/// What may come before the figures are taken with which those after it are compared.
const WARM_UP: u64 = 16 << 20;

/// Resident memory of a process in KiB, now or at most.
pub(super) fn memory(process: u32, member: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(member))
        .expect("a line");
    line.trim_matches(|letter: char| !letter.is_ascii_digit())
        .parse()
        .expect("a number")
}

/// A document that begins, goes on with one piece many times over, and ends.
struct Document {
    start: String,
    piece: String,
    pieces: u64,
}

impl Document {
    const END: &str = "]}";

    /// Of so many MiB, with a secret in each KiB.
    fn new(mib: u64) -> Document {
        // Names that are to be told apart as long as the object is open, so that there is something to hold.
        let names: String = (0..2000).map(|n| format!("\"m{n}\":0,")).collect();
        let letters: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(480)
            .collect();
        let member = format!(
            ", {{\"email\": \"secret@b.test\", \"text\": \"{letters}{}\"}}",
            "x".repeat(490)
        );
        Document {
            start: format!("{{{names}\"customers\": [{{\"email\": \"a@b.test\"}}"),
            piece: member.repeat((1 << 20) / member.len() + 1),
            pieces: mib,
        }
    }

    fn masked(&self) -> Document {
        Document {
            start: self.start.replace("a@b.test", "***"),
            piece: self.piece.replace("secret@b.test", "***"),
            pieces: self.pieces,
        }
    }

    /// Bytes before [`Self::END`].
    fn open_length(&self) -> u64 {
        self.start.len() as u64 + self.piece.len() as u64 * self.pieces
    }

    /// Whether these bytes stand there in it.
    fn has(&self, mut at: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let start = self.start.len() as u64;
            let (text, within) = if at < start {
                (self.start.as_str(), at)
            } else if at < self.open_length() {
                (self.piece.as_str(), (at - start) % self.piece.len() as u64)
            } else {
                (Self::END, at - self.open_length())
            };
            let there = text.as_bytes().get(within as usize..).unwrap_or_default();
            let count = there.len().min(bytes.len());
            if count == 0 || there[..count] != bytes[..count] {
                return false;
            }
            at += count as u64;
            bytes = &bytes[count..];
        }
        true
    }

    /// Sends it: what follows the start once that has arrived, and the end once all of that has.
    fn send(&self, body: &mut dyn Write, go: &mpsc::Receiver<()>) -> io::Result<()> {
        let arrived = || go.recv().map_err(io::Error::other);
        body.write_all(self.start.as_bytes())?;
        body.flush()?;
        arrived()?;
        for _ in 0..self.pieces {
            body.write_all(self.piece.as_bytes())?;
        }
        body.flush()?;
        arrived()?;
        body.write_all(Self::END.as_bytes())
    }
}

/// Writes each piece as a chunk of HTTP/1.1.
struct Chunked<'a>(&'a mut TcpStream);

impl Write for Chunked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            write!(self.0, "{:x}\r\n", bytes.len())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads the body of a chunked message. One that breaks off is an error.
struct Dechunked {
    input: BufReader<TcpStream>,
    left: u64,
    is_over: bool,
}

impl Dechunked {
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        let line = line
            .strip_suffix("\r\n")
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(line.to_owned())
    }
}

impl Read for Dechunked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.is_over {
            let line = self.line()?;
            self.left = u64::from_str_radix(&line, 16).map_err(io::Error::other)?;
            self.is_over = self.left == 0;
        }
        if self.is_over {
            return Ok(0);
        }
        let count = self.input.by_ref().take(self.left).read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        if self.left == 0 {
            self.line()?;
        }
        Ok(count)
    }
}

/// The least and the most of something.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: u64,
    most: u64,
}

impl Range {
    fn from(value: u64) -> Range {
        Range {
            least: value,
            most: value,
        }
    }

    fn see(&mut self, value: u64) {
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }
}

/// Answers one request with the document.
fn serve(
    listener: &TcpListener,
    document: &Document,
    is_coded: bool,
    go: &mpsc::Receiver<()>,
) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let coding = if is_coded { "gzip" } else { "identity" };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {coding}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    )?;
    let mut body = Chunked(&mut stream);
    if is_coded {
        let mut encoder = GzEncoder::new(body, Compression::fast());
        document.send(&mut encoder, go)?;
        encoder.finish()?;
    } else {
        document.send(&mut body, go)?;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Sends a large answer through a masking rule, compares it byte by byte, and looks at what is held meanwhile.
fn streams_through(is_coded: bool) {
    let document = Document::new(if is_long() { 1024 } else { 100 });
    let masked = document.masked();
    let (to_upstream, go) = mpsc::channel();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut bootstrap = single(load_assignment(address), false);
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        config["rules"][0]["response"]["codings"] =
            serde_json::json!({ "max_decoded_bytes": "2GiB" });
    });
    // By default Envoy ends an answer that takes longer than 15 s, as it may on a busy machine.
    bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        ["timeout"] = "0s".into();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let envoy = gateway.envoy();
    let process = envoy.process_id();
    std::thread::scope(|scope| {
        let upstream = scope.spawn({
            let (listener, document) = (&listener, &document);
            move || serve(listener, document, is_coded, &go)
        });
        let before = memory(process, "VmRSS:");
        let began = Instant::now();
        let mut client = TcpStream::connect(gateway.h1().address()).expect("Envoy listens");
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket takes a deadline");
        client
            .write_all(
                b"GET /customers HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n",
            )
            .expect("Envoy reads");
        let mut answer = Dechunked {
            input: BufReader::new(client),
            left: 0,
            is_over: false,
        };
        let mut head = vec![];
        while head.last().is_none_or(|line: &String| !line.is_empty()) {
            head.push(answer.line().expect("a head"));
        }
        assert!(head[0].contains("200"), "{head:?}");
        assert_eq!(
            head.contains(&"content-encoding: gzip".to_owned()),
            is_coded
        );
        let mut body: Box<dyn Read> = match is_coded {
            true => Box::new(MultiGzDecoder::new(answer)),
            false => Box::new(answer),
        };
        // Of the last bytes the filter may hold some back until it knows what follows.
        let arrives = [masked.start.len() as u64, masked.open_length()].map(|at| at - 8);
        let (mut total, mut told, mut chunk) = (0, 0, vec![0; 1 << 16]);
        let step = document.open_length() / 400;
        let (mut next_look, mut looks) = (step, 0);
        // Held bytes, and resident memory, from the warm-up on.
        let mut since: Option<(u64, Range, Range)> = None;
        loop {
            let count = body.read(&mut chunk).expect("the answer goes on");
            if count == 0 {
                break;
            }
            assert!(
                masked.has(total, &chunk[..count]),
                "other bytes behind {total}"
            );
            total += count as u64;
            // The document is open as long as the upstream has not been told.
            if total > next_look.max(WARM_UP) && told < 2 {
                next_look = total + step;
                looks += 1;
                let (held, resident) = (envoy.counter(HELD_BYTES), memory(process, "VmRSS:"));
                let (_, all_held, all_resident) =
                    since.get_or_insert((held, Range::from(held), Range::from(resident)));
                all_held.see(held);
                all_resident.see(resident);
            }
            while told < 2 && total >= arrives[told] {
                told += 1;
                to_upstream.send(()).expect("the upstream waits");
            }
        }
        assert_eq!(total, masked.open_length() + Document::END.len() as u64);
        upstream
            .join()
            .expect("the upstream ends")
            .expect("all is sent");
        let grown = memory(process, "VmHWM:").saturating_sub(before);
        let (early, held, resident) = since.expect("more than the warm-up came");
        let risen = resident.most - resident.least;
        eprintln!(
            "{} MiB {}in {:.1} s; held after the first 16 MiB {early} bytes, from then on {} to {} in {looks} looks; \
             Envoy grew by {grown} KiB, by {risen} KiB after the first 16 MiB",
            document.open_length() >> 20,
            if is_coded { "in gzip " } else { "" },
            began.elapsed().as_secs_f64(),
            held.least,
            held.most,
        );
        assert!(looks > 200, "{looks}");
        // The names at least, and with a coding the encoder: a gauge that shows nothing proves nothing.
        let least = if is_coded { 256 << 10 } else { 16 << 10 };
        assert!(early >= least, "{early}");
        assert!(
            held.least + 3 * CHUNK >= early && held.most <= early + 3 * CHUNK,
            "{held:?}"
        );
        assert!(grown < 64 * 1024, "Envoy grew by {grown} KiB");
        assert!(risen < 16 * 1024, "Envoy went on growing, by {risen} KiB");
    });
    envoy.wait_until("nothing is held", |envoy| envoy.counter(HELD_BYTES) == 0);
    // The request at the end is refused at once, rather than waited for.
    drop(listener);
    gateway.assert_filters_alive();
}

// An answer that is held until it is whole takes as much memory as an upstream cares to send.
#[test]
fn a_large_answer_streams_through_in_flat_memory() {
    streams_through(false);
}

// What is inflated and compressed again is a stream as well.
#[test]
fn a_large_answer_in_gzip_streams_through_in_flat_memory() {
    streams_through(true);
}
