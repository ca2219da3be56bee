//! Messages whose heads wait for their bodies, each until a deadline of its own.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use fetch::Waiting;
use http_message::{Place, RequestHead};
use proxy_host::{CounterSet, clock, continue_response, set_tick_period, with_stream};
use transform_policy::{Counter, Facts, Reason};

/// The most messages that wait in one worker.
const MAX_WAITING: usize = 4096;

/// What their heads may take together, in bytes. A VM never gives memory back.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// What one takes beside its head.
const OWN_BYTES: usize = 1 << 10;

/// How often the root looks while somebody waits. It is how late a deadline may be.
const BUSY_TICK: Duration = Duration::from_millis(50);

/// The most that are ended in one callback; the next tick takes the rest.
const MOST_AT_ONCE: usize = 256;

/// What waits.
pub(crate) enum Waiter {
    /// The head of a request, for members of its body. It is decided by these again.
    Request { head: RequestHead, facts: Facts },
    /// The head of a response, for members of its body. This is its request, for the form of a reply.
    Response { head: RequestHead },
    /// The head of a response, for the first chunk of its body. It needs none.
    FirstChunk,
}

/// All that wait in this VM under one configuration. Whether a stream waits is known here alone.
pub(crate) struct WaitingList {
    list: RefCell<Waiting<Box<Waiter>>>,
    ticks: Cell<bool>,
}

impl WaitingList {
    pub(crate) fn new() -> WaitingList {
        WaitingList {
            list: RefCell::new(Waiting::new(MAX_WAITING, MAX_WAITING_BYTES)),
            ticks: Cell::new(false),
        }
    }

    /// Lets one wait for so long.
    ///
    /// # Errors
    /// The one itself, if there are too many.
    pub(crate) fn add(
        &self,
        id: u32,
        wait: Duration,
        waiter: Box<Waiter>,
    ) -> Result<(), Box<Waiter>> {
        let deadline = clock::monotonic().saturating_add(wait);
        let Ok(mut list) = self.list.try_borrow_mut() else {
            return Err(waiter);
        };
        list.insert(id, deadline, waiter.bytes(), waiter)?;
        self.set_tick(true);
        Ok(())
    }

    /// Whether it still waits.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.list.try_borrow().is_ok_and(|list| list.has(id))
    }

    /// Ends a wait; `None` if it has ended already.
    pub(crate) fn remove(&self, id: u32) -> Option<Box<Waiter>> {
        self.list.try_borrow_mut().ok()?.remove(id)
    }

    /// Ends the waits whose time is over. A stream that is gone is not touched.
    pub(crate) fn tick(&self, counters: &CounterSet<Counter>) {
        let now = clock::monotonic();
        let late: Vec<u32> = match self.list.try_borrow() {
            Ok(list) => list.late(now).take(MOST_AT_ONCE).collect(),
            Err(_) => return,
        };
        for id in late {
            // Given back before it is ended: that may call the stream, which looks here.
            if let Some(waiter) = self.remove(id) {
                with_stream(id, || waiter.give_up(counters));
            }
        }
        if self.list.try_borrow().is_ok_and(|list| list.is_empty()) {
            self.set_tick(false);
        }
    }

    /// Only a change is told to the host: it would begin the period anew each time, and under load it would never end.
    fn set_tick(&self, ticks: bool) {
        if self.ticks.replace(ticks) == ticks {
            return;
        }
        let period = if ticks { BUSY_TICK } else { Duration::ZERO };
        if let Err(error) = set_tick_period(period) {
            log::error!("tick error={error}");
            self.ticks.set(!ticks);
        }
    }
}

impl Waiter {
    fn bytes(&self) -> usize {
        let (head, facts) = match self {
            Waiter::Request { head, facts } => (Some(head), facts.bytes()),
            Waiter::Response { head } => (Some(head), 0),
            Waiter::FirstChunk => (None, 0),
        };
        let head = head.map_or(0, |head| head.headers().as_bytes().len());
        head.saturating_add(facts).saturating_add(OWN_BYTES)
    }

    /// Its time is over.
    fn give_up(self, counters: &CounterSet<Counter>) {
        let (head, reason) = match self {
            Waiter::Request { head, .. } => (head, Reason::LateRequest),
            Waiter::Response { head } => (head, Reason::LateResponse),
            // What breaks later is cut off then, as where no head can wait.
            Waiter::FirstChunk => {
                counters.count(Counter::HeadReleased);
                if let Err(error) = continue_response() {
                    log::error!("decision=release error={error}");
                }
                return;
            }
        };
        log::debug!("decision=reply reason={}", reason.code_details());
        counters.count(reason.counter());
        proxy_host::refuse(&head, &reason.problem(), Place::BeforeBridges);
    }
}
