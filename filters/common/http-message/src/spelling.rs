//! Header names that an upstream cannot tell apart.
//!
//! CGI, WSGI and their like turn a header name into a variable name: letters to one case, and whatever a variable name
//! cannot hold to an underscore. `X-User`, `x_user` and `x.user` arrive there as one header, so a name that carries trust
//! has to be compared in this form.

/// The byte as it counts in a comparison of spellings: ASCII letters in lower case, digits as they are, all else `-`.
pub fn fold_byte(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'-',
    }
}

/// The folded name, byte by byte, without an allocation.
pub fn fold_name(name: &[u8]) -> impl Iterator<Item = u8> + Clone {
    name.iter().copied().map(fold_byte)
}

/// Whether an upstream may take the two names for one.
pub fn same_spelling(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && fold_name(a).eq(fold_name(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_cgi_joins_are_one() {
        for other in [
            "x-user",
            "x_user",
            "X-User",
            "x.user",
            "X_USER",
            "x!user",
            "x\u{7f}user",
        ] {
            assert!(same_spelling(b"x-user", other.as_bytes()), "{other}");
        }
        assert!(
            same_spelling(b"x-user", b"x\xffuser"),
            "a byte that is not ASCII"
        );
    }

    #[test]
    fn other_names_stay_apart() {
        for other in ["x-users", "x-use", "xuser", "x--user", "y-user", ""] {
            assert!(!same_spelling(b"x-user", other.as_bytes()), "{other}");
        }
    }
}
