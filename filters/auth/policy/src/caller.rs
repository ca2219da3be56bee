//! A caller, and what is told of the caller: made for the first request and kept with the credential.

use std::ops::Deref;
use std::sync::{Arc, LazyLock, OnceLock};

use http_message::{HeaderName, HeaderValue};
use identity::{EncodedCaller, Identity, MalformedIdentity, OriginalRequest};

use crate::upstream::{UpstreamHeaders, ValueTooLong};

/// The one caller that has no credential, and belongs to every policy: no header is told of it.
static ANONYMOUS: LazyLock<Arc<Caller>> =
    LazyLock::new(|| Arc::new(Caller::from(Identity::anonymous())));

/// What a text in a list takes beside its bytes: its place there, and what the allocator adds.
const TEXT_BYTES: usize = 32;

type Headers = Result<Vec<(HeaderName, HeaderValue)>, ValueTooLong>;

/// Who calls, by one credential or by two. It belongs to one policy, as its credential does.
#[derive(Debug)]
pub struct Caller {
    identity: Identity,
    record: OnceLock<Result<EncodedCaller, MalformedIdentity>>,
    display: OnceLock<String>,
    headers: OnceLock<Headers>,
}

impl Caller {
    /// A caller without credentials.
    pub fn anonymous() -> Arc<Self> {
        Arc::clone(&ANONYMOUS)
    }

    /// How many bytes a caller may come to, as far as they depend on what is known of it: the texts, the record, the headers, in
    /// which a byte takes three at most, and for each text in a list its own place.
    pub(crate) fn bytes(&self) -> usize {
        let identity = &self.identity;
        let lists = [&identity.groups, &identity.scopes].map(Vec::len);
        let pairs = [&identity.labels, &identity.claims].map(|pairs| pairs.len().saturating_mul(2));
        let texts = lists.into_iter().chain(pairs);
        texts.fold(identity.text_bytes().saturating_mul(5), |bytes, count| {
            bytes.saturating_add(count.saturating_mul(TEXT_BYTES))
        })
    }

    /// The record for a request.
    ///
    /// # Errors
    /// A record that no reader would accept.
    pub fn record(&self, original: &OriginalRequest) -> Result<Vec<u8>, MalformedIdentity> {
        let encoded = match self.record.get() {
            Some(encoded) => encoded,
            None => self.make_record(),
        };
        encoded.as_ref().map_err(Clone::clone)?.with(original)
    }

    /// [`Identity::display`], for the access log.
    pub fn display(&self) -> &str {
        match self.display.get() {
            Some(display) => display,
            None => self.make_display(),
        }
    }

    /// The headers to the upstream that say who calls.
    pub(crate) fn headers(
        &self,
        upstream: &UpstreamHeaders,
    ) -> Result<&[(HeaderName, HeaderValue)], ValueTooLong> {
        let headers = match self.headers.get() {
            Some(headers) => headers,
            None => self.make_headers(upstream),
        };
        headers.as_deref().map_err(|error| *error)
    }

    // What is made once stands apart from what every request goes through.

    #[cold]
    #[inline(never)]
    fn make_record(&self) -> &Result<EncodedCaller, MalformedIdentity> {
        self.record
            .get_or_init(|| EncodedCaller::new(&self.identity))
    }

    #[cold]
    #[inline(never)]
    fn make_display(&self) -> &str {
        self.display.get_or_init(|| self.identity.display())
    }

    #[cold]
    #[inline(never)]
    fn make_headers(&self, upstream: &UpstreamHeaders) -> &Headers {
        self.headers
            .get_or_init(|| upstream.of_identity(&self.identity))
    }
}

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        Self {
            identity,
            record: OnceLock::new(),
            display: OnceLock::new(),
            headers: OnceLock::new(),
        }
    }
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}
