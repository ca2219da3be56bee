//! One configuration of the filter, as its streams share it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use auth_policy::{Counter, Gauge, Needs, Policy, TokenCache};
use fetch::Waiting;
use proxy_host::capabilities::{self, Capabilities};
use proxy_host::{
    CounterSet, HostError, Waker, clock, environment, metric, random, set_tick_period,
};
use proxy_wasm::traits::HttpContext;

use crate::attempts::Attempts;
use crate::keyring::Keyring;
use crate::request::Request;
use crate::waiter::{MAX_WAITING, MAX_WAITING_BYTES, Waiter};
use crate::{signature, state};

/// How soon after its configuration a root looks for keys, so that they are there before the first request where possible. Not
/// in `on_configure`: what is called there, VMs that never see a request call too.
const FIRST_TICK: Duration = Duration::from_millis(1);

/// How often a root looks while nobody waits.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// How often a root looks while somebody waits: it begins the fetches, ends the waits, and wakes whom its queue has not woken.
const BUSY_TICK: Duration = Duration::from_millis(5);

/// How soon a root goes on with the waits that one callback could not end all.
const NEXT_TICK: Duration = Duration::from_millis(1);

/// What the requests of one configuration share.
pub(crate) struct Plugin {
    pub(crate) policy: Policy,
    /// What it wants to know beside the head.
    pub(crate) needs: Needs,
    pub(crate) host: Capabilities,
    pub(crate) counters: CounterSet<Counter>,
    /// What this worker has verified under this configuration.
    pub(crate) tokens: RefCell<TokenCache>,
    /// Where failed attempts are counted.
    pub(crate) attempts: Attempts,
    /// The keys that were fetched.
    pub(crate) keyring: RefCell<Keyring>,
    /// The requests that wait for some.
    pub(crate) waiting: RefCell<Waiting<Waiter>>,
    /// The state of the keyring in which all of them were last looked at; nothing if some were not.
    pub(crate) swept: Cell<Option<u64>>,
    waker: RefCell<Waker>,
    gauges: Vec<(Gauge, metric::Gauge)>,
    measured: Cell<Option<Duration>>,
    tick_period: Cell<Duration>,
}

impl proxy_host::Plugin for Plugin {
    fn configure(configuration: &[u8]) -> Result<Self, String> {
        let policy = Policy::from_bytes_in(configuration, &environment::variable)
            .map_err(|error| error.to_string())?;
        let host = capabilities::probe();
        signature::check_keys(&policy, host)?;
        let counters = CounterSet::define(Counter::all().map(|counter| (counter, counter.name())))
            .map_err(|error| format!("counters: {error}"))?;
        let gauges = Gauge::ALL
            .into_iter()
            .map(|gauge| Ok((gauge, metric::Gauge::define(gauge.name())?)))
            .collect::<Result<_, HostError>>()
            .map_err(|error| format!("gauges: {error}"))?;
        let seeds = || random_seeds().map_err(|error| format!("random numbers: {error}"));
        let tokens = RefCell::new(policy.token_cache(seeds()?));
        let [holder, ..] = seeds()?;
        // Zero stands for nobody.
        let holder = holder.max(1);
        let keyring = RefCell::new(Keyring::new(&policy, holder, seeds()?, host));
        if host.declare_property {
            state::declare();
        }
        Ok(Plugin {
            needs: policy.needs(),
            policy,
            host,
            counters,
            tokens,
            attempts: Attempts::default(),
            keyring,
            waiting: RefCell::new(Waiting::new(MAX_WAITING, MAX_WAITING_BYTES)),
            swept: Cell::new(None),
            waker: RefCell::new(Waker::new(holder)),
            gauges,
            measured: Cell::new(None),
            tick_period: Cell::new(Duration::ZERO),
        })
    }

    fn summary(&self) -> String {
        let attempts = self.policy.failed_attempts();
        attempts.map_or_else(String::new, |limit| {
            format!("failed_attempts_max_bytes={}", limit.table_bytes())
        })
    }

    fn stream(plugin: Rc<Self>, context_id: u32) -> Box<dyn HttpContext> {
        Box::new(Request::new(plugin, context_id))
    }
}

impl Plugin {
    /// Asks for the first tick, if there is anything to fetch or to count.
    pub(crate) fn set_first_tick(&self) {
        if self.keyring.try_borrow().is_ok_and(|ring| !ring.is_empty()) {
            self.set_tick(FIRST_TICK);
        } else if self.policy.has_providers() {
            self.set_tick(IDLE_TICK);
        }
    }

    /// Fetches what is due, takes over what others have fetched, and ends the waits that are over.
    pub(crate) fn tick(&self) {
        let now = clock::monotonic();
        if let Ok(mut waker) = self.waker.try_borrow_mut()
            && let Err(error) = waker.beat(now)
        {
            log::warn!("wake queue error={error}");
        }
        self.look(now);
        if let (Ok(mut ring), Ok(waiting)) =
            (self.keyring.try_borrow_mut(), self.waiting.try_borrow())
        {
            ring.fetch(&waiting, &self.counters, now);
        }
        let ended = self.resume_waiting(now);
        self.measure(now);
        self.count_token_cache();
        let is_idle = self
            .waiting
            .try_borrow()
            .is_ok_and(|waiting| waiting.is_empty());
        self.set_tick(match (is_idle, ended) {
            (true, _) => IDLE_TICK,
            (false, true) => BUSY_TICK,
            (false, false) => NEXT_TICK,
        });
    }

    /// Another worker has fetched something.
    pub(crate) fn woken(&self, queue: u32) {
        Waker::drain(queue);
        let now = clock::monotonic();
        self.look(now);
        if !self.resume_waiting(now) {
            self.set_tick(NEXT_TICK);
        }
    }

    /// The answer to a call has come.
    pub(crate) fn answered(&self, token: u32, body_size: usize) {
        let now = clock::monotonic();
        let fetched = match self.keyring.try_borrow_mut() {
            Ok(mut ring) => ring.answered(token, body_size, &self.counters, now),
            Err(_) => false,
        };
        if !fetched {
            return;
        }
        if let Ok(waker) = self.waker.try_borrow()
            && let Err(error) = waker.wake_others(now)
        {
            log::warn!("wake queue error={error}");
        }
        self.look(now);
        if !self.resume_waiting(now) {
            self.set_tick(NEXT_TICK);
        }
    }

    /// Ticks often from now on: somebody waits.
    pub(crate) fn hurry(&self) {
        self.set_tick(BUSY_TICK);
    }

    /// Only a change is told to the host: it would begin the period anew each time, and under load it would never end.
    fn set_tick(&self, period: Duration) {
        if self.tick_period.replace(period) == period {
            return;
        }
        if let Err(error) = set_tick_period(period) {
            log::error!("tick error={error}");
            self.tick_period.set(Duration::ZERO);
        }
    }

    /// Takes over what was fetched. What a key has signed that is no longer in its set is forgotten in the same callback.
    fn look(&self, now: Duration) {
        let (Ok(mut ring), Ok(mut tokens)) =
            (self.keyring.try_borrow_mut(), self.tokens.try_borrow_mut())
        else {
            return;
        };
        for provider in ring.look(now) {
            tokens.keep_keys(provider, ring.fetched().get(provider));
        }
    }

    /// Tells the host what became of the token cache: once a tick, so that a token that is there costs no call.
    fn count_token_cache(&self) {
        let Ok(uses) = self
            .tokens
            .try_borrow_mut()
            .map(|mut tokens| tokens.take_uses())
        else {
            return;
        };
        for (counter, by) in [
            (Counter::TokenCacheHits, uses.hits),
            (Counter::TokenCacheMisses, uses.misses),
            (Counter::TokenCacheEvicted, uses.evicted),
        ] {
            self.counters.add(counter, by);
        }
    }

    fn measure(&self, now: Duration) {
        let measured = self.measured.get();
        if measured.is_some_and(|last| now < last.saturating_add(IDLE_TICK)) {
            return;
        }
        self.measured.set(Some(now));
        let Ok(ring) = self.keyring.try_borrow() else {
            return;
        };
        for (gauge, metric) in &self.gauges {
            let value = match gauge {
                Gauge::JwksAge => ring.oldest(now).map_or(0, |age| age.as_secs()),
                Gauge::JwksKeys => u64::try_from(ring.fetched().count()).unwrap_or(u64::MAX),
            };
            if let Err(error) = metric.record(value) {
                log::warn!("gauge={} error={error}", gauge.name());
            }
        }
    }
}

fn random_seeds() -> Result<[u64; 4], HostError> {
    let mut seeds = [0; 4];
    for seed in &mut seeds {
        let mut bytes = [0; 8];
        random::fill(&mut bytes)?;
        *seed = u64::from_le_bytes(bytes);
    }
    Ok(seeds)
}
