//! The query edits of one rule.

use std::borrow::Cow;

use http_message::{HeaderValue, decode_query, fold_byte, query_decodes_to};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::template::{Sources, Template};
use crate::value::{InvalidValue, Value};

/// Edits in the order of the document, each made on the query as the edits before it leave it.
#[derive(Debug, Default)]
pub(crate) struct QueryEdits(pub(crate) Vec<QueryEdit>);

/// One edit.
#[derive(Debug)]
pub(crate) enum QueryEdit {
    /// There is this parameter once, where its first copy was, or at the end.
    Set(Parameter, Value),
    /// There it is, at the end, where there was none of the name.
    Add(Parameter, Value),
    /// Gone, however it is spelled.
    Remove(Parameter),
    /// Every copy has the other name, and replaces those that had it. Nothing to rename: nothing is done.
    Rename { from: Parameter, to: Parameter },
    /// Everything else is gone.
    KeepOnly(Vec<Parameter>),
}

/// The name of a parameter, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter(String);

/// All but what RFC 3986 section 2.3 leaves unreserved: such a text is one name or value to every reader.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl QueryEdits {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The query with the edits made, without its `?`; nothing if it is as it was. Of parameters that no edit is about every
    /// byte stays.
    ///
    /// # Errors
    /// A value is none.
    pub(crate) fn apply(
        &self,
        query: &[u8],
        sources: &Sources<'_>,
    ) -> Result<Option<Vec<u8>>, InvalidValue> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut pieces: Vec<Cow<'_, [u8]>> = match query.is_empty() {
            true => Vec::new(),
            false => query.split(|byte| *byte == b'&').map(Cow::from).collect(),
        };
        for edit in &self.0 {
            edit.apply(&mut pieces, sources)?;
        }
        let edited = pieces.join(&b'&');
        Ok((edited != query).then_some(edited))
    }

    /// The templates of its values.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.0.iter().filter_map(|edit| match edit {
            QueryEdit::Set(_, value) | QueryEdit::Add(_, value) => value.template(),
            _ => None,
        })
    }
}

impl QueryEdit {
    fn apply(
        &self,
        pieces: &mut Vec<Cow<'_, [u8]>>,
        sources: &Sources<'_>,
    ) -> Result<(), InvalidValue> {
        match self {
            QueryEdit::Set(name, value) => {
                let place = pieces
                    .iter()
                    .position(|piece| name.is_spelled(name_of(piece)));
                let rest = place.map(|place| pieces.split_off(place));
                let mut rest = rest.unwrap_or_default();
                drop_tokens(pieces, |token| name.is_spelled(token));
                drop_tokens(&mut rest, |token| name.is_spelled(token));
                let pair = value.text(sources)?.map(|value| name.with(&value));
                pieces.extend(pair.map(Cow::Owned));
                pieces.append(&mut rest);
            }
            QueryEdit::Add(name, value) => {
                if let Some(value) = value.text(sources)?
                    && !name.is_in(pieces)
                {
                    pieces.push(Cow::Owned(name.with(&value)));
                }
            }
            QueryEdit::Remove(name) => drop_tokens(pieces, |token| name.is_spelled(token)),
            QueryEdit::Rename { from, to } => {
                if from.is_in(pieces) {
                    // What is to be renamed may look like another spelling of what it becomes.
                    drop_tokens(pieces, |token| to.is_spelled(token) && !from.is(token));
                    for piece in pieces {
                        from.rename(to, piece);
                    }
                }
            }
            QueryEdit::KeepOnly(names) => {
                drop_tokens(pieces, |token| !names.iter().any(|name| name.is(token)));
            }
        }
        Ok(())
    }
}

impl Parameter {
    pub(crate) fn new(name: &str) -> Parameter {
        Parameter(name.to_owned())
    }

    /// Whether a raw name is this one.
    fn is(&self, raw: &[u8]) -> bool {
        query_decodes_to(raw, self.0.as_bytes())
    }

    /// Whether some upstream may take a raw name for this one: letters in another case, other signs between them, the name of
    /// a list (`name[]`), or encoded once more.
    fn is_spelled(&self, raw: &[u8]) -> bool {
        let wanted = self.0.as_bytes();
        let once = decode_query(raw);
        let twice = decode_query(&once);
        [&once, &twice]
            .iter()
            .any(|name| is_same(name, wanted) || is_same(without_list(name), wanted))
    }

    fn is_in(&self, pieces: &[Cow<'_, [u8]>]) -> bool {
        let tokens = pieces.iter().flat_map(|piece| tokens(piece));
        tokens.into_iter().any(|token| self.is(name_of(token)))
    }

    fn with(&self, value: &HeaderValue) -> Vec<u8> {
        let mut pair = self.encoded();
        pair.push(b'=');
        pair.extend(percent_encode(value.as_bytes(), ENCODED).flat_map(str::bytes));
        pair
    }

    fn encoded(&self) -> Vec<u8> {
        let parts = percent_encode(self.0.as_bytes(), ENCODED);
        parts.flat_map(str::bytes).collect()
    }

    /// Gives `piece` the other name wherever it has this one.
    fn rename(&self, to: &Parameter, piece: &mut Cow<'_, [u8]>) {
        if !tokens(piece).any(|token| self.is(name_of(token))) {
            return;
        }
        let renamed: Vec<Vec<u8>> = tokens(piece)
            .map(|token| {
                let name = name_of(token);
                if !self.is(name) {
                    return token.to_vec();
                }
                let mut renamed = to.encoded();
                renamed.extend_from_slice(token.get(name.len()..).unwrap_or_default());
                renamed
            })
            .collect();
        *piece = Cow::Owned(renamed.join(&b';'));
    }
}

/// Takes out what has such a raw name. Between two `&` is one parameter to most upstreams, and several, parted by `;`, to some:
/// where the first of them is meant all go, where another is meant that one goes.
fn drop_tokens(pieces: &mut Vec<Cow<'_, [u8]>>, is_meant: impl Fn(&[u8]) -> bool) {
    pieces.retain_mut(|piece| {
        if piece.is_empty() {
            return true;
        }
        if is_meant(name_of(piece)) || tokens(piece).next().map(name_of).is_some_and(&is_meant) {
            return false;
        }
        if tokens(piece).any(|token| is_meant(name_of(token))) {
            let left: Vec<&[u8]> = tokens(piece)
                .filter(|token| !is_meant(name_of(token)))
                .collect();
            *piece = Cow::Owned(left.join(&b';'));
        }
        true
    });
}

fn tokens(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    piece.split(|byte| *byte == b';')
}

/// The raw name of a pair.
fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn is_same(name: &[u8], wanted: &[u8]) -> bool {
    let fold = |byte: &u8| match byte {
        0x80.. => *byte,
        byte => fold_byte(*byte),
    };
    let name = name.trim_ascii();
    name.len() == wanted.len() && name.iter().map(fold).eq(wanted.iter().map(fold))
}

fn without_list(name: &[u8]) -> &[u8] {
    let mut parts = name.split(|byte| matches!(byte, b'[' | 0));
    parts.next().unwrap_or_default()
}
