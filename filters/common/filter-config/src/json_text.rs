//! The parts of a JSON text that is known to be good, where they stand: nothing is copied, and a list of ten thousand objects takes
//! no more memory than its text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::{Number, Value};

use crate::strict_json::{self, Limits};

/// A value's own bytes, out of a text that [`crate::strict_json::check`] has found good. Of another text the parts mean nothing.
#[derive(Clone, Copy)]
pub(crate) struct JsonText<'t>(&'t [u8]);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    List,
    Object,
}

/// A member of an object, in the order of names.
struct Member<'t>(Cow<'t, str>, JsonText<'t>);

/// The items of a list, or the names and values of an object: whatever is behind a bracket, comma or colon.
pub(crate) struct Parts<'t>(&'t [u8]);

impl<'t> JsonText<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        JsonText(text.trim_ascii())
    }

    #[inline(never)]
    pub(crate) fn kind(self) -> Kind {
        match self.0.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    pub(crate) fn is_true(self) -> bool {
        self.0 == b"true"
    }

    #[inline(never)]
    pub(crate) fn number(self) -> Option<Number> {
        match self.value()? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The text of a string, its own.
    #[inline(never)]
    pub(crate) fn text(self) -> String {
        self.string().into_owned()
    }

    /// The text of a string.
    #[inline(never)]
    pub(crate) fn string(self) -> Cow<'t, str> {
        let inner = self.0.get(1..self.0.len().saturating_sub(1));
        match inner {
            Some(inner) if !inner.contains(&b'\\') => String::from_utf8_lossy(inner),
            _ => match self.value() {
                Some(Value::String(text)) => Cow::Owned(text),
                _ => Cow::Borrowed(""),
            },
        }
    }

    /// A number or a string, by the reader that has found it good: another would be one more in each module.
    fn value(self) -> Option<Value> {
        let limits = Limits {
            max_depth: 0,
            max_bytes: self.0.len(),
        };
        strict_json::from_slice(self.0, limits).ok()
    }

    /// What a list or an object consists of.
    pub(crate) fn parts(self) -> Parts<'t> {
        Parts(self.0.get(1..).unwrap_or_default())
    }

    /// The members of an object in the order of their names, in which a fault is the same one however they are written.
    #[inline(never)]
    pub(crate) fn members(self) -> Vec<(Cow<'t, str>, JsonText<'t>)> {
        let mut parts = self.parts();
        let mut members = Vec::new();
        while let Some(name) = parts.next()
            && let Some(value) = parts.next()
        {
            members.push(Member(name.string(), value));
        }
        // A heap: the sort of a slice is fast where that does not matter, and takes 3 KB of a module.
        let sorted = BinaryHeap::from(members).into_sorted_vec();
        let pairs = sorted.into_iter().map(|Member(name, value)| (name, value));
        pairs.collect()
    }
}

impl Ord for Member<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Member<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Member<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Member<'_> {}

impl<'t> Iterator for Parts<'t> {
    type Item = JsonText<'t>;

    #[inline(never)]
    fn next(&mut self) -> Option<JsonText<'t>> {
        let is_between = |byte: &u8| matches!(byte, b',' | b':') || byte.is_ascii_whitespace();
        let start = self.0.iter().position(|byte| !is_between(byte))?;
        let rest = self.0.get(start..)?;
        let (value, rest) = rest.split_at_checked(end(rest))?;
        self.0 = rest;
        (!value.is_empty()).then_some(JsonText(value))
    }
}

/// How long the value is that a text begins with; nothing before the bracket that ends what it is in.
fn end(text: &[u8]) -> usize {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (index, byte) in text.iter().enumerate() {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' if depth == 0 => return index.saturating_add(1),
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => match depth {
                0 => return index,
                1 => return index.saturating_add(1),
                _ => depth = depth.saturating_sub(1),
            },
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return index,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::strict_json::tests::values;

    /// The whole tree, by the parts.
    fn tree(text: JsonText<'_>) -> Value {
        match text.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => Value::Bool(text.is_true()),
            Kind::Number => Value::Number(text.number().unwrap()),
            Kind::String => Value::String(text.string().into_owned()),
            Kind::List => text.parts().map(tree).collect(),
            Kind::Object => {
                let members = text.members().into_iter();
                Value::Object(
                    members
                        .map(|(name, value)| (name.into_owned(), tree(value)))
                        .collect::<Map<_, _>>(),
                )
            }
        }
    }

    // A quote or a bracket taken for another ends a value early: what follows would be read as something else.
    #[test]
    fn parts_end_where_they_end() {
        for text in [
            r#" { "a" : [ 1 , "]" , {"b":"\"}"} , [[],[]] , -1.5e3 ] , "":null,"\\":"\\\\" } "#,
            r#"{"a":true,"b":false,"c":{},"d":[]}"#,
            "[\n\t1\r\n,\t2 ]",
            r#""\u00e9\ud83d\ude00é""#,
            "0",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(tree(JsonText::new(text.as_bytes())), expected, "{text}");
        }
    }

    // What is no JSON never gets here; if it did, it must not be a lost VM.
    #[test]
    fn nonsense_ends() {
        for text in [
            "", "{", "[", "[1", "[\"", "{\"a", "{\"a\":", "]", "\"", "[,,:", "{\"a\\",
        ] {
            let text = JsonText::new(text.as_bytes());
            let _ = (
                text.string(),
                text.number(),
                text.members().len(),
                text.parts().count(),
            );
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_those_that_serde_json_reads(value in values(), pretty in any::<bool>()) {
            let value = json!([value, { "k": value }]);
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            prop_assert_eq!(tree(JsonText::new(text.as_bytes())), serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}
