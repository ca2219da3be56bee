//! The keys that were fetched, and their fetching: one fetch for each Envoy, made by whichever root leads.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ahash::RandomState;
use auth_policy::key_set::VerificationKey;
use auth_policy::{
    Answer, Call, Counter, FetchFault, Fetched, FetchedKeys, KeyNeed, KeySource, NoKeys, Policy,
    Published,
};
use fetch::{Absent, Need, Outlook, Waiting};
use proxy_host::body::{self, Buffer};
use proxy_host::capabilities::Capabilities;
use proxy_host::headers::{self, Map};
use proxy_host::{CounterSet, Fetcher, HostError, Look, Stored, callout, random};

use crate::signature;
use crate::waiter::Waiter;

/// The most unknown key ids of one provider that a worker remembers.
const MAX_ABSENT: usize = 1024;

/// The fetched keys of all providers, and where each is fetched.
pub(crate) struct Keyring {
    fetched: Rc<FetchedKeys>,
    sources: Vec<Source>,
    hasher: RandomState,
    /// How often keys were put in place or taken away.
    changes: u64,
    host: Capabilities,
}

/// One provider's source.
struct Source {
    /// The place of the provider in the configuration.
    provider: usize,
    source: KeySource,
    fetcher: Fetcher,
    flight: Option<Flight>,
    absent: Absent,
    /// When the keys in use were last known to be those that are published; nothing if there are none.
    published: Option<Duration>,
    /// Whether other keys are published by now, which this configuration does not take.
    refused: bool,
}

/// A call that this root has made, and whose answer has not come.
#[derive(Clone, Copy)]
struct Flight {
    token: u32,
    /// Whether it is the call that the fetch began with.
    first: bool,
    /// When the fetch has to be over.
    ends: Duration,
}

impl Keyring {
    /// `holder` is a number that no other root has, and not zero; `seeds` are random.
    pub(crate) fn new(policy: &Policy, holder: u64, seeds: [u64; 4], host: Capabilities) -> Self {
        let [a, b, c, d] = seeds;
        let sources = policy
            .key_sources()
            .map(|(provider, source)| Source {
                provider,
                fetcher: Fetcher::new(&source.name(), *source.timing(), holder),
                flight: None,
                absent: Absent::new(MAX_ABSENT),
                published: None,
                refused: false,
                source: source.clone(),
            })
            .collect();
        Self {
            fetched: Rc::default(),
            sources,
            hasher: RandomState::with_seeds(a, b, c, d),
            changes: 0,
            host,
        }
    }

    /// Whether no provider's keys are fetched.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    pub(crate) fn fetched(&self) -> Rc<FetchedKeys> {
        Rc::clone(&self.fetched)
    }

    /// How long a request waits for keys.
    pub(crate) fn wait(&self, need: &KeyNeed) -> Duration {
        self.source(need)
            .map_or(Duration::ZERO, |source| source.source.wait())
    }

    /// The age of the oldest set in use.
    pub(crate) fn oldest(&self, now: Duration) -> Option<Duration> {
        self.sources
            .iter()
            .filter_map(|source| source.published)
            .map(|published| now.saturating_sub(published))
            .max()
    }

    /// Another number than before as soon as somebody who waits may be told something else than before.
    pub(crate) fn changes(&self) -> u64 {
        self.sources
            .iter()
            .map(|source| source.fetcher.changes())
            .fold(self.changes, u64::wrapping_add)
    }

    /// Why a key that was asked for at `asked` is not waited for; nothing if it is.
    pub(crate) fn given_up(
        &self,
        need: &KeyNeed,
        asked: Duration,
        now: Duration,
    ) -> Option<NoKeys> {
        let key_id = need.key_id.as_deref()?;
        let source = self.source(need)?;
        if source.absent.contains(self.hasher.hash_one(key_id), now) {
            return Some(NoKeys::Absent);
        }
        match source.fetcher.outlook(asked, now) {
            // It may be among the keys that are not taken.
            Outlook::Absent { .. } if source.refused => Some(NoKeys::Unavailable),
            Outlook::Absent { .. } => Some(NoKeys::Absent),
            // To wait would only keep the place of somebody to whom it is of use.
            Outlook::Later { at } if at >= asked.saturating_add(source.source.wait()) => {
                Some(NoKeys::Unavailable)
            }
            Outlook::Later { .. } | Outlook::Coming | Outlook::Wanted => None,
        }
    }

    /// Whether somebody who waits can be told something: the key is there, or will not be.
    pub(crate) fn is_ready(&self, need: &KeyNeed, asked: Duration, now: Duration) -> bool {
        match (self.fetched.get(need.provider), &need.key_id) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(keys), Some(id)) => {
                keys.iter().any(|key| key.key_id() == Some(id))
                    || self.given_up(need, asked, now).is_some()
            }
        }
    }

    /// Remembers a key id that no set has.
    pub(crate) fn remember_absent(&mut self, need: &KeyNeed, asked: Duration, now: Duration) {
        let Some(key_id) = &need.key_id else { return };
        let fingerprint = self.hasher.hash_one(key_id.as_str());
        let source = self
            .sources
            .iter_mut()
            .find(|source| source.provider == need.provider);
        if let Some(source) = source
            && let Outlook::Absent { until } = source.fetcher.outlook(asked, now)
            && !source.refused
        {
            source.absent.insert(fingerprint, until, now);
        }
    }

    /// Looks at what other workers have fetched; the providers whose keys have changed.
    pub(crate) fn look(&mut self, now: Duration) -> Vec<usize> {
        let mut changed = Vec::new();
        let host = self.host;
        for source in &mut self.sources {
            let keys = match source.fetcher.look(now) {
                Ok(Look::Same) if !source.is_outlived(now) => {
                    source.confirm(now);
                    continue;
                }
                Ok(Look::Nothing) if source.published.is_none() => continue,
                Ok(Look::Same | Look::Nothing) => {
                    log::warn!("jwks provider={} too old", source.source.provider());
                    None
                }
                Ok(Look::Other(body)) => match source
                    .source
                    .read_shared(&body, &|key| signature::judge(key, host))
                {
                    Ok(published) => Some(published.keys),
                    // Another configuration took it, with laxer limits than these.
                    Err(fault) => {
                        log::warn!("jwks provider={} fault={fault}", source.source.provider());
                        source.refused = true;
                        source.absent.clear();
                        continue;
                    }
                },
                Err(error) => {
                    log::warn!("jwks provider={} error={error}", source.source.provider());
                    continue;
                }
            };
            source.published = keys.as_ref().and(source.fetched_at(now));
            source.refused &= keys.is_none();
            source.absent.clear();
            Rc::make_mut(&mut self.fetched).set(source.provider, keys);
            self.changes = self.changes.wrapping_add(1);
            changed.push(source.provider);
        }
        changed
    }

    /// Begins the fetches that are due and that nobody else makes.
    pub(crate) fn fetch(
        &mut self,
        waiting: &Waiting<Waiter>,
        counters: &CounterSet<Counter>,
        now: Duration,
    ) {
        let asked = self.last_asked(waiting, now);
        for source in &mut self.sources {
            // The host answers every call in time; a call that it has forgotten must not keep this root from leading again.
            if source
                .flight
                .is_some_and(|flight| now >= flight.ends.saturating_add(fetch::LEASE_GRACE))
            {
                source.flight = None;
            }
            if source.flight.is_some() {
                continue;
            }
            let wanted = asked
                .get(&source.provider)
                .is_some_and(|asked| source.fetcher.outlook(*asked, now) == Outlook::Wanted);
            let need = if wanted {
                Need::Missing
            } else {
                Need::Scheduled
            };
            match source.fetcher.lead(need, now) {
                Ok(false) => {}
                Ok(true) => {
                    counters.count(Counter::JwksFetches);
                    let call = source.source.first_call().clone();
                    let ends = now.saturating_add(source.source.timing().timeout());
                    source.call(&call, true, ends, counters, now);
                }
                Err(error) => {
                    log::warn!("jwks provider={} error={error}", source.source.provider());
                }
            }
        }
    }

    /// Takes the answer to a call; whether it brought what others should look at. An answer that nobody waits for is dropped.
    pub(crate) fn answered(
        &mut self,
        token: u32,
        body_size: usize,
        counters: &CounterSet<Counter>,
        now: Duration,
    ) -> bool {
        let is_flying =
            |source: &&mut Source| source.flight.is_some_and(|flight| flight.token == token);
        let Some(source) = self.sources.iter_mut().find(is_flying) else {
            return false;
        };
        let Some(flight) = source.flight.take() else {
            return false;
        };
        match source.read(flight.first, body_size, self.host) {
            Ok((Fetched::Next(call), _)) => {
                source.call(&call, false, flight.ends, counters, now);
                false
            }
            Ok((Fetched::Keys(published), body)) => source.store(&published, &body, now),
            Err(fault) => {
                source.fail(fault, counters, now);
                false
            }
        }
    }

    /// When a key that is not there was last asked for, by provider: if a fetch may be made for anybody, then for that one. Nobody
    /// is looked for where no fetch may be made.
    fn last_asked(&self, waiting: &Waiting<Waiter>, now: Duration) -> BTreeMap<usize, Duration> {
        let mut asked = BTreeMap::new();
        let may_fetch = |source: &Source| source.fetcher.outlook(now, now) == Outlook::Wanted;
        if !self.sources.iter().any(may_fetch) {
            return asked;
        }
        for (_, waiter) in waiting.iter() {
            if waiter.need.key_id.is_some() {
                let last = asked.entry(waiter.need.provider).or_insert(waiter.asked);
                *last = waiter.asked.max(*last);
            }
        }
        asked
    }

    fn source(&self, need: &KeyNeed) -> Option<&Source> {
        self.sources
            .iter()
            .find(|source| source.provider == need.provider)
    }
}

impl Source {
    /// When the last fetch succeeded, by the last look.
    fn fetched_at(&self, now: Duration) -> Option<Duration> {
        self.fetcher.age(now).map(|age| now.saturating_sub(age))
    }

    /// Whether the keys in use, which are not those that are published, are too old by now. That others go on fetching does not
    /// make them any younger.
    fn is_outlived(&self, now: Duration) -> bool {
        let timing = self.source.timing();
        self.refused
            && self
                .published
                .is_some_and(|published| !timing.allows(now.saturating_sub(published)))
    }

    /// After a look that found nothing new.
    fn confirm(&mut self, now: Duration) {
        if self.published.is_some() && !self.refused {
            self.published = self.fetched_at(now);
        }
    }

    fn call(
        &mut self,
        call: &Call,
        first: bool,
        ends: Duration,
        counters: &CounterSet<Counter>,
        now: Duration,
    ) {
        let headers = [
            (":method", "GET"),
            (":scheme", call.scheme),
            (":authority", &call.authority),
            (":path", &call.path),
            ("accept", "application/json, application/jwk-set+json"),
        ];
        let left = ends.saturating_sub(now);
        match callout::dispatch(&call.cluster, &headers, None, left) {
            Ok(token) => self.flight = Some(Flight { token, first, ends }),
            Err(error) => {
                let (provider, cluster) = (self.source.provider(), &call.cluster);
                log::warn!("jwks provider={provider} cluster={cluster} error={error}");
                self.fail(FetchFault::NoAnswer, counters, now);
            }
        }
    }

    fn read(
        &self,
        first: bool,
        body_size: usize,
        host: Capabilities,
    ) -> Result<(Fetched, Vec<u8>), FetchFault> {
        if body_size > self.source.max_bytes() {
            return Err(FetchFault::TooLarge);
        }
        let no_answer = |_: HostError| FetchFault::NoAnswer;
        let headers = headers::read(Map::CalloutHeaders).map_err(no_answer)?;
        let body = match body_size {
            0 => Vec::new(),
            size => body::read(Buffer::Callout, 0, size).map_err(no_answer)?,
        };
        let answer = Answer {
            status: headers.get_all(":status").next(),
            content_type: headers.get_all("content-type").next(),
            body: &body,
        };
        let judge = |key: &VerificationKey| signature::judge(key, host);
        let fetched = match first {
            true => self.source.read_first(answer, &judge),
            false => self.source.read_keys(answer, &judge),
        }?;
        Ok((fetched, body))
    }

    fn store(&mut self, published: &Published, body: &[u8], now: Duration) -> bool {
        let provider = self.source.provider();
        match self.fetcher.store(body, random_number(), now) {
            Ok(Stored::Other) => {
                let keys = published.keys.iter().count();
                log::info!("jwks provider={provider} keys={keys}");
                for refused in &published.refused {
                    log::warn!("jwks provider={provider} key refused: {refused}");
                }
                true
            }
            Ok(Stored::Same) => true,
            Ok(Stored::Late) => {
                log::info!("jwks provider={provider} another worker was faster");
                false
            }
            Err(error) => {
                log::warn!("jwks provider={provider} error={error}");
                false
            }
        }
    }

    fn fail(&mut self, fault: FetchFault, counters: &CounterSet<Counter>, now: Duration) {
        let provider = self.source.provider();
        log::warn!("jwks provider={provider} fault={fault}");
        counters.count(Counter::JwksFailures);
        if let Err(error) = self.fetcher.fail(random_number(), now) {
            log::warn!("jwks provider={provider} error={error}");
        }
    }
}

/// Spreads the next fetch; a host without random numbers has them unspread.
fn random_number() -> u64 {
    let mut bytes = [0; 8];
    match random::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}
