//! What is done to the members of a document.

use crate::bindings::{Bindings, Text, json};
use crate::json_rewriter::Capture;
use crate::limits::Limits;
use crate::pointer::{Pointer, Segment};
use crate::position_set::PositionSet;

/// One change, at every place that its path stands for. A place that is not there is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    at: Pointer,
    change: Change,
}

/// The change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Takes out the member or element.
    Remove,
    /// Puts this in place of the value.
    Replace(Text),
    /// Puts this in place of the value, and behind it so many of its last characters.
    KeepLast { with: Text, shown: usize },
    /// Puts a hash of it in place of the value.
    Hash(HashKey),
    /// Makes it a value of this kind.
    Convert(Kind),
    /// Puts this in place of the value, or adds the member at the end of its object.
    Set(Text),
    /// Adds the member at the end of its object, if it is not there.
    Add(Text),
    /// Gives the member this name.
    Rename {
        to: String,
        /// The name as JSON.
        text: Vec<u8>,
    },
    /// Leaves the value, and keeps it.
    Capture(Capture),
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// What values are hashed under. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Vec<u8>);

/// Changes in order. Of several that reach one value, the first in the list is made; one that reaches a value goes before
/// those that reach inside it. A name is changed beside what becomes of the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    operations: Vec<Operation>,
    /// Every level of every path.
    positions: Vec<Position>,
    longest_name: usize,
    /// A bit for each length of a name that an operation has.
    lengths: u64,
    /// The positions that stand for other children than one of a name, and those that stand for any number of levels.
    wild: PositionSet,
    deep: PositionSet,
    /// Those that not all elements of an array are alike to, or that end at one.
    elements: PositionSet,
    /// An operation may add a member.
    adds: bool,
    limits: Limits,
}

/// A level of the path of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    operation: usize,
    level: usize,
}

/// A child of an object or array.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Child<'a> {
    /// By its name; a name that is longer than every name of the program may be cut.
    Member(&'a [u8]),
    /// By its place.
    Element(u64),
}

/// What happens to one member or element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The operation that decides on its value.
    pub(crate) value: Option<usize>,
    /// The operation that makes it one of another kind, where none decides on it.
    pub(crate) convert: Option<usize>,
    /// The operation that changes its name.
    pub(crate) name: Option<usize>,
    /// It would be the second of one name.
    pub(crate) is_second: bool,
    /// The positions that apply to what is inside it.
    pub(crate) inside: PositionSet,
    /// Every position that ends here.
    pub(crate) here: PositionSet,
}

impl Operation {
    /// The most characters that a mask may show.
    pub const MAX_SHOWN: usize = 32;

    fn new(at: Pointer, change: Change) -> Operation {
        Operation { at, change }
    }

    /// Takes out the member or element.
    pub fn remove(at: Pointer) -> Operation {
        Operation::new(at, Change::Remove)
    }

    /// Takes out every member of the object but those of these names; of an array, every element.
    pub fn keep_only(at: Pointer, names: Vec<String>) -> Operation {
        Operation::new(at.except(names), Change::Remove)
    }

    /// Puts a text in place of the value, whatever it was.
    pub fn mask(at: Pointer, with: impl Into<Text>) -> Operation {
        Operation::new(at, Change::Replace(with.into()))
    }

    /// Puts a text, which is a string, in place of the value, and behind it the last characters of it: so many characters of a
    /// string, its escapes read; so many digits of a number. Of a value with less than twice as many none is shown, and none
    /// of any other. `None` if that is none or more than [`Operation::MAX_SHOWN`].
    pub fn mask_but_last(at: Pointer, with: impl Into<Text>, shown: usize) -> Option<Operation> {
        let with = with.into();
        let is_bounded = (1..=Self::MAX_SHOWN).contains(&shown);
        is_bounded.then(|| Operation::new(at, Change::KeepLast { with, shown }))
    }

    /// Puts a hash in place of the value: HMAC-SHA-256 (RFC 2104) in lower-case hexadecimal digits. Of a string its text is
    /// hashed, escapes read; of any other value its JSON as it is written.
    pub fn hash(at: Pointer, key: HashKey) -> Operation {
        Operation::new(at, Change::Hash(key))
    }

    /// Makes the value one of another kind, where that can be done without doubt: numbers and booleans become strings of the
    /// same letters, a string that is a number or a boolean as JSON writes them becomes that, up to 64 bytes. Any other value
    /// stays as it is.
    pub fn convert(at: Pointer, to: Kind) -> Operation {
        Operation::new(at, Change::Convert(to))
    }

    /// Puts a value in place of the value, or adds the member at the end of its object.
    pub fn set(at: Pointer, value: impl Into<Text>) -> Operation {
        Operation::new(at, Change::Set(value.into()))
    }

    /// Adds the member at the end of its object, if it is not there.
    pub fn add(at: Pointer, value: impl Into<Text>) -> Operation {
        Operation::new(at, Change::Add(value.into()))
    }

    /// Gives the member another name. Where the object has a member of that name as well, the one that comes first stays.
    ///
    /// `None` if the path does not end with a name.
    pub fn rename(at: Pointer, to: &str) -> Option<Operation> {
        let is_name = matches!(at.segments().last(), Some(Segment::Name { .. }));
        is_name.then(|| {
            let text = json(&to.into());
            Operation::new(
                at,
                Change::Rename {
                    to: to.to_owned(),
                    text,
                },
            )
        })
    }

    /// Keeps the value that is there, and changes nothing.
    pub(crate) fn capture(at: Pointer, capture: Capture) -> Operation {
        Operation::new(at, Change::Capture(capture))
    }

    /// Whether both may be for one object and give two members one name, or one member two.
    pub fn is_at_odds_with(&self, other: &Operation) -> bool {
        let (Change::Rename { to, .. }, Change::Rename { to: other_to, .. }) =
            (&self.change, &other.change)
        else {
            return false;
        };
        let (at, other_at) = (self.at.segments(), other.at.segments());
        let any_depth = at
            .iter()
            .chain(other_at)
            .any(|segment| *segment == Segment::AnyDepth);
        let is_named = |segments: &[Segment], name: &str| {
            segments
                .last()
                .is_some_and(|segment| segment.is_member(name.as_bytes()))
        };
        (any_depth || at.len() == other_at.len())
            && (to == other_to
                || is_named(at, other_to)
                || is_named(other_at, to)
                || at.last() == other_at.last())
    }
}

impl HashKey {
    /// A key that nobody can guess; at least as long as the hash, 32 bytes, says RFC 2104.
    pub fn new(bytes: Vec<u8>) -> HashKey {
        HashKey(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HashKey(..)")
    }
}

impl Program {
    /// The most operations of a program.
    pub const MAX_OPERATIONS: usize = 64;
    /// The most levels of all paths of a program together.
    pub const MAX_LEVELS: usize = PositionSet::MAX;

    /// The operations in order; `None` for more than [`Program::MAX_OPERATIONS`] or [`Program::MAX_LEVELS`].
    pub fn new(operations: Vec<Operation>) -> Option<Program> {
        let positions: Vec<Position> = operations
            .iter()
            .enumerate()
            .flat_map(|(operation, one)| {
                let levels = one.at.segments().iter().enumerate();
                levels.map(move |(level, _)| Position { operation, level })
            })
            .collect();
        if operations.len() > Self::MAX_OPERATIONS || positions.len() > Self::MAX_LEVELS {
            return None;
        }
        let lengths = || operations.iter().flat_map(Operation::name_lengths);
        let mut program = Program {
            longest_name: lengths().max().unwrap_or(0),
            lengths: lengths().fold(0, |lengths, length| lengths | length_bit(length)),
            operations,
            positions,
            wild: PositionSet::EMPTY,
            deep: PositionSet::EMPTY,
            elements: PositionSet::EMPTY,
            adds: false,
            limits: Limits::default(),
        };
        program.adds = program
            .operations
            .iter()
            .any(|operation| matches!(operation.change, Change::Set(_) | Change::Add(_)));
        for position in 0..program.positions.len() {
            if let Some((_, segment, is_last)) = program.at(position)
                && segment.tells_elements(is_last)
            {
                program.elements.insert(position);
            }
            match program.at(position) {
                Some((_, Segment::Any | Segment::Except(_), _)) => program.wild.insert(position),
                Some((_, Segment::AnyDepth, _)) => program.deep.insert(position),
                _ => {}
            }
        }
        Some(program)
    }

    /// The same, under these limits.
    pub fn with_limits(self, limits: Limits) -> Program {
        Program { limits, ..self }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many operations there are.
    pub(crate) fn operations(&self) -> usize {
        self.operations.len()
    }

    /// The longest name that an operation has: a longer key is none of them.
    pub(crate) fn longest_name(&self) -> usize {
        self.longest_name
    }

    /// What applies inside a member that no operation has the name of; `None` if that is for [`Program::judge`] to say.
    pub(crate) fn inside_others(&self, active: PositionSet) -> Option<PositionSet> {
        if active.meets(self.wild) {
            return None;
        }
        let mut inside = PositionSet::EMPTY;
        if active.meets(self.deep) {
            let deep = active
                .iter()
                .filter(|position| self.deep.contains(*position));
            deep.for_each(|position| self.insert(&mut inside, position));
        }
        Some(inside)
    }

    /// What applies inside each element of an array; `None` if that is for [`Program::judge`] to say.
    pub(crate) fn inside_elements(&self, active: PositionSet) -> Option<PositionSet> {
        if active.meets(self.elements) {
            return None;
        }
        Some(
            self.judge(&active, &PositionSet::EMPTY, Child::Element(0))
                .inside,
        )
    }

    /// Whether an object may have a member more at its end.
    pub(crate) fn adds_any(&self) -> bool {
        self.adds
    }

    /// Whether an operation may have that name: most members are told by the length of theirs.
    pub(crate) fn may_name(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name.len()) != 0
    }

    /// The positions that apply to what is inside a document with these bindings.
    pub(crate) fn start(&self, bindings: &Bindings) -> PositionSet {
        let mut set = PositionSet::default();
        for (position, of) in self.positions.iter().enumerate() {
            if of.level == 0 && !bindings.leaves_out(of.operation) {
                self.insert(&mut set, position);
            }
        }
        set
    }

    /// The change of an operation.
    pub(crate) fn change(&self, operation: usize) -> Option<&Change> {
        self.operations
            .get(operation)
            .map(|operation| &operation.change)
    }

    /// What happens to a child of a container to which the positions of `active` apply; `seen` holds those that have ended at
    /// an earlier child.
    pub(crate) fn judge(
        &self,
        active: &PositionSet,
        seen: &PositionSet,
        child: Child<'_>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for position in active.iter() {
            let Some((operation, segment, is_last)) = self.at(position) else {
                break;
            };
            if *segment == Segment::AnyDepth {
                self.insert(&mut verdict.inside, position);
                continue;
            }
            let change = self.change(operation).filter(|_| is_last);
            if let (Some(Change::Rename { to, .. }), Child::Member(name)) = (change, child)
                && (name == to.as_bytes() || child.is(segment))
            {
                verdict.here.insert(position);
                verdict.is_second |= seen.contains(position);
                if name != to.as_bytes() {
                    verdict.name = verdict.name.or(Some(operation));
                }
                continue;
            }
            if !child.is(segment) {
                continue;
            }
            match change {
                None => self.insert(&mut verdict.inside, position.saturating_add(1)),
                Some(Change::Rename { .. }) => {}
                Some(change) => {
                    verdict.here.insert(position);
                    match change {
                        // What is there needs no adding, and is no less to be hidden; nor is what is converted.
                        Change::Add(_) => {}
                        Change::Convert(_) => {
                            verdict.convert = verdict.convert.or(Some(operation));
                        }
                        _ => verdict.value = verdict.value.or(Some(operation)),
                    }
                }
            }
        }
        verdict
    }

    /// The members that are missing at the end of an object: their names and values. `seen` holds the positions that ended at a
    /// member of it.
    pub(crate) fn missing(
        &self,
        active: &PositionSet,
        seen: &PositionSet,
    ) -> impl Iterator<Item = (&str, &Text)> {
        active
            .iter()
            .filter(move |position| !seen.contains(*position))
            .filter_map(move |position| {
                let (operation, segment, is_last) = self.at(position)?;
                let (Some(Change::Set(value) | Change::Add(value)), Segment::Name { name, .. }) =
                    (self.change(operation).filter(|_| is_last), segment)
                else {
                    return None;
                };
                self.adds(operation, name, active, seen)
                    .then_some((name.as_str(), value))
            })
    }

    /// Whether no earlier operation for a member of that name has decided already, and none was renamed to it.
    fn adds(&self, operation: usize, name: &str, active: &PositionSet, seen: &PositionSet) -> bool {
        active.iter().all(|position| {
            let Some((other, segment, true)) = self.at(position) else {
                return true;
            };
            match self.change(other) {
                Some(Change::Rename { to, .. }) => to != name || !seen.contains(position),
                // For every member it adds none.
                Some(Change::Add(_)) if *segment == Segment::Any => true,
                Some(Change::Convert(_)) => true,
                _ => other >= operation || !segment.is_member(name.as_bytes()),
            }
        })
    }

    /// A position and, since any number of levels may be none, what follows it there.
    fn insert(&self, set: &mut PositionSet, position: usize) {
        set.insert(position);
        if let Some((_, Segment::AnyDepth, _)) = self.at(position) {
            set.insert(position.saturating_add(1));
        }
    }

    /// The operation, the level of its path, and whether that is the last.
    fn at(&self, position: usize) -> Option<(usize, &Segment, bool)> {
        let Position { operation, level } = *self.positions.get(position)?;
        let segments = self.operations.get(operation)?.at.segments();
        let is_last = segments.len() == level.saturating_add(1);
        Some((operation, segments.get(level)?, is_last))
    }
}

impl Operation {
    /// The lengths of the names that it has: a key of another is none of them.
    fn name_lengths(&self) -> Vec<usize> {
        let mut lengths = Vec::new();
        if let Change::Rename { to, .. } = &self.change {
            lengths.push(to.len());
        }
        for segment in self.at.segments() {
            match segment {
                Segment::Any | Segment::AnyDepth => {}
                Segment::Except(names) => lengths.extend(names.iter().map(String::len)),
                Segment::Name { name, .. } => lengths.push(name.len()),
            }
        }
        lengths
    }
}

fn length_bit(length: usize) -> u64 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    1_u64.wrapping_shl(length.min(63))
}

impl Child<'_> {
    fn is(self, segment: &Segment) -> bool {
        match self {
            Child::Member(name) => segment.is_member(name),
            Child::Element(position) => segment.is_element(position),
        }
    }
}
