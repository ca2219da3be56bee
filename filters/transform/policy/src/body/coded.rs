//! What stands around the document of a coded body.

use content_coding::{Coding, Decoder, Encoder, Step};

use super::{Body, BodyFault, Chunk, State};
use crate::config::{CodingRule, Outgoing};

/// The two ends of a coded body.
#[derive(Debug)]
pub(super) struct Coded {
    decoder: Decoder,
    /// It goes on as it came: coded.
    same: bool,
    /// There is none before something has gone on.
    encoder: Option<Encoder>,
}

/// What becomes of the bytes at hand.
pub(super) enum Next {
    Chunk(Chunk),
    /// The body cannot be read, and goes on in the coding that it has.
    PassedAsItCame,
}

impl Coded {
    pub(super) fn new(coding: Coding, codings: &CodingRule) -> Coded {
        Coded {
            decoder: Decoder::new(coding, codings.caps),
            same: codings.out == Outgoing::Same,
            encoder: None,
        }
    }

    /// Reads `chunk` slice by slice, until it is used up or a part has come together. What a peer has put into members goes out
    /// in as many, so that at the end of the coded data nothing is left to be written, which trailers would be too late for.
    pub(super) fn next(&mut self, state: &mut State, chunk: &mut &[u8]) -> Result<Next, BodyFault> {
        let (mut out, mut rewritten) = (Vec::new(), Vec::new());
        loop {
            if out.len() >= Body::PART {
                return Ok(Next::Chunk(Chunk::Part(out)));
            }
            let (slice, form) = match self.decoder.next(chunk) {
                Ok(Step::Decoded(slice, form)) => (slice, form),
                Ok(Step::Ended) => {
                    if let Some(encoder) = &mut self.encoder {
                        encoder.end(&mut out)?;
                    }
                    continue;
                }
                Ok(Step::NeedsInput) => {
                    if let Some(encoder) = &mut self.encoder
                        && (self.decoder.is_flushed() || state.is_of_records())
                    {
                        encoder.flush(&mut out)?;
                    }
                    state.first_is_over();
                    return Ok(Next::Chunk(Chunk::Replaced(out)));
                }
                // Whoever sends a body that inflates too far is not helped by a rule that reads less.
                Err(fault) if state.may_pass() && self.same && !fault.is_cap() => {
                    *state = State::Passed;
                    return Ok(Next::PassedAsItCame);
                }
                Err(fault) => return Err(fault.into()),
            };
            rewritten.clear();
            let slice = if state.rewrite(slice, &mut rewritten)? {
                &rewritten
            } else {
                slice
            };
            if matches!(state, State::Passed) && self.same {
                return Ok(Next::PassedAsItCame);
            }
            state.first_is_over();
            if self.same {
                self.encoder
                    .get_or_insert_with(|| Encoder::new(form))
                    .push(slice, &mut out)?;
            } else {
                out.extend_from_slice(slice);
            }
        }
    }

    /// The body is over.
    pub(super) fn finish(&self) -> Result<(), BodyFault> {
        Ok(self.decoder.finish()?)
    }

    pub(super) fn held_bytes(&self) -> usize {
        let encoder = self.encoder.as_ref().map_or(0, |_| Encoder::BYTES);
        Decoder::BYTES.saturating_add(encoder)
    }
}
