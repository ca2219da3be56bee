//! One body under way.

use std::rc::Rc;

use json_stream::{Bindings, Broken, JsonRewriter, Program};

/// A body that is looked at as it streams by.
#[derive(Debug)]
pub struct Body(State);

#[derive(Debug)]
enum State {
    /// The message says that there is none.
    Absent,
    /// No byte has come. `pass`: a first chunk that is broken may go on as it is.
    Fresh {
        rewriter: Box<JsonRewriter>,
        pass: bool,
    },
    /// Part of the document has gone on.
    Open(Box<JsonRewriter>),
    /// It goes on unread.
    Passed,
}

/// What becomes of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// It goes on as it came.
    Same,
    /// This goes on in its place.
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

impl Body {
    pub(crate) fn new(program: Rc<Program>, bindings: Bindings, pass: bool) -> Body {
        Body(State::Fresh {
            rewriter: Box::new(JsonRewriter::new(program, bindings)),
            pass,
        })
    }

    /// One that its message says is not there. A peer that sends it all the same may find a reader for it: none of it goes on.
    pub(crate) fn absent() -> Body {
        Body(State::Absent)
    }

    /// The next chunk.
    ///
    /// # Errors
    /// The document is broken: neither this chunk nor another may go on, and the message must not end as if it were whole.
    /// With `on_undecodable: pass` the first chunk may go on, and all after it; once part of a document has gone on changed,
    /// the rest cannot go on as it is.
    pub fn chunk(&mut self, chunk: &[u8]) -> Result<Chunk, Broken> {
        if chunk.is_empty() {
            return Ok(Chunk::Same);
        }
        let (mut rewriter, may_pass) = match std::mem::replace(&mut self.0, State::Absent) {
            State::Absent => return Err(Broken::Unannounced),
            State::Passed => {
                self.0 = State::Passed;
                return Ok(Chunk::Same);
            }
            State::Fresh { rewriter, pass } => (rewriter, pass),
            State::Open(rewriter) => (rewriter, false),
        };
        let mut out = Vec::new();
        let read = rewriter.rewrite(chunk, &mut out);
        if read.is_err() && may_pass {
            self.0 = State::Passed;
            return Ok(Chunk::Same);
        }
        self.0 = State::Open(rewriter);
        Ok(if read? {
            Chunk::Replaced(out)
        } else {
            Chunk::Same
        })
    }

    /// The body is over, by its last chunk or by trailers. Without a byte it is no document, and there is nothing to hide.
    ///
    /// # Errors
    /// The document has not closed: the message must not end as if it were whole.
    pub fn end(self) -> Result<Ended, Broken> {
        match self.0 {
            State::Absent | State::Fresh { .. } => Ok(Ended::Empty),
            State::Passed => Ok(Ended::Passed),
            State::Open(mut rewriter) => rewriter.finish().map(|()| Ended::Rewritten),
        }
    }
}

#[cfg(test)]
mod tests {
    use json_stream::{Operation, Pointer};

    use super::*;

    fn body(pass: bool) -> Body {
        let mask = Operation::mask(Pointer::parse("/a").unwrap(), "x");
        let program = Rc::new(Program::new(vec![mask]).unwrap());
        Body::new(program, Bindings::default(), pass)
    }

    #[test]
    fn a_body_without_a_byte_is_no_document() {
        let mut body = body(false);
        assert_eq!(body.chunk(b""), Ok(Chunk::Same));
        assert_eq!(body.end(), Ok(Ended::Empty));
    }

    // `content-length: 0`, and a body: a peer that reads it all the same would get it with everything in it.
    #[test]
    fn a_body_that_is_not_to_be_there_does_not_go_on() {
        let mut none = Body::absent();
        assert_eq!(none.chunk(b""), Ok(Chunk::Same));
        assert_eq!(none.chunk(b"{}"), Err(Broken::Unannounced));
        assert_eq!(none.chunk(b"{}"), Err(Broken::Unannounced));
        assert_eq!(Body::absent().end(), Ok(Ended::Empty));
    }

    // Half of a document changed and half not is neither what the upstream said nor what the rule says.
    #[test]
    fn pass_is_for_what_has_not_begun() {
        let mut early = body(true);
        assert_eq!(early.chunk(b"<html>"), Ok(Chunk::Same));
        assert_eq!(early.chunk(b"{\"a\":1}"), Ok(Chunk::Same));
        assert_eq!(early.end(), Ok(Ended::Passed));
        let mut late = body(true);
        assert_eq!(
            late.chunk(b"{\"a\":1"),
            Ok(Chunk::Replaced(b"{\"a\":\"x\"".to_vec()))
        );
        assert_eq!(late.chunk(b"<html>"), Err(Broken::Syntax));
        assert_eq!(late.end(), Err(Broken::Syntax));
        assert_eq!(body(false).chunk(b"<html>"), Err(Broken::Syntax));
    }
}
