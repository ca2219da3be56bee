//! The chain of `envoy/envoy.yaml` as a whole: what one filter does to what another has decided.

mod browsers;
mod cache;
mod compression;
mod counting;
mod rewrites;
