//! What the filter saw of one request.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_host::headers::{self, Map};
use proxy_host::shared_data::{self, Write};

/// The reports of one stream; the root context, which outlives it, holds the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// The request's `x-probe-id`: what it is recalled by.
    id: Option<String>,
    entries: Vec<(String, String)>,
}

impl Reports {
    pub(crate) fn new(id: Option<String>) -> Reports {
        let inner = Inner {
            id,
            ..Inner::default()
        };
        Reports(Rc::new(RefCell::new(inner)))
    }

    pub(crate) fn id(&self) -> String {
        self.0.borrow().id.clone().unwrap_or_default()
    }

    /// What was reported under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let inner = self.0.borrow();
        let found = inner.entries.iter().find(|(candidate, _)| candidate == key);
        found.map(|(_, value)| value.clone())
    }

    /// Reports `value` under `key`, in place of what was there before.
    pub(crate) fn put(&self, key: &str, value: &str) {
        let mut inner = self.0.borrow_mut();
        inner.entries.retain(|(candidate, _)| candidate != key);
        inner.entries.push((key.to_owned(), value.to_owned()));
        if let Some(id) = &inner.id {
            let lines = inner.entries.iter();
            let text: String = lines
                .map(|(key, value)| format!("{key}={value}\n"))
                .collect();
            // A note that cannot be written is missed by the test that recalls it.
            let _ = shared_data::set(note(id).as_bytes(), text.as_bytes(), Write::Unconditional);
        }
    }

    /// Puts the reports into the response's headers.
    pub(crate) fn send(&self) {
        for (key, value) in &self.0.borrow().entries {
            // A report that cannot be sent is missed by the test that reads it.
            let _ = headers::replace(
                Map::Response,
                format!("x-probe-{key}").as_bytes(),
                value.as_bytes(),
            );
        }
    }
}

/// What the request `id` reported.
pub(crate) fn recall(id: &str) -> Vec<u8> {
    let entry = shared_data::get(note(id).as_bytes());
    entry
        .ok()
        .flatten()
        .and_then(|entry| entry.value)
        .unwrap_or_default()
}

fn note(id: &str) -> String {
    format!("note/{id}")
}
