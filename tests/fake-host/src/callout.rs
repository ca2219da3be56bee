//! HTTP calls that a plugin makes, and their answers.

use std::time::Duration;

use crate::headers::Headers;

/// A call that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// The number that the answer will name.
    pub token: u32,
    /// The cluster that it goes to.
    pub cluster: String,
    /// The request's headers.
    pub headers: Headers,
    /// The request's body.
    pub body: Vec<u8>,
    /// How long the host waits.
    pub timeout: Duration,
    pub(crate) root: u32,
}

/// The answer to a callout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
}

impl Answer {
    /// A response with that status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Answer {
        Answer {
            headers: Headers::new([(":status", status.to_string())]),
            ..Answer::default()
        }
    }

    /// What the host makes of a call that took too long.
    #[must_use]
    pub fn timed_out() -> Answer {
        Answer::status(504).body("upstream request timeout")
    }

    /// What the host makes of a connection that was refused or reset.
    #[must_use]
    pub fn refused() -> Answer {
        Answer::status(503).body("upstream connect error or disconnect/reset before headers")
    }

    /// No answer at all: a failure with no headers.
    #[must_use]
    pub fn nothing() -> Answer {
        Answer::default()
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.add(name.as_bytes(), value.as_bytes());
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Answer {
        self.body = body.as_ref().to_owned();
        self
    }

    /// With one more trailer.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Answer {
        self.trailers.add(name.as_bytes(), value.as_bytes());
        self
    }
}
