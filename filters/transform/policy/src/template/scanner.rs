//! Where in a text the placeholders are.

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// It stands for itself.
    Text(&'a str),
    /// What is between `${` and `}`, as it is written.
    Placeholder(&'a str),
    /// A `${` without its `}`; nothing follows.
    Unclosed,
}

/// The pieces of a text, in order.
pub(super) fn pieces(text: &str) -> Pieces<'_> {
    Pieces(text)
}

#[derive(Clone, Debug)]
pub(super) struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        if let Some(rest) = self.0.strip_prefix("$${") {
            self.0 = rest;
            return Some(Piece::Text("${"));
        }
        if let Some(rest) = self.0.strip_prefix("${") {
            let Some((inner, rest)) = split_at_unescaped(rest, '}') else {
                self.0 = "";
                return Some(Piece::Unclosed);
            };
            self.0 = rest;
            return Some(Piece::Placeholder(inner));
        }
        // Behind the first character, since a dollar that begins neither stands for itself.
        let mut places = self.0.char_indices().skip(1);
        let end = places.find(|(_, letter)| *letter == '$');
        let end = end.map_or(self.0.len(), |(end, _)| end);
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(Piece::Text(text))
    }
}

/// What is in front of the first `end` that no `\` stands before, and what follows it.
pub(super) fn split_at_unescaped(text: &str, end: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == end {
            let rest = text.get(at..)?.strip_prefix(end)?;
            return Some((text.get(..at)?, rest));
        }
    }
    None
}

/// The text that is meant: a `\` before `|`, `}` or `\` goes, any other stays.
pub(super) fn unescape(text: &str) -> String {
    let mut meant = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = letters.next_if(|next| letter == '\\' && matches!(next, '|' | '}' | '\\'));
        meant.push(escaped.unwrap_or(letter));
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_placeholders() {
        use Piece::{Placeholder, Text, Unclosed};
        for (text, expected) in [
            ("", &[][..]),
            ("plain", &[Text("plain")]),
            ("${a}", &[Placeholder("a")]),
            ("x${a}y", &[Text("x"), Placeholder("a"), Text("y")]),
            ("$${a}", &[Text("${"), Text("a}")]),
            ("$$${a}", &[Text("$"), Text("${"), Text("a}")]),
            ("$$a", &[Text("$"), Text("$a")]),
            ("$", &[Text("$")]),
            ("$5 and {a}", &[Text("$5 and {a}")]),
            ("${a\\}b}", &[Placeholder("a\\}b")]),
            ("${a\\\\}b}", &[Placeholder("a\\\\"), Text("b}")]),
            ("${a${b}", &[Placeholder("a${b")]),
            ("é${a", &[Text("é"), Unclosed]),
            ("${", &[Unclosed]),
            ("${a\\}", &[Unclosed]),
        ] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn only_what_has_a_meaning_is_escaped() {
        for (text, meant) in [
            ("a\\|b\\}c\\\\d", "a|b}c\\d"),
            ("a\\nb", "a\\nb"),
            ("a\\", "a\\"),
            ("\\\\|", "\\|"),
        ] {
            assert_eq!(unescape(text), meant, "{text}");
        }
    }
}
