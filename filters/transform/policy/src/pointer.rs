//! Where in a document: JSON Pointers (RFC 6901), in which `*` stands for every member or element of one level.

use thiserror::Error;

/// A path with one segment or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Segment>);

/// One level of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Every member of an object and every element of an array.
    Any,
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
    #[error("the whole document cannot be changed; name a member, as in /user/email")]
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
    /// It has `**`.
    #[error("** is not read by this version; * stands for one level")]
    AnyDepth,
}

impl Pointer {
    /// The most levels of a path.
    pub const MAX_SEGMENTS: usize = 16;

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
        Ok(Pointer(segments))
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Segment, InvalidPointer> {
        match text {
            "*" => return Ok(Segment::Any),
            "**" => return Err(InvalidPointer::AnyDepth),
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
            Segment::Name { name, .. } => member == name.as_bytes(),
        }
    }

    /// Whether it stands for the element at that position.
    pub(crate) fn is_element(&self, position: u64) -> bool {
        match self {
            Segment::Any => true,
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
            Segment::Any => None,
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
            (
                "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
                InvalidPointer::TooDeep,
            ),
        ] {
            assert_eq!(Pointer::parse(text), Err(error), "{text}");
        }
    }
}
