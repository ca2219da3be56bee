//! A key that is not in one plain piece.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::Fault;
use super::names::{self, Fingerprint, Names};
use super::string::InString;
use super::unescape::Unescape;

/// A key, its escapes read: as much of it as can be a name of the program's, and what tells it from others.
#[derive(Debug)]
pub(super) struct Key {
    /// An operation may mean it, which is not decided yet.
    pub(super) is_open: bool,
    /// The first bytes of it.
    text: Vec<u8>,
    most: usize,
    length: usize,
    hasher: Option<SipHasher13>,
    unescape: Unescape,
}

impl Key {
    /// One of which so many bytes are kept.
    pub(super) fn new(is_open: bool, most: usize, names: Option<&Names>) -> Key {
        Key {
            is_open,
            text: Vec::new(),
            most,
            length: 0,
            hasher: names.map(Names::hasher),
            unescape: Unescape::default(),
        }
    }

    /// Adds text that stands for itself.
    ///
    /// # Errors
    /// Half a pair in a key that an operation may mean.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), Fault> {
        self.read(|unescape, out| unescape.text(text, out))
    }

    /// Adds what a byte of the string means, which was read at this place in it.
    ///
    /// # Errors
    /// As for [`Key::push`].
    pub(super) fn push_byte(&mut self, byte: u8, place: InString) -> Result<(), Fault> {
        self.read(|unescape, out| unescape.byte(byte, place, out))
    }

    /// The key is over.
    ///
    /// # Errors
    /// As for [`Key::push`].
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.read(|unescape, out| unescape.end(out))
    }

    /// How long it is so far.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The first bytes of it.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// What tells it from others, where that is asked for.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        let hasher = self.hasher.as_ref()?;
        let short = names::short(&self.text).filter(|_| self.length == self.text.len());
        Some(short.unwrap_or_else(|| names::long(hasher, self.length)))
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.text.capacity()
    }

    fn read(
        &mut self,
        read: impl FnOnce(&mut Unescape, &mut dyn FnMut(&[u8])),
    ) -> Result<(), Fault> {
        let Key {
            text,
            length,
            hasher,
            ..
        } = self;
        let most = self.most;
        let mut out = |bytes: &[u8]| {
            let left = most.saturating_sub(text.len());
            text.extend_from_slice(bytes.get(..left).unwrap_or(bytes));
            *length = length.saturating_add(bytes.len());
            if let Some(hasher) = hasher {
                hasher.write(bytes);
            }
        };
        read(&mut self.unescape, &mut out);
        if self.is_open && self.unescape.has_half_a_pair {
            return Err(Fault::LoneSurrogate);
        }
        Ok(())
    }
}
