//! What a source gives.

use std::borrow::Cow;

use http_message::percent_encode_value;

/// A value on its way through the functions of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, [u8]>),
    /// Several texts, which are one where they are written: see [`Value::into_text`].
    List(&'a [String]),
}

impl<'a> Value<'a> {
    /// A text of the program's, or of the head.
    pub(super) fn of(text: &'a [u8]) -> Value<'a> {
        Value::Text(Cow::Borrowed(text))
    }

    /// Values of one name, as RFC 9110 section 5.2 combines them. None is nothing.
    pub(super) fn joined<T: AsRef<[u8]> + Into<Cow<'a, [u8]>>>(
        mut values: impl Iterator<Item = T>,
    ) -> Option<Value<'a>> {
        let mut text: Cow<'a, [u8]> = values.next()?.into();
        for value in values {
            let text = text.to_mut();
            text.extend_from_slice(b", ");
            text.extend_from_slice(value.as_ref());
        }
        Some(Value::Text(text))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Value::Text(text) => text.is_empty(),
            Value::List(texts) => texts.is_empty(),
        }
    }

    /// The text as it is written. A list is one with commas; in its parts everything but visible ASCII, `%` and `,` is
    /// percent-encoded, as auth does it, so that the name of a group cannot be two.
    pub(super) fn into_text(self) -> Cow<'a, [u8]> {
        match self {
            Value::Text(text) => text,
            Value::List(texts) => {
                let texts: Vec<String> = texts
                    .iter()
                    .map(|text| percent_encode_value(text))
                    .collect();
                Cow::Owned(texts.join(",").into_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A group `staff,admin` would be two groups to an upstream that splits at commas.
    #[test]
    fn a_list_stays_as_long_as_it_is() {
        let texts = ["staff,admin".to_owned(), "b c%".to_owned()];
        assert_eq!(
            Value::List(&texts).into_text().as_ref(),
            b"staff%2Cadmin,b%20c%25"
        );
    }

    #[test]
    fn values_of_one_name_are_one() {
        let joined = |values: &[&'static [u8]]| Value::joined(values.iter().copied());
        assert_eq!(joined(&[]), None);
        assert_eq!(joined(&[b"a"]), Some(Value::of(b"a")));
        assert_eq!(joined(&[b"a", b"", b"c"]), Some(Value::of(b"a, , c")));
    }
}
