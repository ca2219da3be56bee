//! One thing to do.

use std::rc::Rc;

use json_stream::{Bindings, JsonRewriter, Operation, Pointer, Program};
use proxy_host::headers::{self, Map};
use proxy_host::shared_data::{self, Write};
use proxy_host::{HostError, body, clock, foreign, metric, property};
use serde::Deserialize;

/// What stands for a value that is hidden.
const MASK: &str = "***";

/// What is done in a callback, in order.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// Reads the whole header map.
    ReadHead,
    /// Reads a property.
    Get(Vec<String>),
    /// Writes filter state.
    Set(String, String),
    /// Sets a header.
    Replace(String, String),
    /// Adds a header.
    Add(String, String),
    /// Removes a header.
    Remove(String),
    /// Looks whether there is a header.
    Has(String),
    /// Adds one to a counter.
    Count(String),
    /// Reads a key of shared data and writes it back, by compare-and-swap.
    Swap(String),
    /// Reads the realtime clock.
    Realtime,
    /// Reads the monotonic clock.
    Monotonic,
    /// Logs a line below the level that Envoy shows.
    Log,
    /// Has the route chosen anew.
    ClearRouteCache,
    /// Reads the chunk and writes it back as it is.
    Rewrite,
    /// Holds the whole body, reads it into a tree, replaces a member by `***`, and writes it anew.
    Dom(String),
    /// Holds the whole body and does the same with the rewriter that transform has.
    Mask(String),
}

/// A call with what was looked up for it at configure.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    Count(metric::Counter),
    Mask(Rc<Program>),
    Other(Call),
}

/// What a callback is about.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) map: Map,
    pub(crate) buffer: body::Buffer,
    pub(crate) size: usize,
}

impl Ready {
    pub(crate) fn new(call: Call) -> Result<Self, String> {
        match call {
            Call::Count(name) => metric::Counter::define(&name)
                .map(Self::Count)
                .map_err(|error| error.to_string()),
            Call::Mask(pointer) => {
                let pointer = Pointer::parse(&pointer).map_err(|error| error.to_string())?;
                Program::new(vec![Operation::mask(pointer, MASK)])
                    .map(|program| Self::Mask(Rc::new(program)))
                    .ok_or_else(|| "too many operations".to_owned())
            }
            other => Ok(Self::Other(other)),
        }
    }

    /// Whether the body has to be whole.
    pub(crate) fn buffers(&self) -> bool {
        matches!(self, Self::Mask(_) | Self::Other(Call::Dom(_)))
    }

    pub(crate) fn make(&self, place: Place) -> Result<(), HostError> {
        match self {
            Self::Count(counter) => counter.increment(1),
            Self::Mask(program) => mask(place, program),
            Self::Other(call) => call.make(place),
        }
    }
}

impl Call {
    fn make(&self, place: Place) -> Result<(), HostError> {
        match self {
            Self::ReadHead => headers::read(place.map).map(drop),
            Self::Get(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                property::get(&path).map(drop)
            }
            Self::Set(name, value) => property::set(name, value.as_bytes()),
            Self::Replace(name, value) => {
                headers::replace(place.map, name.as_bytes(), value.as_bytes())
            }
            Self::Add(name, value) => headers::add(place.map, name.as_bytes(), value.as_bytes()),
            Self::Remove(name) => headers::remove(place.map, name.as_bytes()),
            Self::Has(name) => headers::has(place.map, name.as_bytes()).map(drop),
            // Looked up at configure.
            Self::Count(_) | Self::Mask(_) => Ok(()),
            Self::Swap(key) => swap(key.as_bytes()),
            Self::Realtime => {
                std::hint::black_box(clock::realtime());
                Ok(())
            }
            Self::Monotonic => {
                std::hint::black_box(clock::monotonic());
                Ok(())
            }
            Self::Log => {
                log::debug!("floor");
                Ok(())
            }
            Self::ClearRouteCache => foreign::clear_route_cache(),
            Self::Rewrite => {
                let chunk = body::read(place.buffer, 0, place.size)?;
                body::replace(place.buffer, &chunk)
            }
            Self::Dom(pointer) => edit_tree(place, pointer),
        }
    }
}

fn swap(key: &[u8]) -> Result<(), HostError> {
    let (value, write) = match shared_data::get(key)? {
        Some(entry) => (
            entry.value.unwrap_or_else(|| vec![1; 64]),
            Write::IfUnchanged(entry.cas),
        ),
        None => (vec![1; 64], Write::IfAbsent),
    };
    shared_data::set(key, &value, write).map(drop)
}

/// How a filter without a streaming rewriter does it.
fn edit_tree(place: Place, pointer: &str) -> Result<(), HostError> {
    let bytes = body::read(place.buffer, 0, place.size)?;
    let mut tree: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|_| HostError::Malformed)?;
    // `/customers/*/email`: a member of each element of a list.
    let (list, member) = pointer.split_once("/*/").unwrap_or(("", pointer));
    let elements = tree.pointer_mut(list).and_then(|list| list.as_array_mut());
    for element in elements.into_iter().flatten() {
        if let Some(value) = element.get_mut(member) {
            *value = MASK.into();
        }
    }
    let text = serde_json::to_vec(&tree).map_err(|_| HostError::Malformed)?;
    body::replace(place.buffer, &text)
}

/// How transform's rewriter does it, without the rules and headers of a filter.
fn mask(place: Place, program: &Rc<Program>) -> Result<(), HostError> {
    let bytes = body::read(place.buffer, 0, place.size)?;
    let mut rewriter = JsonRewriter::new(Rc::clone(program), Bindings::default());
    let mut text = Vec::new();
    rewriter
        .push(&bytes, &mut text)
        .and_then(|()| rewriter.finish())
        .map_err(|_| HostError::Malformed)?;
    body::replace(place.buffer, &text)
}
