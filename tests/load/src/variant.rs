//! One thing that is measured: a listener with filters of its own, and the requests that are sent to it.

use std::sync::Arc;

use serde_json::Value;

use crate::modules::INSTALLED;
use crate::ratios::before;
use crate::report::Point;
use crate::requests::Requests;

/// One variant.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// Its listener, and its name in the report.
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) kind: Kind,
    /// Whose cost is subtracted: the same request without filters.
    pub(crate) base: String,
    pub(crate) filters: Vec<Value>,
    /// The answer.
    pub(crate) body: Arc<str>,
    /// Whether an upstream gives it; else it is the listener's `direct_response`, which rules for responses leave alone.
    pub(crate) proxied: bool,
    pub(crate) requests: Requests,
    /// What every answer has.
    pub(crate) status: u16,
    /// What the answer to the check must show, so that a filter that does nothing is not taken for a fast one.
    pub(crate) expected: Vec<Expected>,
}

/// What a variant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Without filters.
    Base,
    /// With filters of ours.
    Ours,
    /// With Envoy's own filters.
    Native,
    /// With a module that makes host calls and nothing else.
    Floor,
    /// A floor that makes one host call that many times.
    HostCall(usize),
    /// One size of something that grows.
    Growth(Point),
}

/// Something that an answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Header(&'static str, &'static str),
    HeaderIsThere(&'static str),
    NoHeader(&'static str),
    InBody(&'static str),
    NotInBody(&'static str),
    /// A token that somebody else has signed gets 401.
    ForgedIsRefused,
}

impl Kind {
    /// Whether it stands in the table of variants.
    pub(crate) fn is_compared(&self) -> bool {
        !matches!(self, Self::HostCall(_) | Self::Growth(_))
    }
}

impl Variant {
    pub(crate) fn new(kind: Kind, name: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            what: what.into(),
            kind,
            base: "unfiltered".into(),
            filters: Vec::new(),
            body: "{\"ok\":true}".into(),
            proxied: false,
            requests: Requests::default(),
            status: 200,
            expected: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, filters: impl IntoIterator<Item = Value>) -> Self {
        self.filters.extend(filters);
        self
    }

    pub(crate) fn expecting(mut self, expected: impl IntoIterator<Item = Expected>) -> Self {
        self.expected.extend(expected);
        self
    }

    pub(crate) fn sending(mut self, requests: Requests) -> Self {
        self.requests = requests;
        self
    }

    /// With an upstream that gives the answer.
    pub(crate) fn proxied(mut self) -> Self {
        self.proxied = true;
        self.against("proxied")
    }

    /// With an upstream that gives this answer, as it does to `base`, which has no filters.
    pub(crate) fn answering(mut self, body: &Arc<str>, base: impl Into<String>) -> Self {
        self.body = Arc::clone(body);
        self.proxied = true;
        self.against(base)
    }

    pub(crate) fn against(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    pub(crate) fn refused(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with the modules of another build, `<folder>/auth.wasm` and so on; none if no module of ours is in it.
    pub(crate) fn before(&self, folder: &str) -> Option<Self> {
        let mut other = self.clone();
        other.name = before(&self.name);
        other.what = "the same before".into();
        let configs = other
            .filters
            .iter_mut()
            .filter_map(|filter| filter.pointer_mut("/typed_config/config/vm_config"));
        let mut replaced = false;
        for config in configs {
            let file = config.pointer_mut("/code/local/filename")?;
            if let Some(name) = file.as_str().and_then(|path| path.strip_prefix(INSTALLED)) {
                *file = format!("{folder}/{name}").into();
                config["vm_id"] = format!("before-{}", config["vm_id"]).into();
                replaced = true;
            }
        }
        replaced.then_some(other)
    }
}
