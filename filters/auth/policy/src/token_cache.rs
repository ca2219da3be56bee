//! Tokens that were verified, so that each signature is checked once.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use filter_config::{ByteSize, ConfigError, FieldPath};
use lru::LruCache;

use crate::caller::Caller;
use crate::claims::{ClaimsError, Validity};
use crate::config::TokenCacheConfig;
use crate::extraction::Extracted;
use crate::key_callers::KeyCallers;
use crate::key_set::{KeyFingerprint, KeySet};

const DEFAULT_ENTRIES: u64 = 4_096;
const DEFAULT_BYTES: ByteSize = ByteSize::new(4 << 20);

/// A VM's memory ends at 4 GiB, and each worker has a VM.
const MAX_BYTES: ByteSize = ByteSize::new(256 << 20);

/// An odd number whose bits are spread: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What an entry takes beside its texts, in bytes: the map's slot, the list's links, the caller's own fields and short texts.
const ENTRY_BYTES: usize = 1024;

/// The most that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCacheLimits {
    /// Entries; none keeps nothing.
    pub max_entries: usize,
    /// Bytes of all entries together, as far as they depend on the tokens.
    pub max_bytes: usize,
}

/// Verified tokens by their exact bytes, the least recently used going first.
///
/// Only what a key of the configuration has signed gets in, so that a flood of forged tokens pushes nothing out. An entry
/// holds a verdict on the signature, never on the time: dates are looked at on each hit. It belongs to one configuration,
/// whose keys and providers it was made with, and goes when that goes.
///
/// They are found by a number made of their last bytes, which are of their signatures: nobody but who has the key can make two
/// tokens that end alike, and of two that do the cache holds one.
pub struct TokenCache {
    entries: LruCache<u64, Entry, BuildHasherDefault<AsItIs>>,
    seeds: [u64; 4],
    bytes: usize,
    limits: TokenCacheLimits,
    uses: TokenCacheUses,
    /// Kept beside the tokens, for the same configuration.
    pub(crate) key_callers: KeyCallers,
}

/// How often a cache was of use, since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCacheUses {
    /// Tokens that were there.
    pub hits: u64,
    /// Tokens that were not.
    pub misses: u64,
    /// Tokens that made room for others; not those that had expired, or whose key is gone.
    pub evicted: u64,
}

/// What a verified token says.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    /// The place of its provider in the configuration.
    pub(crate) provider: usize,
    /// The key that made its signature.
    pub(crate) key: KeyFingerprint,
    pub(crate) identity: Arc<Caller>,
    pub(crate) validity: Validity,
    /// What else rules and headers need of its claims, if they need anything.
    pub(crate) extracted: Option<Arc<Extracted>>,
}

struct Entry {
    /// The exact bytes.
    sent: Box<[u8]>,
    token: VerifiedToken,
    bytes: usize,
}

/// The hash of a number that is spread already: the number.
#[derive(Default)]
struct AsItIs(u64);

impl TokenCacheLimits {
    pub(crate) fn compile(config: &TokenCacheConfig, at: &FieldPath) -> Result<Self, ConfigError> {
        let entries = config
            .max_entries
            .map_or(DEFAULT_ENTRIES, |most| most.get());
        let bytes = config.max_bytes.unwrap_or(DEFAULT_BYTES);
        if bytes > MAX_BYTES {
            let reason = format!("at most {MAX_BYTES}: each worker has a cache of its own");
            return Err(ConfigError::new(&at.field("max_bytes"), reason));
        }
        Ok(Self {
            max_entries: usize::try_from(entries).unwrap_or(usize::MAX),
            max_bytes: usize::try_from(bytes.get()).unwrap_or(usize::MAX),
        })
    }
}

impl TokenCache {
    /// An empty cache. `seeds` have to be random: who signs tokens must not know which of them meet in the map.
    pub fn new(limits: TokenCacheLimits, seeds: [u64; 4]) -> Self {
        Self {
            entries: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            seeds,
            bytes: 0,
            limits,
            uses: TokenCacheUses::default(),
            key_callers: KeyCallers::default(),
        }
    }

    /// How many tokens it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes that its entries take, as [`TokenCacheLimits::max_bytes`] counts them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it holds the token, whatever the time. It is not used by this.
    pub(crate) fn holds(&self, token: &[u8]) -> bool {
        let entry = self.entries.peek(&self.number(token));
        entry.is_some_and(|entry| are_same(&entry.sent, token))
    }

    /// What became of it since it was last asked.
    pub fn take_uses(&mut self) -> TokenCacheUses {
        std::mem::take(&mut self.uses)
    }

    /// What is known of the token, if it is good at this time; the fault of its dates otherwise. One that has expired goes.
    pub(crate) fn get(
        &mut self,
        token: &[u8],
        now: Duration,
    ) -> Option<Result<VerifiedToken, ClaimsError>> {
        let number = self.number(token);
        let entry = self.entries.peek(&number)?;
        if !are_same(&entry.sent, token) {
            return None;
        }
        let verdict = entry.token.validity.check(now);
        let verdict = verdict.map(|()| entry.token.clone());
        self.uses.hits = self.uses.hits.saturating_add(1);
        // A token that only ends alike is no use of this one, or a forger could say what stays.
        match verdict {
            Err(ClaimsError::Expired) => self.remove(number),
            _ => _ = self.entries.promote(&number),
        }
        Some(verdict)
    }

    /// Counts a token that was decided on without any help of the cache.
    pub(crate) fn missed(&mut self) {
        self.uses.misses = self.uses.misses.saturating_add(1);
    }

    /// Keeps what was verified, in place of what was least recently used.
    pub(crate) fn insert(&mut self, token: &[u8], verified: VerifiedToken) {
        let bytes = verified
            .identity
            .bytes()
            .saturating_add(token.len())
            .saturating_add(verified.extracted.as_deref().map_or(0, Extracted::bytes))
            .saturating_add(ENTRY_BYTES);
        if bytes > self.limits.max_bytes || self.limits.max_entries == 0 {
            return;
        }
        let number = self.number(token);
        self.remove(number);
        while self.entries.len() >= self.limits.max_entries
            || self.bytes.saturating_add(bytes) > self.limits.max_bytes
        {
            let Some((_, oldest)) = self.entries.pop_lru() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            self.uses.evicted = self.uses.evicted.saturating_add(1);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let entry = Entry {
            sent: token.into(),
            token: verified,
            bytes,
        };
        self.entries.put(number, entry);
    }

    /// Forgets the tokens of a provider whose key is not among `keys`, at once: what a withdrawn key has signed proves nothing.
    pub fn keep_keys(&mut self, provider: usize, keys: Option<&KeySet>) {
        let gone = |token: &VerifiedToken| {
            token.provider == provider && !keys.is_some_and(|keys| keys.has(&token.key))
        };
        let numbers: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| gone(&entry.token))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.pop(&number) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// The number of a token: its last 32 bytes, mixed.
    fn number(&self, token: &[u8]) -> u64 {
        let words = token.rchunks(8).zip(self.seeds);
        let mixed = words.fold(0, |mixed: u64, (bytes, seed)| {
            let word = match <[u8; 8]>::try_from(bytes) {
                Ok(bytes) => u64::from_le_bytes(bytes),
                Err(_) => bytes
                    .iter()
                    .fold(0, |word, byte| (word << 8) | u64::from(*byte)),
            };
            (mixed ^ word ^ seed).wrapping_mul(SPREAD).rotate_left(29)
        });
        mixed.wrapping_mul(SPREAD)
    }
}

/// Eight bytes at once: tokens are long, and this crate is compiled for size.
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks(), other.as_chunks());
    let differ =
        |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) != u64::from_le_bytes(*other);
    one.len() == other.len() && !words.iter().zip(other_words).any(differ) && rest == other_rest
}

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Tokens are credentials: their number is all that is shown.
impl fmt::Debug for TokenCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenCache")
            .field("entries", &self.entries.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use identity::Identity;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn cache(max_entries: usize, max_bytes: usize) -> TokenCache {
        let limits = TokenCacheLimits {
            max_entries,
            max_bytes,
        };
        TokenCache::new(limits, [1, 2, 3, 4])
    }

    fn verified(subject: &str) -> VerifiedToken {
        VerifiedToken {
            provider: 0,
            identity: Arc::new(
                Identity {
                    subject: Some(subject.into()),
                    ..Identity::anonymous()
                }
                .into(),
            ),
            key: [0; 32],
            validity: Validity {
                from: NOW - Duration::from_secs(60),
                until: NOW + Duration::from_secs(60),
            },
            extracted: None,
        }
    }

    fn holds(cache: &mut TokenCache, token: &[u8]) -> bool {
        matches!(cache.get(token, NOW), Some(Ok(_)))
    }

    // A cache without a bound would let anybody with a good token source fill the VM.
    #[test]
    fn entries_and_bytes_are_bounded() {
        let mut few = cache(3, usize::MAX);
        let one = ENTRY_BYTES + 8 + 5 * 5;
        let mut small = cache(usize::MAX, 3 * one);
        for number in 0..100_u32 {
            let token = format!("{number:08}");
            few.insert(token.as_bytes(), verified("alice"));
            small.insert(token.as_bytes(), verified("alice"));
            assert!(few.len() <= 3 && small.bytes() <= 3 * one);
        }
        assert_eq!((few.len(), small.len(), small.bytes()), (3, 3, 3 * one));
        assert!(holds(&mut few, b"00000099") && !holds(&mut few, b"00000096"));
    }

    // What does not fit at all must not empty the cache for nothing.
    #[test]
    fn what_is_larger_than_the_cache_pushes_nothing_out() {
        let mut cache = cache(10, 2 * ENTRY_BYTES);
        cache.insert(b"small", verified("a"));
        cache.insert(b"large", verified(&"x".repeat(2 * ENTRY_BYTES)));
        assert!(holds(&mut cache, b"small") && !holds(&mut cache, b"large"));
        let mut none = self::cache(0, usize::MAX);
        none.insert(b"token", verified("a"));
        assert!(none.is_empty());
    }

    // A token in use would go before one that nobody asks for any more.
    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = cache(2, usize::MAX);
        cache.insert(b"a", verified("a"));
        cache.insert(b"b", verified("b"));
        assert!(holds(&mut cache, b"a"));
        cache.insert(b"c", verified("c"));
        assert!(holds(&mut cache, b"a") && !holds(&mut cache, b"b") && holds(&mut cache, b"c"));
    }

    // The same token verified twice, by requests that raced, would be counted twice and never given back.
    #[test]
    fn a_token_is_counted_once() {
        let mut cache = cache(10, usize::MAX);
        cache.insert(b"a", verified("a"));
        let bytes = cache.bytes();
        cache.insert(b"a", verified("a"));
        assert_eq!((cache.len(), cache.bytes()), (1, bytes));
    }

    // A hit that skipped the dates would make every token good for ever.
    #[test]
    fn dates_are_looked_at_on_each_hit() {
        let mut cache = cache(10, usize::MAX);
        cache.insert(b"a", verified("a"));
        let before = NOW - Duration::from_secs(61);
        assert_eq!(
            cache.get(b"a", before).unwrap().unwrap_err(),
            ClaimsError::NotYetValid
        );
        assert!(holds(&mut cache, b"a"), "the time may come yet");
        let after = NOW + Duration::from_secs(60);
        assert_eq!(
            cache.get(b"a", after).unwrap().unwrap_err(),
            ClaimsError::Expired
        );
        assert!(cache.get(b"a", NOW).is_none() && cache.bytes() == 0);
    }

    // Tokens that end alike are found in one place: each byte in front of it decides too, and none is counted that was pushed out.
    #[test]
    fn tokens_that_end_alike_are_not_one() {
        let end = "e".repeat(32);
        let token = |start: &str| format!("{start}{end}").into_bytes();
        let mut cache = cache(10, usize::MAX);
        cache.insert(&token("one."), verified("a"));
        assert!(cache.get(&token("two."), NOW).is_none() && !cache.holds(&token("two.")));
        assert!(cache.holds(&token("one.")) && holds(&mut cache, &token("one.")));
        let bytes = cache.bytes();
        cache.insert(&token("two."), verified("a"));
        assert_eq!((cache.len(), cache.bytes()), (1, bytes));
        assert!(holds(&mut cache, &token("two.")) && !cache.holds(&token("one.")));
    }

    // Who knows the end of a token, and no token, must not decide which ones a flood of good ones pushes out.
    #[test]
    fn a_token_that_ends_alike_keeps_nothing() {
        let end = "e".repeat(32);
        let mut cache = cache(2, usize::MAX);
        cache.insert(end.as_bytes(), verified("a"));
        cache.insert(b"b", verified("b"));
        assert!(cache.get(format!("forged.{end}").as_bytes(), NOW).is_none());
        cache.insert(b"c", verified("c"));
        assert!(!cache.holds(end.as_bytes()) && cache.holds(b"b") && cache.holds(b"c"));
    }

    // Bytes decide, not what they decode to: another spelling of the signature is another token.
    #[test]
    fn tokens_are_told_apart_by_every_byte() {
        let mut cache = cache(10, usize::MAX);
        cache.insert(b"header.payload.signature", verified("a"));
        for other in [
            &b"header.payload.signaturf"[..],
            b"header.payload.signature=",
            b"Header.payload.signature",
            b"header.payload.signatur",
            b"",
        ] {
            assert!(cache.get(other, NOW).is_none(), "{other:?}");
        }
        assert!(holds(&mut cache, b"header.payload.signature"));
    }
}
