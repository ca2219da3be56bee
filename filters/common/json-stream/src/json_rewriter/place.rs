//! Where in the document: the names on the way to what is being read.

use super::Frame;

/// The most bytes of a name that are shown.
const MAX_NAME: usize = 64;
/// The most bytes of a name that are kept.
pub(super) const KEPT_NAME: usize = MAX_NAME + 1;
/// The most bytes of a pointer.
const MAX_POINTER: usize = 256;

/// The names of the members that the open containers are, and that of the one that is being read.
#[derive(Debug, Default)]
pub(super) struct Place {
    names: Vec<u8>,
    member: Member,
    /// The name of the member, if it came in an earlier chunk.
    kept: Vec<u8>,
}

/// The name of the member that is being read, or was last.
#[derive(Clone, Copy, Debug, Default)]
enum Member {
    #[default]
    None,
    /// From here to there in the chunk at hand.
    Here(usize, usize),
    /// In `kept`.
    Kept,
}

impl Place {
    /// A member whose name is there in the chunk.
    pub(super) fn member_at(&mut self, from: usize, to: usize) {
        self.member = Member::Here(from, to);
    }

    /// A member of that name.
    pub(super) fn member(&mut self, name: &[u8]) {
        self.kept.clear();
        self.kept.extend_from_slice(short(name));
        self.member = Member::Kept;
    }

    /// No member.
    pub(super) fn no_member(&mut self) {
        self.member = Member::None;
    }

    /// A container opens, which is the member, if there is one. Returns where its name begins.
    pub(super) fn open(&mut self, chunk: &[u8]) -> usize {
        let start = self.names.len();
        let Place {
            names,
            member,
            kept,
        } = self;
        names.extend_from_slice(name(*member, kept, chunk));
        *member = Member::None;
        start
    }

    /// The container whose name begins there has closed.
    pub(super) fn close(&mut self, start: usize) {
        self.names.truncate(start);
        self.member = Member::None;
    }

    /// The chunk is over.
    pub(super) fn keep(&mut self, chunk: &[u8]) {
        if let Member::Here(from, to) = self.member {
            let name = chunk.get(from..to).unwrap_or_default();
            self.member(name);
        }
    }

    /// The JSON Pointer of the member or element that is being read, or was last, in these containers; of the one that comes
    /// next, if a value is awaited.
    pub(super) fn pointer(&self, open: &[Frame], awaits_value: bool, chunk: &[u8]) -> String {
        let mut pointer = String::new();
        for (level, frame) in open.iter().enumerate() {
            let inner = level.saturating_add(1);
            if frame.is_object {
                let start = |level: usize| open.get(level).map(|frame| frame.name);
                let name = match start(inner) {
                    Some(from) => {
                        let to = start(inner.saturating_add(1)).unwrap_or(self.names.len());
                        self.names.get(from..to).unwrap_or_default()
                    }
                    None if matches!(self.member, Member::None) => break,
                    None => name(self.member, &self.kept, chunk),
                };
                push(&mut pointer, name);
            } else {
                let awaits = awaits_value && inner == open.len();
                let begun = u64::from(!awaits && frame.children > 0);
                if awaits || begun > 0 {
                    pointer.push('/');
                    pointer.push_str(&frame.children.saturating_sub(begun).to_string());
                }
            }
            if pointer.len() > MAX_POINTER {
                let end = pointer.floor_char_boundary(MAX_POINTER);
                pointer.truncate(end);
                pointer.push('…');
                break;
            }
        }
        pointer
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.names.capacity().saturating_add(self.kept.capacity())
    }
}

fn name<'a>(member: Member, kept: &'a [u8], chunk: &'a [u8]) -> &'a [u8] {
    match member {
        Member::None => &[],
        Member::Here(from, to) => short(chunk.get(from..to).unwrap_or_default()),
        Member::Kept => kept,
    }
}

/// As much of a name as is kept: one byte more than is shown, which tells that it is cut.
fn short(name: &[u8]) -> &[u8] {
    name.get(..KEPT_NAME).unwrap_or(name)
}

/// A name as a level of a pointer (RFC 6901 section 3).
fn push(pointer: &mut String, name: &[u8]) {
    pointer.push('/');
    let shown = name.get(..MAX_NAME).filter(|_| name.len() > MAX_NAME);
    // A character that is cut in two at the end is left out.
    let mut pieces = shown.unwrap_or(name).utf8_chunks();
    for letter in pieces.next().map_or("", |piece| piece.valid()).chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            letter => pointer.push(letter),
        }
    }
    if shown.is_some() {
        pointer.push('…');
    }
}
