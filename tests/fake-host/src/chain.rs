//! The filters that a request goes through, in order.

use crate::stream::{Element, Stream, StreamShared};
use crate::vm::Vm;

/// A filter chain: Wasm filters in VMs of their own, and native ones.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    elements: Vec<Element>,
}

impl Chain {
    /// A chain with no filter.
    #[must_use]
    pub fn new() -> Chain {
        Chain::default()
    }

    /// With this filter behind the others.
    #[must_use]
    pub fn filter(mut self, vm: &Vm) -> Chain {
        self.elements.push(Element::Filter(vm.clone()));
        self
    }

    /// With one of Envoy's own filters behind the others: it looks at the route, so that Wasm filters behind it
    /// read the one that holds by then.
    #[must_use]
    pub fn native(mut self) -> Chain {
        self.elements.push(Element::Native);
        self
    }

    /// A request that goes through the chain.
    ///
    /// # Panics
    ///
    /// If the chain has no Wasm filter.
    pub fn request<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        head: impl IntoIterator<Item = (N, V)>,
    ) -> Stream {
        let host = self.elements.iter().find_map(|element| match element {
            Element::Filter(vm) => Some(vm.host().clone()),
            Element::Native => None,
        });
        let host = host.expect("a chain with a Wasm filter");
        Stream::new(StreamShared::new(
            host,
            self.elements.clone(),
            head.into_iter().collect(),
        ))
    }
}
