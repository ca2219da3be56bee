//! Bytes in, their coded form out.

use std::fmt;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::Form;
use crate::fault::Fault;

/// A body that is being encoded.
pub struct Encoder {
    form: Form,
    compress: Compress,
    checksum: Crc,
    state: State,
    /// The members that have ended.
    members: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of a member is written.
    Fresh,
    /// Something has been put in since the last flush.
    Open,
    Flushed,
}

impl Encoder {
    /// What one holds, whatever its body is.
    pub const BYTES: usize = 320 * 1024;
    /// A quarter of the work of the usual 6 for a sixth more bytes (`cargo bench -p content-coding`).
    const LEVEL: u32 = 1;
    /// Room that a call has at least for what comes out.
    const ROOM: usize = 4 * 1024;
    /// Deflate, no name, no time, no system (RFC 1952 section 2.3).
    const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    /// Nothing written yet.
    pub fn new(form: Form) -> Encoder {
        Encoder {
            form,
            compress: Compress::new(Compression::new(Self::LEVEL), form == Form::Zlib),
            checksum: Crc::new(),
            state: State::Fresh,
            members: 0,
        }
    }

    /// Encodes the next bytes, and appends to `out` what is certain of them. The first ones begin a member.
    ///
    /// # Errors
    /// [`Fault::Encoder`]; also where something follows the end of what is no gzip, which has no second member.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.state == State::Fresh {
            self.begin(out)?;
        }
        self.state = State::Open;
        if self.form == Form::Gzip {
            self.checksum.update(bytes);
        }
        self.run(bytes, out, FlushCompress::None)
    }

    /// Appends what is left of all that was put in, so that a reader can have it now. Nothing, if there is nothing new.
    ///
    /// # Errors
    /// [`Fault::Encoder`].
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.state != State::Open {
            return Ok(());
        }
        self.state = State::Flushed;
        self.run(&[], out, FlushCompress::Sync)
    }

    /// Ends the member, if one has begun. More bytes begin another one.
    ///
    /// # Errors
    /// [`Fault::Encoder`].
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.state == State::Fresh {
            return Ok(());
        }
        self.run(&[], out, FlushCompress::Finish)?;
        if self.form == Form::Gzip {
            out.extend_from_slice(&self.checksum.sum().to_le_bytes());
            out.extend_from_slice(&self.checksum.amount().to_le_bytes());
        }
        self.state = State::Fresh;
        self.members = self.members.saturating_add(1);
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.members > 0 {
            if self.form != Form::Gzip {
                return Err(Fault::Encoder);
            }
            self.compress.reset();
            self.checksum.reset();
        }
        if self.form == Form::Gzip {
            out.extend_from_slice(&Self::GZIP_HEADER);
        }
        Ok(())
    }

    /// Until all is taken and, where that is asked for, all has come out.
    fn run(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
        flush: FlushCompress,
    ) -> Result<(), Fault> {
        loop {
            out.reserve(Self::ROOM);
            let (total_in, total_out) = (self.compress.total_in(), self.compress.total_out());
            let status = self
                .compress
                .compress_vec(bytes, out, flush)
                .map_err(|_| Fault::Encoder)?;
            let read = self.compress.total_in().saturating_sub(total_in);
            let has_written = self.compress.total_out() > total_out;
            let read = usize::try_from(read).unwrap_or(usize::MAX);
            bytes = bytes.get(read..).unwrap_or_default();
            let has_room = out.capacity() > out.len();
            match flush {
                FlushCompress::Finish if status == Status::StreamEnd => return Ok(()),
                FlushCompress::Finish => {}
                _ if bytes.is_empty() && has_room => return Ok(()),
                _ => {}
            }
            if read == 0 && !has_written {
                return Err(Fault::Encoder);
            }
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("form", &self.form)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
