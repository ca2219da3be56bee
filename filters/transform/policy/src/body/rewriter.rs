//! What edits the JSON of a body: one document, or one after the other.

use std::rc::Rc;

use http_message::content::JsonForm;
use json_stream::{Bindings, Broken, JsonRewriter, Program, RecordForm, RecordRewriter};

/// What edits the JSON of a body.
#[derive(Debug)]
pub(super) enum Rewriter {
    Document(Box<JsonRewriter>),
    Records(Box<RecordRewriter>),
}

impl Rewriter {
    /// `pass`: of several documents, one that cannot be read goes on as it came.
    pub(super) fn new(
        form: JsonForm,
        program: Rc<Program>,
        bindings: Bindings,
        pass: bool,
    ) -> Rewriter {
        let form = match form {
            JsonForm::Document => {
                return Rewriter::Document(Box::new(JsonRewriter::new(program, bindings)));
            }
            JsonForm::Lines => RecordForm::Lines,
            JsonForm::Sequence => RecordForm::Sequence,
            JsonForm::Events => RecordForm::Events,
        };
        Rewriter::Records(Box::new(RecordRewriter::new(form, program, bindings, pass)))
    }

    /// Whether there may be several documents, each of which is for now.
    pub(super) fn is_of_records(&self) -> bool {
        matches!(self, Rewriter::Records(_))
    }

    /// The next bytes. `true`: what may go on has been appended to `out`; `false`: they may, as they came.
    pub(super) fn rewrite(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Broken> {
        match self {
            Rewriter::Document(rewriter) => rewriter.rewrite(bytes, out),
            Rewriter::Records(rewriter) => rewriter.rewrite(bytes, out),
        }
    }

    /// The body is over.
    pub(super) fn finish(&mut self) -> Result<(), Broken> {
        match self {
            Rewriter::Document(rewriter) => rewriter.finish(),
            Rewriter::Records(rewriter) => rewriter.finish(),
        }
    }

    /// What is held between two chunks, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Rewriter::Document(rewriter) => rewriter.held_bytes(),
            Rewriter::Records(rewriter) => rewriter.held_bytes(),
        }
    }
}
