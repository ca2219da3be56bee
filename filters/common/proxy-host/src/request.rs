//! What every filter does with a request's head: read it once, and answer in place of the upstream.

use http_message::{Place, Problem, ProblemType, RequestHead};

use crate::error::HostError;
use crate::headers::{self, Map};
use crate::send_local_reply;

/// The head of the request, in the one call that reads its header map.
///
/// # Errors
///
/// [`HostError::Empty`] for an empty map, which is how the host answers for one that is not open;
/// otherwise as for [`headers::read`].
pub fn request_head() -> Result<RequestHead, HostError> {
    let map = headers::read(Map::Request)?;
    if map.is_empty() {
        return Err(HostError::Empty);
    }
    Ok(RequestHead::new(map))
}

/// Answers with a problem, in the form that this caller reads; the callback returns Pause right after.
///
/// The request stops there even if the host refuses the reply, which is logged: then the stream's idle timeout ends it.
pub fn refuse(head: &RequestHead, problem: &Problem, place: Place) {
    refuse_as(&ProblemType::default(), head, problem, place);
}

/// As [`refuse`], with a problem of a type of its own, or with more to tell.
pub fn refuse_as(kind: &ProblemType, head: &RequestHead, problem: &Problem, place: Place) {
    if let Err(error) = send_local_reply(&problem.render_as(kind, head, place)) {
        log::error!("decision=fail reply error={error}");
    }
}
