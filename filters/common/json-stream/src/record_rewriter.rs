//! Changes a stream of JSON documents as it streams by: each is a record of its own.

use std::rc::Rc;

use crate::bindings::Bindings;
use crate::broken::{Broken, Fault};
use crate::event_stream::{EventStream, Piece};
use crate::json_rewriter::{Cut, JsonRewriter};
use crate::operation::Program;

/// How documents follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordForm {
    /// Each on a line: `application/x-ndjson`, `application/jsonl`. An empty line is no record.
    Lines,
    /// Each behind a record separator, U+001E: `application/json-seq` (RFC 7464).
    Sequence,
    /// Each as the data of an event: `text/event-stream` (HTML, section 9.2). An event without data is no record, and
    /// neither is one whose data is `[DONE]`, by which some interfaces end a stream.
    Events,
}

/// A stream of documents under way. A record goes out as it comes, and so is out as soon as it is complete; what is around
/// it goes out byte by byte as it came. Limits are for each record.
///
/// Where the data of an event has several lines, what ends a line and the name of the field on the next are a blank of the
/// document: where that is left out, so are they. A line that is no data between two that are is refused inside what is
/// left out or held back.
#[derive(Debug)]
pub struct RecordRewriter {
    framing: Framing,
    record: Record,
    rewriter: JsonRewriter,
    /// A record that is no JSON goes on as it came.
    pass: bool,
}

#[derive(Debug)]
enum Framing {
    /// A byte between two records.
    Separator(u8),
    Events(EventStream),
}

/// The record under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Document,
    /// So many bytes of [`DONE`] have come.
    Done(usize),
    /// It goes on unread.
    Passed,
}

/// Behind the bracket by which it could be an array.
const DONE: &[u8] = b"DONE]";

impl RecordRewriter {
    /// Nothing read yet of a message with these bindings. `pass`: a record that is no JSON goes on as it came, unless an
    /// operation has changed something in it before that is seen; it is an error otherwise.
    pub fn new(
        form: RecordForm,
        program: Rc<Program>,
        bindings: Bindings,
        pass: bool,
    ) -> RecordRewriter {
        RecordRewriter {
            framing: match form {
                RecordForm::Lines => Framing::Separator(b'\n'),
                RecordForm::Sequence => Framing::Separator(0x1e),
                RecordForm::Events => Framing::Events(EventStream::new()),
            },
            record: Record::Document,
            rewriter: JsonRewriter::new(program, bindings),
            pass,
        }
    }

    /// Reads the next bytes and appends to `out` what may go on.
    ///
    /// # Errors
    /// As for [`RecordRewriter::rewrite`].
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        if !self.rewrite(chunk, out)? {
            out.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// Reads the next bytes. `true`: what may go on has been appended to `out`; `false`: all of them may, as they came, and
    /// nothing was appended.
    ///
    /// # Errors
    /// A record cannot be read, now or at an earlier call. What has been appended must not go on then. The offset is that in
    /// the stream, the pointer that in the record.
    pub fn rewrite(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<bool, Broken> {
        self.rewriter.check()?;
        let mut cut = self.rewriter.begin_chunk(chunk, out);
        while cut.at < chunk.len() {
            if let Err(fault) = self.step(&mut cut) {
                return Err(self.rewriter.fail(fault, &cut));
            }
        }
        Ok(self.rewriter.end_chunk(cut))
    }

    /// The body is over.
    ///
    /// # Errors
    /// The last record is not complete, or one could not be read.
    pub fn finish(&mut self) -> Result<(), Broken> {
        self.rewriter.check()?;
        match self.record {
            Record::Document if self.rewriter.is_fresh() || self.rewriter.is_complete() => Ok(()),
            // Nothing can be put in any more: what is held back would be lost.
            Record::Document if self.pass && self.rewriter.is_as_it_came() => Ok(()),
            Record::Document => self.rewriter.finish(),
            Record::Done(read) if read < DONE.len() && !self.pass => {
                Err(self.rewriter.incomplete())
            }
            Record::Done(_) | Record::Passed => Ok(()),
        }
    }

    /// What is held beyond a chunk, in bytes: see [`JsonRewriter::held_bytes`].
    pub fn held_bytes(&self) -> usize {
        self.rewriter.held_bytes()
    }

    /// Reads on from the byte at hand, as far as it is of one kind.
    fn step(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let bytes = cut.left();
        let (piece, length) = match &mut self.framing {
            Framing::Separator(separator) => match memchr::memchr(*separator, bytes) {
                Some(0) => (Piece::EventEnd, 1),
                end => (Piece::Data, end.unwrap_or(bytes.len())),
            },
            Framing::Events(events) => events.read(bytes),
        };
        let end = cut.at.saturating_add(length);
        match piece {
            // What ends a line is a blank of the document.
            Piece::Data | Piece::LineEnd => self.data(end, cut),
            Piece::EventEnd => {
                self.record_ended(cut)?;
                cut.skip(length);
                self.rewriter.restart(cut);
                self.record = Record::Document;
                Ok(())
            }
            Piece::Other if self.rewriter.is_undecided(cut) => Err(Fault::Syntax),
            Piece::Framing | Piece::Other => {
                self.rewriter.pass_by(length, cut);
                Ok(())
            }
        }
    }

    fn data(&mut self, end: usize, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        while cut.at < end {
            match self.record {
                Record::Document => {
                    if let Err(fault) = self.rewriter.read_until(end, cut) {
                        let is_done = matches!(self.framing, Framing::Events(_))
                            && fault == Fault::Syntax
                            && self.rewriter.is_open_array()
                            && cut.rest().first() == DONE.first();
                        self.record = match is_done {
                            true => Record::Done(0),
                            false => self.undecodable(fault, cut)?,
                        };
                    }
                }
                Record::Done(read) => {
                    let byte = cut.left().first();
                    let is_blank = byte.is_some_and(u8::is_ascii_whitespace);
                    if byte == DONE.get(read) {
                        self.record = Record::Done(read.saturating_add(1));
                        cut.skip(1);
                    } else if is_blank && read == DONE.len() {
                        cut.skip(1);
                    } else {
                        self.record = self.undecodable(Fault::Syntax, cut)?;
                    }
                }
                Record::Passed => cut.skip(end.saturating_sub(cut.at)),
            }
        }
        Ok(())
    }

    fn record_ended(&mut self, cut: &mut Cut<'_, '_>) -> Result<(), Fault> {
        let is_whole = match self.record {
            Record::Document => self.rewriter.is_fresh() || self.rewriter.is_complete(),
            Record::Done(read) => read == DONE.len(),
            Record::Passed => true,
        };
        if !is_whole {
            self.undecodable(Fault::Incomplete, cut)?;
        }
        Ok(())
    }

    /// What becomes of a record that cannot be read.
    fn undecodable(&mut self, fault: Fault, cut: &mut Cut<'_, '_>) -> Result<Record, Fault> {
        if self.pass && fault.is_undecodable() && self.rewriter.give_up(cut) {
            return Ok(Record::Passed);
        }
        Err(fault)
    }
}
