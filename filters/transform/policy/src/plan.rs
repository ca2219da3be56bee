//! What is to be done to a response, and to the trailers of both messages.

use std::rc::Rc;

use http_message::{HeaderEdits, HeaderMap};
use identity::Identity;

use crate::body::Ended;
use crate::config::Transform;
use crate::framing::{self, remove_what_is_about_the_body};
use crate::template::{Facts, Sources};

/// What is to be done to a response, and to the trailers of both messages.
#[derive(Debug)]
pub struct Plan {
    pub(crate) transform: Rc<Transform>,
    /// What the response may be made of beside the heads.
    pub(crate) kept: Option<Box<Kept>>,
}

/// What is known about a request, kept for its response.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) identity: Option<Identity>,
    pub(crate) facts: Facts,
    pub(crate) captures: Vec<(String, Vec<u8>)>,
}

impl Plan {
    pub(crate) fn new(transform: &Rc<Transform>, sources: &Sources<'_>) -> Plan {
        Plan {
            transform: Rc::clone(transform),
            kept: match transform.response_needs.is_empty() {
                true => None,
                false => Some(Kept::of(sources)),
            },
        }
    }

    /// Whether the response is made of the time at which it comes.
    pub fn needs_time(&self) -> bool {
        self.transform.response_needs.time
    }

    /// Whether the response is looked at at all.
    pub fn touches_response(&self) -> bool {
        self.transform.touches_response()
    }

    /// Whether a response with these headers is in no coding, or in one that is read.
    pub(crate) fn reads_coding_of(&self, headers: &HeaderMap) -> bool {
        framing::reads_coding_of(headers, &self.transform.response_codings)
    }

    /// The edits of a request's trailers, after those that are there: what was removed with the headers does not come back here.
    pub(crate) fn request_trailers(&self, trailers: &HeaderMap, edits: &mut HeaderEdits) {
        self.transform.request.removals(trailers, edits);
    }

    /// Whether [`Plan::response_trailers`] may have something to remove.
    pub fn touches_response_trailers(&self, body: Option<Ended>) -> bool {
        self.transform.response.removes() || body == Some(Ended::Rewritten)
    }

    /// The edits of a response's trailers: what was removed with the headers does not come back here. `body`: what became of
    /// the body that ends with them.
    pub fn response_trailers(&self, trailers: &HeaderMap, body: Option<Ended>) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        self.transform.response.removals(trailers, &mut edits);
        if body == Some(Ended::Rewritten) {
            remove_what_is_about_the_body(trailers, &mut edits);
        }
        edits
    }
}

impl Kept {
    #[inline(never)]
    fn of(sources: &Sources<'_>) -> Box<Kept> {
        let captures = sources.captures.iter();
        Box::new(Kept {
            identity: sources.identity.cloned(),
            facts: sources.facts.for_response(),
            captures: captures
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
        })
    }
}
