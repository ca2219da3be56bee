//! One body under way: decoded where it is coded, its document rewritten, and coded again.

use std::fmt;
use std::rc::Rc;

use http_message::ProblemType;
use json_stream::{Bindings, Broken, Fault, Program};

mod coded;
mod rewriter;

use coded::{Coded, Next};
use rewriter::Rewriter;

use crate::config::CodingRule;
use crate::framing::Reading;

/// A body that is looked at as it streams by.
#[derive(Debug)]
pub struct Body {
    state: State,
    /// What it is decoded and encoded with.
    coded: Option<Box<Coded>>,
}

#[derive(Debug)]
enum State {
    /// The message says that there is none.
    Absent,
    /// Its document is read.
    Read {
        rewriter: Rewriter,
        /// A byte has come.
        has_begun: bool,
        /// If what comes now cannot be read, it may go on as it is.
        may_pass: bool,
    },
    /// It goes on unread.
    Passed,
}

/// What becomes of a chunk, or of a part of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The chunk goes on as it came, also where a part of it has been replaced before.
    Same,
    /// This goes on in its place, and there is more of it: ask again.
    Part(Vec<u8>),
    /// This goes on in its place, behind the parts before.
    Replaced(Vec<u8>),
}

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Not a byte came.
    Empty,
    /// Its document went through the operations, to its end.
    Rewritten,
    /// It went on unread.
    Passed,
}

/// Why a body cannot go on. It says nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// Its document.
    Document(Broken),
    /// Its content coding.
    Coding(content_coding::Fault),
}

impl Body {
    /// Once so much has come together it is handed out, with what the encoder lets go at once (under 128 KiB): memory is that of
    /// a part, whatever the chunk inflates to.
    pub const PART: usize = 16 * 1024;

    pub(crate) fn new(
        program: Rc<Program>,
        bindings: Bindings,
        pass: bool,
        reading: Reading,
        codings: &CodingRule,
    ) -> Body {
        Body {
            state: State::Read {
                rewriter: Rewriter::new(reading.form, program, bindings, pass),
                has_begun: false,
                may_pass: pass,
            },
            coded: reading
                .coding
                .map(|coding| Box::new(Coded::new(coding, codings))),
        }
    }

    /// One that its message says is not there. A peer that sends it all the same may find a reader for it: none of it goes on.
    pub(crate) fn absent() -> Body {
        Body {
            state: State::Absent,
            coded: None,
        }
    }

    /// The next chunk, of which this takes what it has read. Where it answers with a part, it is to be called again with what
    /// is left.
    ///
    /// # Errors
    /// The body cannot be read: neither this chunk nor another may go on, and the message must not end as if it were whole.
    /// With `on_undecodable: pass` the first chunk may go on, and all after it; once part of a document has gone on changed,
    /// the rest cannot go on as it is.
    pub fn chunk(&mut self, chunk: &mut &[u8]) -> Result<Chunk, BodyFault> {
        // Also where nothing of the document is among them.
        if let State::Read { has_begun, .. } = &mut self.state {
            *has_begun |= !chunk.is_empty();
        }
        match &mut self.coded {
            Some(coded) => match coded.next(&mut self.state, chunk)? {
                Next::Chunk(chunk) => Ok(chunk),
                Next::PassedAsItCame => {
                    self.coded = None;
                    *chunk = &[];
                    Ok(Chunk::Same)
                }
            },
            None => self.state.plain(std::mem::take(chunk)),
        }
    }

    /// The body is over, by its last chunk or by trailers. Without a byte it is no document, and there is nothing to hide.
    ///
    /// # Errors
    /// The document has not closed, or its coded form: the message must not end as if it were whole.
    pub fn end(self) -> Result<Ended, BodyFault> {
        let is_coded = |coded: Option<Box<Coded>>| coded.map_or(Ok(()), |coded| coded.finish());
        match self.state {
            State::Absent
            | State::Read {
                has_begun: false, ..
            } => Ok(Ended::Empty),
            State::Passed => is_coded(self.coded).map(|()| Ended::Passed),
            State::Read { mut rewriter, .. } => {
                is_coded(self.coded)?;
                rewriter.finish()?;
                Ok(Ended::Rewritten)
            }
        }
    }

    /// The memory that this holds between two chunks, in bytes.
    pub fn held_bytes(&self) -> usize {
        let rewriter = match &self.state {
            State::Read { rewriter, .. } => rewriter.held_bytes(),
            State::Absent | State::Passed => 0,
        };
        let coded = self.coded.as_ref().map_or(0, |coded| coded.held_bytes());
        rewriter.saturating_add(coded)
    }
}

impl State {
    /// A chunk of a body without a coding.
    fn plain(&mut self, chunk: &[u8]) -> Result<Chunk, BodyFault> {
        if chunk.is_empty() {
            return Ok(Chunk::Same);
        }
        let mut out = Vec::new();
        let rewritten = self.rewrite(chunk, &mut out)?;
        self.first_is_over();
        Ok(if rewritten {
            Chunk::Replaced(out)
        } else {
            Chunk::Same
        })
    }

    /// The next bytes of the document. `true`: what may go on has been appended to `out`; `false`: they may, as they came.
    fn rewrite(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Broken> {
        let (rewriter, may_pass) = match self {
            State::Absent => return Err(Fault::Unannounced.into()),
            State::Passed => return Ok(false),
            State::Read {
                rewriter, may_pass, ..
            } => (rewriter, *may_pass),
        };
        let start = out.len();
        match rewriter.rewrite(bytes, out) {
            Err(broken) if may_pass && broken.is_undecodable() => {
                out.truncate(start);
                *self = State::Passed;
                Ok(false)
            }
            read => read,
        }
    }

    /// Whether the documents are several, each of which is for now.
    fn is_of_records(&self) -> bool {
        matches!(self, State::Read { rewriter, .. } if rewriter.is_of_records())
    }

    fn may_pass(&self) -> bool {
        matches!(self, State::Read { may_pass: true, .. })
    }

    /// From now on nothing goes on as it came.
    fn first_is_over(&mut self) {
        if let State::Read { may_pass, .. } = self {
            *may_pass = false;
        }
    }
}

impl BodyFault {
    /// What the sender of such a body is told: where in its document the fault is. Names of members are its own.
    pub fn place(&self) -> ProblemType {
        let broken = match self {
            BodyFault::Document(broken) => Some(broken),
            BodyFault::Coding(_) => None,
        };
        ProblemType {
            pointer: broken.map(|broken| broken.pointer().to_owned()),
            offset: broken.map(Broken::offset),
            ..ProblemType::default()
        }
    }

    /// Whether a body that may be honest is larger, decoded, than may be read.
    pub fn is_cap(&self) -> bool {
        matches!(self, BodyFault::Coding(fault) if fault.is_cap())
    }
}

impl From<Broken> for BodyFault {
    fn from(broken: Broken) -> BodyFault {
        BodyFault::Document(broken)
    }
}

impl From<content_coding::Fault> for BodyFault {
    fn from(fault: content_coding::Fault) -> BodyFault {
        BodyFault::Coding(fault)
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyFault::Document(broken) => broken.fmt(f),
            BodyFault::Coding(fault) => fault.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
