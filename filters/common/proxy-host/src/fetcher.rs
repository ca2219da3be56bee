//! One source that is fetched once for all workers: the shared data under the steps of the `fetch` crate.

use std::time::Duration;

use fetch::{Document, Need, Outlook, Record, Timing};

use crate::error::HostError;
use crate::shared_data::{self, Write};

/// What the keys of all sources begin with. It names the form: code of another form has keys of its own.
pub(crate) const NAMESPACE: &str = "gatehouse.fetch.1";

/// How often a write is tried. Few workers write, and seldom at once.
const TRIES: usize = 32;

/// A source, as one root context sees it.
#[derive(Debug)]
pub struct Fetcher {
    record_key: String,
    document_key: String,
    timing: Timing,
    holder: u64,
    record: Record,
    /// How often the record, or the document that was handed out, has changed for this root.
    changes: u64,
    /// The generation of the document that was handed out last; 0 if none is in use.
    seen: u64,
    /// The document and the condition of its replacement, as they were when this root began to lead.
    lead: Option<(Option<Document>, Write)>,
}

/// What a look at a source finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The document that the last look found.
    Same,
    /// Another document.
    Other(Vec<u8>),
    /// No document, or one that is too old to be used.
    Nothing,
}

/// What became of what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is another document than before.
    Other,
    /// It is the document that was there.
    Same,
    /// Another leads by now: it was too late.
    Late,
}

impl Fetcher {
    /// A source. What has the same `name` is the same source; `holder` is a number that no other root has, and not zero.
    pub fn new(name: &str, timing: Timing, holder: u64) -> Self {
        Self {
            record_key: format!("{NAMESPACE}/record/{name}"),
            document_key: format!("{NAMESPACE}/document/{name}"),
            timing,
            holder,
            record: Record::default(),
            changes: 0,
            seen: 0,
            lead: None,
        }
    }

    /// Looks at what all workers know.
    ///
    /// # Errors
    /// The host's statuses; the source is as it was at the last look then.
    pub fn look(&mut self, now: Duration) -> Result<Look, HostError> {
        let (record, _) = read(&self.record_key)?;
        self.know(record);
        if !self.record.is_usable(&self.timing, now) {
            self.see(0);
            return Ok(Look::Nothing);
        }
        if self.record.generation() == self.seen {
            return Ok(Look::Same);
        }
        match self.document()?.0 {
            Some(document) if document.generation != self.seen => {
                self.see(document.generation);
                Ok(Look::Other(document.body))
            }
            Some(_) => Ok(Look::Same),
            None => Ok(Look::Nothing),
        }
    }

    /// Whether this root leads from now on: a fetch is due, and nobody else leads.
    ///
    /// # Errors
    /// The host's statuses.
    pub fn lead(&mut self, need: Need, now: Duration) -> Result<bool, HostError> {
        // Nearly always nothing is due, and the last look says so.
        if self
            .record
            .lead(&self.timing, need, self.holder, now)
            .is_none()
        {
            return Ok(false);
        }
        // Read before the lease is taken: a document that is written later is not overwritten by what this lease brings.
        let document = self.document()?;
        let (holder, timing) = (self.holder, self.timing);
        let led = self.change(|record| record.lead(&timing, need, holder, now))?;
        self.lead = led.then_some(document);
        Ok(led)
    }

    /// Hands in what was fetched.
    ///
    /// # Errors
    /// The host's statuses; the lease runs out then.
    pub fn store(&mut self, body: &[u8], random: u64, now: Duration) -> Result<Stored, HostError> {
        let Some((mut last, mut write)) = self.lead.take() else {
            return Ok(Stored::Late);
        };
        let (holder, timing) = (self.holder, self.timing);
        for _ in 0..TRIES {
            // Whoever lost the lease may be late by hours. Whoever has it, and then loses it, finds that another has written.
            if !read(&self.record_key)?.0.is_held_by(holder) {
                return Ok(Stored::Late);
            }
            // Said also of a document that was there: a leader that was lost between its two writes has not said it.
            let (generation, stored) = match &last {
                Some(last) if last.body == body => (last.generation, Stored::Same),
                before => {
                    let next = Document::after(before.as_ref(), body.to_vec());
                    if !shared_data::set(self.document_key.as_bytes(), &next.encode(), write)? {
                        (last, write) = self.document()?;
                        continue;
                    }
                    (next.generation, Stored::Other)
                }
            };
            let kept =
                self.change(|record| record.succeed(&timing, holder, generation, random, now))?;
            return Ok(if kept { stored } else { Stored::Late });
        }
        Ok(Stored::Late)
    }

    /// Says that nothing was fetched.
    ///
    /// # Errors
    /// The host's statuses; the lease runs out then.
    pub fn fail(&mut self, random: u64, now: Duration) -> Result<(), HostError> {
        self.lead = None;
        let (holder, timing) = (self.holder, self.timing);
        self.change(|record| record.fail(&timing, holder, random, now))
            .map(drop)
    }

    /// What somebody may hope for who asked at `asked` for something that the document does not have, by the last look.
    pub fn outlook(&self, asked: Duration, now: Duration) -> Outlook {
        match self.record.outlook(&self.timing, asked, now) {
            // It speaks of another document than the one that was handed out; the next look brings that.
            Outlook::Absent { .. } if self.record.generation() != self.seen => Outlook::Coming,
            outlook => outlook,
        }
    }

    /// Another number than before as soon as somebody may be told something else than before.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How long ago the last fetch succeeded, by the last look.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.record.age(now)
    }

    fn know(&mut self, record: Record) {
        self.changes = self.changes.wrapping_add(u64::from(record != self.record));
        self.record = record;
    }

    fn see(&mut self, generation: u64) {
        self.changes = self
            .changes
            .wrapping_add(u64::from(generation != self.seen));
        self.seen = generation;
    }

    fn document(&self) -> Result<(Option<Document>, Write), HostError> {
        let (value, write) = shared_data::read(&self.document_key)?;
        Ok((value.as_deref().and_then(Document::decode), write))
    }

    /// Swaps in what `step` makes of the record; `false` if it makes nothing of it, or others write all the time.
    fn change(&mut self, step: impl Fn(&Record) -> Option<Record>) -> Result<bool, HostError> {
        for _ in 0..TRIES {
            let (record, write) = read(&self.record_key)?;
            self.know(record);
            let Some(next) = step(&record) else {
                return Ok(false);
            };
            if shared_data::set(self.record_key.as_bytes(), &next.encode(), write)? {
                self.know(next);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn read(key: &str) -> Result<(Record, Write), HostError> {
    let (value, write) = shared_data::read(key)?;
    let record = value
        .as_deref()
        .map_or_else(Record::default, Record::decode);
    Ok((record, write))
}
