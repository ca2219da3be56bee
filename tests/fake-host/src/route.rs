//! The route of a request, and when who sees which.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::headers::Headers;

/// What a route is chosen by.
#[derive(Debug)]
pub struct RouteView<'a> {
    /// The request's headers as they are now.
    pub headers: &'a Headers,
    /// Filter state by its full name, such as `wasm.gatehouse.api_version`.
    pub filter_state: &'a BTreeMap<String, Vec<u8>>,
}

impl RouteView<'_> {
    /// The request's path without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.headers.text(":path").unwrap_or("");
        path.split('?').next().unwrap_or("")
    }
}

/// The route table: the name of the route for a request, if any fits.
pub(crate) type Table = Arc<dyn Fn(&RouteView<'_>) -> Option<String> + Send + Sync>;

/// The route of one request. Wasm filters read `seen`, which only a native filter or the router renews.
#[derive(Clone, Default)]
pub(crate) struct Route {
    table: Option<Table>,
    seen: Option<String>,
    cleared: bool,
}

impl Route {
    pub(crate) fn new(table: Option<Table>, view: &RouteView<'_>) -> Route {
        let mut route = Route {
            table,
            seen: None,
            cleared: true,
        };
        route.look(view);
        route
    }

    /// What a Wasm filter reads.
    pub(crate) fn seen(&self) -> Option<&str> {
        self.seen.as_deref()
    }

    /// A header was edited, or the cache cleared by name.
    pub(crate) fn clear(&mut self) {
        self.cleared = true;
    }

    /// A native filter, or the router, asks for the route.
    pub(crate) fn look(&mut self, view: &RouteView<'_>) {
        if std::mem::take(&mut self.cleared) {
            self.seen = self.table.as_ref().and_then(|table| table(view));
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("seen", &self.seen)
            .field("cleared", &self.cleared)
            .finish_non_exhaustive()
    }
}
