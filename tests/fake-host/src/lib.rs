//! The proxy-wasm host functions, natively: what our adapters believe about Envoy.
