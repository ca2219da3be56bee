//! One body under way.

use std::rc::Rc;

use crate::json_rewriter::{Broken, JsonRewriter};
use crate::operation::Program;

/// A body whose document is changed as it streams by.
#[derive(Debug)]
pub struct Body {
    rewriter: JsonRewriter,
    /// Whether a first chunk that is broken may go on as it is.
    pass: bool,
    began: bool,
    passed: bool,
}

/// What becomes of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// It goes on as it came.
    Same,
    /// This goes on in its place.
    Replaced(Vec<u8>),
}

impl Body {
    pub(crate) fn new(program: Rc<Program>, pass: bool) -> Body {
        Body {
            rewriter: JsonRewriter::new(program),
            pass,
            began: false,
            passed: false,
        }
    }

    /// The next chunk.
    ///
    /// # Errors
    /// The document is broken: neither this chunk nor another may go on, and the message must not end as if it were whole.
    /// With `on_undecodable: pass` the first chunk may go on, and all after it; once part of a document has gone on changed,
    /// the rest cannot go on as it is.
    pub fn chunk(&mut self, chunk: &[u8]) -> Result<Chunk, Broken> {
        if self.passed || chunk.is_empty() {
            return Ok(Chunk::Same);
        }
        let first = !std::mem::replace(&mut self.began, true);
        let mut out = Vec::with_capacity(chunk.len());
        match self.rewriter.push(chunk, &mut out) {
            Ok(()) if out == chunk => Ok(Chunk::Same),
            Ok(()) => Ok(Chunk::Replaced(out)),
            Err(_) if first && self.pass => {
                self.passed = true;
                Ok(Chunk::Same)
            }
            Err(broken) => Err(broken),
        }
    }

    /// The body is over, by its last chunk or by trailers. Without a byte it is no document, and there is nothing to hide.
    ///
    /// # Errors
    /// The document has not closed: the message must not end as if it were whole.
    pub fn end(&mut self) -> Result<(), Broken> {
        if self.passed || !self.began {
            return Ok(());
        }
        self.rewriter.finish()
    }

    /// Whether it went on unread.
    pub fn was_passed(&self) -> bool {
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, Pointer};

    fn body(pass: bool) -> Body {
        let mask = Operation::mask(Pointer::parse("/a").unwrap(), "x");
        Body::new(Rc::new(Program::new(vec![mask]).unwrap()), pass)
    }

    #[test]
    fn a_body_without_a_byte_is_no_document() {
        let mut body = body(false);
        assert_eq!(body.chunk(b""), Ok(Chunk::Same));
        assert_eq!(body.end(), Ok(()));
    }

    // Half of a document changed and half not is neither what the upstream said nor what the rule says.
    #[test]
    fn pass_is_for_what_has_not_begun() {
        let mut early = body(true);
        assert_eq!(early.chunk(b"<html>"), Ok(Chunk::Same));
        assert_eq!(early.chunk(b"{\"a\":1}"), Ok(Chunk::Same));
        assert!(early.end().is_ok() && early.was_passed());
        let mut late = body(true);
        assert_eq!(
            late.chunk(b"{\"a\":1"),
            Ok(Chunk::Replaced(b"{\"a\":\"x\"".to_vec()))
        );
        assert_eq!(late.chunk(b"<html>"), Err(Broken::Syntax));
        assert!(late.end().is_err() && !late.was_passed());
        assert_eq!(body(false).chunk(b"<html>"), Err(Broken::Syntax));
    }
}
