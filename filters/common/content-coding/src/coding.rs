//! The codings, by name, and the one of a message.

use http_message::HeaderMap;

/// A content coding that can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or 1951 without a wrapper.
    Deflate,
}

/// Some of the codings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    /// [`Coding::Gzip`] is one of them.
    pub gzip: bool,
    /// [`Coding::Deflate`] is one of them.
    pub deflate: bool,
}

/// What a message says of the coding of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// It has none.
    Identity,
    /// It has this one alone.
    Coded(Coding),
    /// It has one that cannot be read, or several.
    Unknown,
}

impl Coding {
    /// Both.
    pub const ALL: [Coding; 2] = [Coding::Gzip, Coding::Deflate];

    /// The name in `content-encoding` and `accept-encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    /// By its name, in any case; `x-gzip` is `gzip` (RFC 9110 section 8.4.1.3).
    pub fn named(name: &[u8]) -> Option<Coding> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("gzip") || is("x-gzip") {
            Some(Coding::Gzip)
        } else if is("deflate") {
            Some(Coding::Deflate)
        } else {
            None
        }
    }
}

impl Codings {
    /// All that can be read.
    pub const ALL: Codings = Codings {
        gzip: true,
        deflate: true,
    };

    /// Whether this is one of them.
    pub fn has(self, coding: Coding) -> bool {
        match coding {
            Coding::Gzip => self.gzip,
            Coding::Deflate => self.deflate,
        }
    }
}

impl FromIterator<Coding> for Codings {
    fn from_iter<I: IntoIterator<Item = Coding>>(codings: I) -> Codings {
        codings
            .into_iter()
            .fold(Codings::default(), |codings, coding| match coding {
                Coding::Gzip => Codings {
                    gzip: true,
                    ..codings
                },
                Coding::Deflate => Codings {
                    deflate: true,
                    ..codings
                },
            })
    }
}

impl ContentCoding {
    /// By the headers of the message.
    pub fn of(headers: &HeaderMap) -> ContentCoding {
        let mut found = ContentCoding::Identity;
        let names = headers
            .get_all("content-encoding")
            .flat_map(|codings| codings.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        for name in names {
            found = match (found, Coding::named(name)) {
                (ContentCoding::Identity, Some(coding)) => ContentCoding::Coded(coding),
                _ => return ContentCoding::Unknown,
            };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A body that is taken for plain, or for another coding, goes on unmasked or is refused.
    #[test]
    fn the_coding_of_a_message_is_told_by_all_its_headers() {
        let gzip = ContentCoding::Coded(Coding::Gzip);
        let deflate = ContentCoding::Coded(Coding::Deflate);
        for (values, expected) in [
            (&[][..], ContentCoding::Identity),
            (&[""], ContentCoding::Identity),
            (&["identity", "Identity, "], ContentCoding::Identity),
            (&["gzip"], gzip),
            (&["X-GZip "], gzip),
            (&["identity", "gzip,"], gzip),
            (&["Deflate"], deflate),
            (&["gzip, gzip"], ContentCoding::Unknown),
            (&["gzip", "deflate"], ContentCoding::Unknown),
            (&["br"], ContentCoding::Unknown),
            (&["gzip, br"], ContentCoding::Unknown),
            (&["br, gzip"], ContentCoding::Unknown),
            (&["gzip;q=1"], ContentCoding::Unknown),
            (&["compress"], ContentCoding::Unknown),
            (&["zstd"], ContentCoding::Unknown),
        ] {
            let headers = values.iter().map(|value| ("content-encoding", *value));
            let headers = HeaderMap::from_pairs(headers);
            assert_eq!(ContentCoding::of(&headers), expected, "{values:?}");
        }
    }
}
