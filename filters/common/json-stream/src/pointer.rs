//! Where in a document: JSON Pointers (RFC 6901), in which `*` stands for every member or element of one level and `**` for
//! any number of levels.

use thiserror::Error;

/// A path of levels from the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Segment>);

/// One level of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Every member of an object and every element of an array.
    Any,
    /// Any number of levels, none included.
    AnyDepth,
    /// Every member but those of these names, and every element of an array.
    Except(Vec<String>),
    /// The member of that name. Of an array: the element at `index`.
    Name {
        /// The name, unescaped.
        name: String,
        /// What the name is as a position: digits without a leading zero.
        index: Option<u64>,
    },
}

/// Why a text is not a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidPointer {
    /// It is empty, and would stand for the whole document.
    #[error("the whole document is no place in it; name a member, as in /user/email")]
    Whole,
    /// It does not begin with a slash.
    #[error("a path begins with /, as in /user/email")]
    NoSlash,
    /// It has more than [`Pointer::MAX_SEGMENTS`] levels.
    #[error("a path may have at most 16 levels")]
    TooDeep,
    /// A `~` that is neither `~0` nor `~1`.
    #[error("~ is written ~0, and a / inside a name ~1")]
    Escape,
    /// It ends with `**`, or has two in a row.
    #[error("after ** comes a name or *, as in /**/email")]
    AnyDepth,
    /// It has a `*` where one place is to be named.
    #[error("* and ** are many places; name one member, as in /usage/total_tokens")]
    Many,
}

impl Pointer {
    /// The most levels of a path.
    pub const MAX_SEGMENTS: usize = 16;

    /// The whole document.
    pub fn root() -> Pointer {
        Pointer(Vec::new())
    }

    /// Reads `/customers/*/email`.
    ///
    /// # Errors
    /// See [`InvalidPointer`].
    pub fn parse(text: &str) -> Result<Pointer, InvalidPointer> {
        if text.is_empty() {
            return Err(InvalidPointer::Whole);
        }
        let levels = text.strip_prefix('/').ok_or(InvalidPointer::NoSlash)?;
        let segments = levels
            .split('/')
            .map(Segment::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if segments.len() > Self::MAX_SEGMENTS {
            return Err(InvalidPointer::TooDeep);
        }
        let mut next = segments
            .iter()
            .skip(1)
            .chain(std::iter::once(&Segment::AnyDepth));
        if segments.iter().any(|segment| {
            let next = next.next();
            *segment == Segment::AnyDepth && next == Some(&Segment::AnyDepth)
        }) {
            return Err(InvalidPointer::AnyDepth);
        }
        Ok(Pointer(segments))
    }

    /// Whether it stands for one place at most.
    pub(crate) fn is_one_place(&self) -> bool {
        let is_name = |segment: &Segment| matches!(segment, Segment::Name { .. });
        self.0.iter().all(is_name)
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The children of this place but those of these names.
    pub(crate) fn except(mut self, names: Vec<String>) -> Pointer {
        self.0.push(Segment::Except(names));
        self
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Segment, InvalidPointer> {
        match text {
            "*" => return Ok(Segment::Any),
            "**" => return Ok(Segment::AnyDepth),
            _ => {}
        }
        let mut name = String::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            name.push(match letter {
                '~' => match letters.next() {
                    Some('0') => '~',
                    Some('1') => '/',
                    _ => return Err(InvalidPointer::Escape),
                },
                letter => letter,
            });
        }
        let canonical =
            name == "0" || (!name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit()));
        let index = name.parse().ok().filter(|_| canonical);
        Ok(Segment::Name { name, index })
    }

    /// Whether it stands for the member of that name.
    pub(crate) fn is_member(&self, member: &[u8]) -> bool {
        match self {
            Segment::Any => true,
            Segment::AnyDepth => false,
            Segment::Except(names) => names.iter().all(|name| member != name.as_bytes()),
            Segment::Name { name, .. } => member == name.as_bytes(),
        }
    }

    /// Whether it stands for some elements of an array and not for others, or, as the last, for one at all.
    pub(crate) fn tells_elements(&self, is_last: bool) -> bool {
        match self {
            Segment::Any | Segment::Except(_) => is_last,
            Segment::AnyDepth => false,
            Segment::Name { index, .. } => index.is_some(),
        }
    }

    /// Whether it stands for the element at that position.
    pub(crate) fn is_element(&self, position: u64) -> bool {
        match self {
            Segment::Any | Segment::Except(_) => true,
            Segment::AnyDepth => false,
            Segment::Name { index, .. } => *index == Some(position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Segment> {
        Pointer::parse(text).unwrap().0
    }

    // RFC 6901 section 5 has these names; a wrong reading leaves a member unmasked.
    #[test]
    fn names_are_unescaped_once() {
        for (text, name) in [
            ("/a~1b", "a/b"),
            ("/m~0n", "m~n"),
            ("/~01", "~1"),
            ("/", ""),
            ("/ ", " "),
        ] {
            let [Segment::Name { name: read, .. }] = &names(text)[..] else {
                panic!("{text}")
            };
            assert_eq!(read, name);
        }
        assert_eq!(names("/a/*/b").len(), 3);
        assert_eq!(names("/*")[0], Segment::Any);
    }

    #[test]
    fn an_index_has_one_spelling() {
        let index = |text: &str| match &names(text)[0] {
            Segment::Name { index, .. } => *index,
            _ => None,
        };
        assert_eq!(index("/0"), Some(0));
        assert_eq!(index("/10"), Some(10));
        for text in [
            "/",
            "/00",
            "/01",
            "/-",
            "/+1",
            "/1a",
            "/18446744073709551616",
        ] {
            assert_eq!(index(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (text, error) in [
            ("", InvalidPointer::Whole),
            ("a", InvalidPointer::NoSlash),
            ("/a~2", InvalidPointer::Escape),
            ("/a~", InvalidPointer::Escape),
            ("/a/**", InvalidPointer::AnyDepth),
            ("/**", InvalidPointer::AnyDepth),
            ("/**/**/a", InvalidPointer::AnyDepth),
            (
                "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
                InvalidPointer::TooDeep,
            ),
        ] {
            assert_eq!(Pointer::parse(text), Err(error), "{text}");
        }
    }
}
