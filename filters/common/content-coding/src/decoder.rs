//! Coded bytes in, slices of what they mean out.

use std::fmt;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::Form;
use crate::caps::Caps;
use crate::coding::Coding;
use crate::fault::Fault;
use crate::gzip_header::GzipHeader;

/// A body that is being decoded.
pub struct Decoder {
    state: State,
    form: Form,
    inflate: Decompress,
    /// The slice at hand.
    slice: Vec<u8>,
    /// The last call may have left something for which the slice had no room.
    is_pending: bool,
    /// Of the member at hand: what its trailer has to say.
    checksum: Crc,
    caps: Caps,
    consumed: u64,
    decoded: u64,
    members: u64,
    /// The last bytes that were read, the newest lowest.
    tail: u32,
}

#[derive(Debug)]
enum State {
    /// Before the first byte of `deflate`.
    Start,
    /// After this one, with which a zlib header may begin.
    Wrapper(u8),
    Header(GzipHeader),
    Data,
    /// The gzip trailer, as far as it has come.
    Trailer {
        bytes: u64,
        count: u32,
    },
    /// A member has closed, and nobody has been told.
    Over,
    /// After a member, or the only one.
    Ended,
    Failed(Fault),
}

/// [`Step`], without the bytes.
enum Done {
    Decoded(usize),
    Ended,
    NeedsInput,
}

/// What a decoder has done.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// These are the next bytes of the body, at least one, and how they were wrapped.
    Decoded(&'a [u8], Form),
    /// A gzip member, or all there is, is over, and its checksum agrees. Only another gzip member may follow.
    Ended,
    /// The input is used up.
    NeedsInput,
}

impl Decoder {
    /// The most bytes that one call hands out.
    pub const SLICE: usize = 16 * 1024;
    /// What one holds, whatever its body is: the window of 32 KiB, the tables, and the slice.
    pub const BYTES: usize = 64 * 1024;

    /// Nothing read yet.
    pub fn new(coding: Coding, caps: Caps) -> Decoder {
        let (state, form) = match coding {
            Coding::Gzip => (State::Header(GzipHeader::new()), Form::Gzip),
            Coding::Deflate => (State::Start, Form::Zlib),
        };
        Decoder {
            state,
            form,
            inflate: Decompress::new(false),
            slice: vec![0; Self::SLICE],
            is_pending: false,
            checksum: Crc::new(),
            caps,
            consumed: 0,
            decoded: 0,
            members: 0,
            tail: u32::MAX,
        }
    }

    /// Whether whoever encodes the body has flushed what it had: the last bytes are those of an empty block, as zlib's
    /// `Z_SYNC_FLUSH` writes it.
    pub fn is_flushed(&self) -> bool {
        self.tail == 0x0000_ffff
    }

    /// Reads on, and takes from `input` what it has read. To be called until it needs input.
    ///
    /// # Errors
    /// The data cannot be read, now or at an earlier call, or passes a cap.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Step<'_>, Fault> {
        match self.advance(input) {
            Ok(Done::Decoded(length)) => {
                let bytes = self.slice.get(..length).unwrap_or_default();
                Ok(Step::Decoded(bytes, self.form))
            }
            Ok(Done::Ended) => Ok(Step::Ended),
            Ok(Done::NeedsInput) => Ok(Step::NeedsInput),
            Err(fault) => {
                self.state = State::Failed(fault);
                Err(fault)
            }
        }
    }

    /// The body is over.
    ///
    /// # Errors
    /// The coded data is not, or could not be read.
    pub fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Ended => Ok(()),
            State::Failed(fault) => Err(fault),
            _ => Err(Fault::Incomplete),
        }
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Done, Fault> {
        loop {
            let byte = input.first().copied();
            match (&mut self.state, byte) {
                (State::Failed(fault), _) => return Err(*fault),
                (State::Data, _) => {
                    if let Some(done) = self.inflate(input)? {
                        return Ok(done);
                    }
                }
                (State::Over, _) => {
                    self.state = State::Ended;
                    return Ok(Done::Ended);
                }
                (_, None) => return Ok(Done::NeedsInput),
                (State::Start, Some(byte)) => {
                    // Nothing of it is taken where the wrapper is told by this byte alone.
                    if is_zlib_method(byte) {
                        self.take(input, 1);
                        self.state = State::Wrapper(byte);
                    } else {
                        self.begin(Form::Raw)?;
                    }
                }
                (State::Wrapper(first), Some(second)) => {
                    let first = *first;
                    let is_zlib = u16::from_be_bytes([first, second]).is_multiple_of(31);
                    self.begin(if is_zlib { Form::Zlib } else { Form::Raw })?;
                    // One byte of either form decodes to nothing.
                    self.inflate
                        .decompress(&[first], &mut self.slice, FlushDecompress::None)
                        .map_err(|_| Fault::Corrupt)?;
                }
                (State::Header(header), _) => {
                    let (length, is_over) = header.read(input)?;
                    self.take(input, length);
                    if is_over {
                        self.begin(Form::Gzip)?;
                    }
                }
                (State::Trailer { bytes, count }, Some(byte)) => {
                    *bytes |= u64::from(byte) << (8_u32.saturating_mul(*count));
                    *count = count.saturating_add(1);
                    let whole = (*count == 8).then_some(*bytes);
                    self.take(input, 1);
                    if let Some(bytes) = whole {
                        // The length is that modulo 2^32, as the counter here.
                        let expected = u64::from(self.checksum.amount()) << 32
                            | u64::from(self.checksum.sum());
                        if bytes != expected {
                            return Err(Fault::Corrupt);
                        }
                        self.state = State::Over;
                    }
                }
                // Some pad with zeros, some append what a careless reader would not see: neither is a body.
                (State::Ended, Some(byte)) => {
                    if self.form != Form::Gzip || byte != 0x1f {
                        return Err(Fault::TrailingData);
                    }
                    self.state = State::Header(GzipHeader::new());
                }
            }
        }
    }

    /// One call of the decoder's. `None`: the state has changed, or there is more to read.
    fn inflate(&mut self, input: &mut &[u8]) -> Result<Option<Done>, Fault> {
        // What is left in the decoder may come out without another byte.
        if input.is_empty() && !self.is_pending {
            return Ok(Some(Done::NeedsInput));
        }
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, &mut self.slice, FlushDecompress::None)
            .map_err(|_| Fault::Corrupt)?;
        let read = self.inflate.total_in().saturating_sub(total_in);
        let written = self.inflate.total_out().saturating_sub(total_out);
        self.take(input, usize::try_from(read).unwrap_or(usize::MAX));
        self.is_pending = written > 0;
        self.decoded = self.decoded.saturating_add(written);
        let received = self.consumed.saturating_add(length_of(input));
        self.caps.check(received, self.decoded)?;
        let length = usize::try_from(written).unwrap_or(usize::MAX);
        if self.form == Form::Gzip {
            self.checksum
                .update(self.slice.get(..length).unwrap_or_default());
        }
        if status == Status::StreamEnd {
            self.state = match self.form {
                Form::Gzip => State::Trailer { bytes: 0, count: 0 },
                Form::Zlib | Form::Raw => State::Over,
            };
        } else if read == 0 && written == 0 && !input.is_empty() {
            return Err(Fault::Corrupt);
        }
        Ok((written > 0).then_some(Done::Decoded(length)))
    }

    /// The next member.
    fn begin(&mut self, form: Form) -> Result<(), Fault> {
        self.members = self.members.saturating_add(1);
        Caps::check_members(self.consumed, self.members)?;
        if self.members > 1 || form == Form::Zlib {
            self.inflate.reset(form == Form::Zlib);
        }
        self.checksum.reset();
        self.is_pending = false;
        self.form = form;
        self.state = State::Data;
        Ok(())
    }

    fn take(&mut self, input: &mut &[u8], length: usize) {
        let (taken, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        for byte in taken.iter().skip(taken.len().saturating_sub(4)) {
            self.tail = self.tail << 8 | u32::from(*byte);
        }
        self.consumed = self.consumed.saturating_add(length_of(taken));
        *input = rest;
    }
}

/// Whether a zlib header may begin so (RFC 1950 section 2.2). Raw data that does would be a stored block with bits set that
/// encoders leave zero.
fn is_zlib_method(first: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("state", &self.state)
            .field("form", &self.form)
            .field("consumed", &self.consumed)
            .field("decoded", &self.decoded)
            .finish_non_exhaustive()
    }
}
