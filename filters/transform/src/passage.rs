//! A body on its way through, in one direction.

use proxy_host::HostError;
use proxy_host::body::{self, Buffer};
use transform_policy::{Body, BodyFault, Capturing, Chunk, Reason, Wait};

/// What is done to a body, and what waits for it.
pub(crate) struct Passage {
    buffer: Buffer,
    pub(crate) body: Option<Body>,
    pub(crate) capturing: Option<Box<Capturing>>,
    pub(crate) hold: Hold,
    /// What was captured has been told.
    pub(crate) told: bool,
}

/// Why the head has not gone on. That it still waits is known to [`crate::waiting::WaitingList`] alone: its deadline may be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It has, or is not here yet.
    No,
    /// It waits for members. Of what the host has gathered of the body so much has been read.
    Members { read: usize },
    /// It waits for the first chunk.
    FirstChunk,
}

/// Why a message stops.
#[derive(Debug)]
pub(crate) enum Stop {
    Policy(Reason),
    Body(Buffer, BodyFault),
    Host(HostError),
}

impl From<HostError> for Stop {
    fn from(error: HostError) -> Stop {
        Stop::Host(error)
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Stop {
        Stop::Policy(reason)
    }
}

impl Passage {
    pub(crate) fn new(buffer: Buffer) -> Passage {
        Passage {
            buffer,
            body: None,
            capturing: None,
            hold: Hold::No,
            told: false,
        }
    }

    /// Whether anything looks at the body.
    pub(crate) fn is_read(&self) -> bool {
        self.body.is_some() || self.capturing.is_some()
    }

    /// Reads what the host has of the body, from `start` to `end`.
    pub(crate) fn read(&self, start: usize, end: usize) -> Result<Vec<u8>, HostError> {
        let length = end.saturating_sub(start);
        if length == 0 {
            return Ok(Vec::new());
        }
        let chunk = body::read(self.buffer, start, length)?;
        // A chunk that is not all there would leave a gap in the document.
        match chunk.len() == length {
            true => Ok(chunk),
            false => Err(HostError::Malformed),
        }
    }

    /// Looks for members in what has come, as the head waits for them.
    pub(crate) fn wait(&mut self, chunk: &[u8], ended: bool) -> Result<Wait, Stop> {
        let Some(capturing) = &mut self.capturing else {
            return Err(HostError::Internal.into());
        };
        let wait = capturing
            .wait(chunk)
            .map_err(|broken| Stop::Body(self.buffer, broken.into()))?;
        if !ended || wait == Wait::TooFar {
            return Ok(wait);
        }
        self.end_capturing()?;
        Ok(Wait::Over)
    }

    /// Looks for members in a chunk that goes on at once.
    pub(crate) fn capture(&mut self, chunk: &[u8]) -> Result<(), Stop> {
        match &mut self.capturing {
            Some(capturing) => capturing
                .chunk(chunk)
                .map_err(|broken| Stop::Body(self.buffer, broken.into())),
            None => Ok(()),
        }
    }

    /// Puts all that the host has at hand through the operations.
    pub(crate) fn rewrite(&mut self, chunk: &[u8]) -> Result<(), Stop> {
        let Some(body) = &mut self.body else {
            return Ok(());
        };
        let buffer = self.buffer;
        let mut rest = chunk;
        // What a chunk inflates to goes over to the host part by part, which is not held here.
        let mut has_replaced = false;
        loop {
            let next = body.chunk(&mut rest);
            let (bytes, is_last) = match next.map_err(|fault| Stop::Body(buffer, fault))? {
                Chunk::Same if has_replaced => return Ok(body::replace(buffer, chunk)?),
                Chunk::Same => return Ok(()),
                Chunk::Part(bytes) => (bytes, false),
                Chunk::Replaced(bytes) => (bytes, true),
            };
            if !has_replaced {
                body::replace(buffer, &bytes)?;
            } else if !bytes.is_empty() {
                body::append(buffer, &bytes)?;
            }
            has_replaced = true;
            if is_last {
                return Ok(());
            }
        }
    }

    /// The body is over: a document that has not closed by now is cut.
    pub(crate) fn end_capturing(&mut self) -> Result<(), Stop> {
        match &mut self.capturing {
            Some(capturing) => capturing
                .end()
                .map_err(|broken| Stop::Body(self.buffer, broken.into())),
            None => Ok(()),
        }
    }

    /// The bytes that are held of it.
    pub(crate) fn held_bytes(&self) -> usize {
        let capturing = self.capturing.as_ref().map_or(0, |one| one.held_bytes());
        capturing.saturating_add(self.body.as_ref().map_or(0, Body::held_bytes))
    }
}
