//! One `${…}`.

use super::TooLong;
use super::function::Function;
use super::needs::Needs;
use super::scanner::{split_at_unescaped, unescape};
use super::scope::Scope;
use super::source::Source;
use super::sources::Sources;

/// A source and what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Placeholder {
    source: Source,
    functions: Vec<Function>,
}

impl Placeholder {
    /// The most functions of one.
    const MAX_FUNCTIONS: usize = 8;

    /// Reads what is between `${` and `}`. The error is a reason.
    pub(super) fn parse(inner: &str, scope: Scope<'_>) -> Result<Placeholder, String> {
        if inner.contains("${") {
            return Err("one in another is not filled; nothing is read twice".to_owned());
        }
        let (first, mut rest) = next(inner);
        let source = Source::parse(&unescape(first.trim()), scope)?;
        let mut functions = Vec::new();
        while let Some(text) = rest {
            let (one, after) = next(text);
            rest = after;
            functions.push(Function::parse(&unescape(one.trim()))?);
        }
        if functions.len() > Self::MAX_FUNCTIONS {
            return Err("at most 8 functions".to_owned());
        }
        Ok(Placeholder { source, functions })
    }

    pub(super) fn add_needs(&self, needs: &mut Needs) {
        self.source.add_needs(needs);
    }

    /// The request header that it copies.
    pub(super) fn request_header(&self) -> Option<&str> {
        self.source.request_header()
    }

    pub(super) fn append(
        &self,
        sources: &Sources<'_>,
        filled: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let mut value = sources.get(&self.source);
        for function in &self.functions {
            value = function.apply(value)?;
        }
        if let Some(value) = value {
            filled.extend_from_slice(&value.into_text());
        }
        Ok(())
    }
}

/// What is in front of the next bar, and what follows it if there is one.
fn next(text: &str) -> (&str, Option<&str>) {
    match split_at_unescaped(text, '|') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    }
}
