//! One chunk on its way through.

/// A chunk: where it is being read, and what of it has not gone out yet. Bytes go out by ranges, as late as can be, so that
/// what nothing applies to is copied once, and a chunk that is all of that kind not at all.
#[derive(Debug)]
pub(crate) struct Cut<'c, 'o> {
    chunk: &'c [u8],
    out: &'o mut Vec<u8>,
    /// The place of the byte at hand.
    pub(crate) at: usize,
    /// It is read up to here.
    end: usize,
    /// From here to `at`, or to where it holds, bytes go out as they came.
    from: usize,
    /// From here on it is not decided whether they go out.
    hold: Option<usize>,
    changed: bool,
}

impl<'c, 'o> Cut<'c, 'o> {
    /// `holds`: what came before the chunk is not decided.
    pub(super) fn new(chunk: &'c [u8], out: &'o mut Vec<u8>, holds: bool) -> Self {
        Cut {
            chunk,
            out,
            at: 0,
            end: chunk.len(),
            from: 0,
            hold: holds.then_some(0),
            changed: holds,
        }
    }

    /// The bytes that are left, the one at hand first.
    pub(crate) fn rest(&self) -> &'c [u8] {
        self.chunk.get(self.at..self.end).unwrap_or_default()
    }

    /// All that is read of the chunk.
    pub(super) fn bytes(&self) -> &'c [u8] {
        self.chunk.get(..self.end).unwrap_or_default()
    }

    /// All that is left of the chunk.
    pub(crate) fn left(&self) -> &'c [u8] {
        self.chunk.get(self.at..).unwrap_or_default()
    }

    /// Whether it is not decided if bytes go out.
    pub(super) fn is_holding(&self) -> bool {
        self.hold.is_some()
    }

    /// The whole chunk.
    pub(super) fn chunk(&self) -> &'c [u8] {
        self.chunk
    }

    /// Reads no further than to that place.
    pub(super) fn until(&mut self, end: usize) {
        self.end = end.min(self.chunk.len());
    }

    pub(crate) fn skip(&mut self, length: usize) {
        self.at = self.at.saturating_add(length);
    }

    /// From the byte at hand on, unless from an earlier one, it is not decided.
    pub(super) fn hold(&mut self) {
        self.hold.get_or_insert(self.at);
    }

    /// What is not decided of this chunk alone goes out as it came.
    pub(super) fn decide(&mut self) {
        self.hold = None;
    }

    /// How many bytes of the chunk are not decided.
    pub(super) fn holds(&self) -> usize {
        self.hold.map_or(0, |hold| self.at.saturating_sub(hold))
    }

    /// What is not decided, with what is of earlier chunks in `held`, goes out. `without_comma`: but for a comma in front.
    pub(super) fn release(&mut self, held: &mut Vec<u8>, without_comma: bool) {
        let Some(hold) = self.hold.take() else {
            return;
        };
        if held.is_empty() {
            if without_comma && self.chunk.get(hold) == Some(&b',') {
                self.send(hold);
                self.from = hold.saturating_add(1);
            }
        } else {
            let comma = without_comma && held.first() == Some(&b',');
            self.insert_at(hold, held.get(usize::from(comma)..).unwrap_or_default());
            held.clear();
        }
    }

    /// The same, but for the key at the end of what is not decided: this text goes out in its place.
    pub(super) fn release_as(&mut self, text: &[u8], held: &mut Vec<u8>, without_comma: bool) {
        let Some(hold) = self.hold.take() else {
            return;
        };
        self.send(hold);
        let here = self.chunk.get(hold..self.at).unwrap_or_default();
        // In front of the key are a comma and blanks alone.
        let separator = held.iter().chain(here).take_while(|byte| **byte != b'"');
        let separator = separator.skip_while(|byte| without_comma && **byte == b',');
        self.out.extend(separator);
        self.out.extend_from_slice(text);
        held.clear();
        self.from = self.at;
    }

    /// What is not decided is left out, and all that follows until [`Cut::resume`].
    pub(super) fn drop_held(&mut self, held: &mut Vec<u8>) {
        let place = self.hold.take().unwrap_or(self.at);
        self.send(place);
        held.clear();
    }

    /// Puts in a text before the byte at hand.
    pub(super) fn insert(&mut self, text: &[u8]) {
        self.insert_at(self.at, text);
    }

    /// What was left out is over, and this goes out in its place.
    pub(super) fn resume_with(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.resume();
    }

    /// From the byte at hand on, bytes go out again.
    pub(super) fn resume(&mut self) {
        self.from = self.at;
        self.changed = true;
    }

    /// Leaves out so many bytes of those that are not decided, which are moved to `held`.
    pub(super) fn leave_out(&mut self, length: usize, held: &mut Vec<u8>) {
        self.keep(held);
        self.skip(length);
        self.hold = Some(self.at);
        self.from = self.at;
    }

    /// The chunk is over: what is not decided is kept in `held`. `false` if the whole chunk goes out as it came; then nothing
    /// was appended.
    pub(super) fn finish(mut self, is_muted: bool, held: &mut Vec<u8>) -> bool {
        if self.hold.is_some() {
            self.keep(held);
        } else if !is_muted && self.changed {
            self.send(self.chunk.len());
        }
        self.changed || is_muted
    }

    fn keep(&mut self, held: &mut Vec<u8>) {
        if let Some(hold) = self.hold.take() {
            self.send(hold);
            held.extend_from_slice(self.chunk.get(hold..self.at).unwrap_or_default());
            self.changed = true;
        }
    }

    fn insert_at(&mut self, place: usize, text: &[u8]) {
        self.send(place);
        self.out.extend_from_slice(text);
    }

    /// Sends on what goes out as it came, up to a place.
    fn send(&mut self, to: usize) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.chunk.len());
        }
        self.out
            .extend_from_slice(self.chunk.get(self.from..to).unwrap_or_default());
        self.from = to;
        self.changed = true;
    }
}
