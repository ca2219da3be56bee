//! Members of a body that are told to others: in headers, in filter state, by name.

use std::rc::Rc;
use std::time::Duration;

use filter_config::Name;
use http_message::{HeaderEdits, HeaderName, HeaderValue};
use json_stream::{Broken, Captured as Kept, MemberPlaces, MemberReader};

/// What a rule takes out of the bodies of one direction.
#[derive(Debug)]
pub(crate) struct CaptureRule {
    pub(crate) places: MemberPlaces,
    pub(crate) targets: Vec<Target>,
    /// How far into a body the members may be where something waits for them, in bytes.
    pub(crate) max_bytes: usize,
    /// How long it waits.
    pub(crate) deadline: Duration,
    /// The head waits for them.
    pub(crate) holds_head: bool,
    /// What cannot be read goes on.
    pub(crate) pass: bool,
}

/// Who is told of one member.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its number among the places.
    pub(crate) place: usize,
    pub(crate) header: Option<HeaderName>,
    /// The whole name, without the `wasm.` that readers put before it.
    pub(crate) filter_state: Option<String>,
    pub(crate) name: Option<Name>,
}

/// A body under way of which members are taken.
#[derive(Debug)]
pub struct Capturing {
    rule: Rc<CaptureRule>,
    reader: MemberReader,
    /// How much of the body has been read while something waited.
    read: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No byte has come.
    Fresh,
    Open,
    /// It is no document, and goes on all the same.
    Passed,
}

/// Where a body stands whose head waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// More of it is needed.
    More,
    /// There is nothing more to learn.
    Over,
    /// What is looked for is not as near to its beginning as it has to be.
    TooFar,
}

/// What a body has told.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    rule: Option<Rc<CaptureRule>>,
    /// What is there, by the number of its place.
    values: Vec<(usize, HeaderValue)>,
    unfit: usize,
}

impl CaptureRule {
    pub(crate) fn begin(self: &Rc<Self>) -> Box<Capturing> {
        Box::new(Capturing {
            reader: MemberReader::new(&self.places),
            rule: Rc::clone(self),
            read: 0,
            state: State::Fresh,
        })
    }
}

impl Capturing {
    /// How long something may wait for it.
    pub fn deadline(&self) -> Duration {
        self.rule.deadline
    }

    /// The next bytes of a body for which something waits. What comes of them depends on the bytes alone, not on how they were
    /// cut.
    ///
    /// # Errors
    /// It cannot be read, or has a second value at a place.
    pub fn wait(&mut self, chunk: &[u8]) -> Result<Wait, Broken> {
        let left = self.rule.max_bytes.saturating_sub(self.read);
        let (near, far) = chunk.split_at_checked(left).unwrap_or((chunk, &[]));
        self.read = self.read.saturating_add(near.len());
        self.chunk(near)?;
        let wait = match (self.knows_all(), far.is_empty()) {
            (true, _) => Wait::Over,
            (false, true) => Wait::More,
            (false, false) => Wait::TooFar,
        };
        self.chunk(far)?;
        Ok(wait)
    }

    /// The next bytes of a body for which nothing waits.
    ///
    /// # Errors
    /// It cannot be read, or has a second value at a place.
    pub fn chunk(&mut self, chunk: &[u8]) -> Result<(), Broken> {
        if chunk.is_empty() || self.state == State::Passed {
            return Ok(());
        }
        self.state = State::Open;
        self.reader.push(chunk).or_else(|broken| self.pass(broken))
    }

    /// The body is over, by its last chunk or by trailers. Without a byte it is no document, and tells nothing.
    ///
    /// # Errors
    /// The document has not closed.
    pub fn end(&mut self) -> Result<(), Broken> {
        match self.state {
            State::Fresh | State::Passed => Ok(()),
            State::Open => self.reader.finish().or_else(|broken| self.pass(broken)),
        }
    }

    /// Whether there is nothing more to learn.
    pub fn knows_all(&self) -> bool {
        self.state == State::Passed || self.reader.knows_all()
    }

    /// Whether it could not be read, and goes on all the same.
    pub fn has_passed(&self) -> bool {
        self.state == State::Passed
    }

    /// The bytes that it holds of the body.
    pub fn held_bytes(&self) -> usize {
        self.reader.held_bytes()
    }

    /// What it has been told so far. What is no text for a header is not told: longer than what is kept, with a control
    /// character, with a blank at either end, where its reader would not see it.
    pub fn captured(&self) -> Captured {
        let mut captured = Captured {
            rule: Some(Rc::clone(&self.rule)),
            ..Captured::default()
        };
        if self.state == State::Passed {
            return captured;
        }
        for place in 0..self.rule.places.len() {
            match self.reader.get(place) {
                None | Some(Kept::Container) => {}
                Some(Kept::Text(text)) if is_trimmed(text) => {
                    match HeaderValue::try_from(text.as_slice()) {
                        Ok(value) => captured.values.push((place, value)),
                        Err(_) => captured.unfit = captured.unfit.saturating_add(1),
                    }
                }
                Some(Kept::Text(_) | Kept::Unfit) => {
                    captured.unfit = captured.unfit.saturating_add(1);
                }
            }
        }
        captured
    }

    fn pass(&mut self, broken: Broken) -> Result<(), Broken> {
        // What is JSON, and has a member twice or more than it may, would get by the rule else.
        if !self.rule.pass || !broken.is_undecodable() {
            return Err(broken);
        }
        self.state = State::Passed;
        Ok(())
    }
}

impl Captured {
    /// How many members were there and are not told.
    pub fn unfit(&self) -> usize {
        self.unfit
    }

    /// What goes into filter state: names, without the `wasm.` that readers put before them, and values.
    pub fn filter_state(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.told()
            .filter_map(|(target, value)| Some((target.filter_state.as_deref()?, value.as_bytes())))
    }

    /// What templates are told: names and values.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.told()
            .filter_map(|(target, value)| Some((target.name.as_ref()?.as_str(), value.as_bytes())))
    }

    /// Adds the headers.
    pub(crate) fn edit(&self, edits: &mut HeaderEdits) {
        for (target, value) in self.told() {
            if let Some(header) = &target.header {
                edits.set(header.clone(), value.clone());
            }
        }
    }

    fn told(&self) -> impl Iterator<Item = (&Target, &HeaderValue)> {
        let targets = self.rule.iter().flat_map(|rule| &rule.targets);
        targets.filter_map(|target| {
            let found = self.values.iter().find(|(place, _)| *place == target.place);
            Some((target, &found?.1))
        })
    }
}

fn is_trimmed(text: &[u8]) -> bool {
    text.trim_ascii().len() == text.len()
}
