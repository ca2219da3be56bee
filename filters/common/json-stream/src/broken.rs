//! Why a document does not go on.

use std::fmt;

use thiserror::Error;

/// Why a document does not go on, and where. It shows no value of the document; its pointer shows names of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    fault: Fault,
    offset: u64,
    pointer: Box<str>,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A byte that the grammar does not have at this place.
    #[error("not JSON")]
    Syntax,
    /// Bytes in a string that are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Half of a surrogate pair in a key that could be a name of the program's: readers disagree on what it is.
    #[error("half a surrogate pair in a key")]
    LoneSurrogate,
    /// A member whose name its object has had, where that is refused: readers disagree on which one counts.
    #[error("a member twice")]
    DuplicateMember,
    /// Something other than blanks after the document.
    #[error("data after the document")]
    TrailingData,
    /// The message says that it has no body.
    #[error("a body where none was announced")]
    Unannounced,
    /// The body is over and the document is not.
    #[error("incomplete")]
    Incomplete,
    /// More bytes than [`Limits::max_bytes`](crate::Limits::max_bytes).
    #[error("too many bytes")]
    TooLarge,
    /// More levels than [`Limits::max_depth`](crate::Limits::max_depth).
    #[error("too many levels")]
    TooDeep,
    /// More members in an object than [`Limits::max_members`](crate::Limits::max_members).
    #[error("too many members")]
    TooManyMembers,
    /// More elements in an array than [`Limits::max_elements`](crate::Limits::max_elements).
    #[error("too many elements")]
    TooManyElements,
    /// A string or name longer than [`Limits::max_string`](crate::Limits::max_string).
    #[error("too long a string")]
    TooLongString,
    /// More names in all open objects than [`Limits::MAX_NAMES`](crate::Limits::MAX_NAMES).
    #[error("too many names to tell apart")]
    TooManyNames,
    /// The operations would put in more than [`JsonRewriter::MAX_WRITTEN`](crate::JsonRewriter::MAX_WRITTEN) bytes and 16 for
    /// each that came.
    #[error("operations write too much")]
    TooLong,
}

impl Broken {
    pub(crate) fn new(fault: Fault, offset: u64, pointer: String) -> Broken {
        Broken {
            fault,
            offset,
            pointer: pointer.into(),
        }
    }

    /// What is wrong.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// How many bytes of the body are in front of the fault.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The member or element that the fault is in, as a JSON Pointer (RFC 6901); empty for the document. Names are those of
    /// the document, so they are for the one who sent it. Names longer than 64 bytes and pointers longer than 256 are cut,
    /// which `…` tells.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Whether it is no JSON, or not all of one: what `on_undecodable: pass` is for. What is JSON, and has a name twice or more
    /// than it may, is not.
    pub fn is_undecodable(&self) -> bool {
        self.fault.is_undecodable()
    }

    /// Whether a limit is exceeded, and the document may be fine otherwise.
    pub fn is_limit(&self) -> bool {
        self.fault.is_limit()
    }
}

impl Fault {
    /// Whether it is no JSON, or not all of one: what `on_undecodable: pass` is for. What is JSON, and has a name twice or more
    /// than it may, is not.
    pub fn is_undecodable(self) -> bool {
        !self.is_limit() && !matches!(self, Fault::DuplicateMember | Fault::Unannounced)
    }

    /// Whether a limit is exceeded.
    pub fn is_limit(self) -> bool {
        match self {
            Fault::Syntax
            | Fault::NotUtf8
            | Fault::LoneSurrogate
            | Fault::DuplicateMember
            | Fault::TrailingData
            | Fault::Unannounced
            | Fault::Incomplete => false,
            Fault::TooLarge
            | Fault::TooDeep
            | Fault::TooManyMembers
            | Fault::TooManyElements
            | Fault::TooLongString
            | Fault::TooManyNames
            | Fault::TooLong => true,
        }
    }
}

/// Of the body as a whole, before its first byte.
impl From<Fault> for Broken {
    fn from(fault: Fault) -> Broken {
        Broken::new(fault, 0, String::new())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.fault, self.offset)?;
        if !self.pointer.is_empty() {
            write!(formatter, " in {}", self.pointer.escape_debug())?;
        }
        Ok(())
    }
}

impl std::error::Error for Broken {}
