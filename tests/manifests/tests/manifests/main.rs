//! The tree against itself: what is written in two places says the same in both.

#![allow(clippy::disallowed_methods)] // Reading files is what it is for.

mod compose;
mod configurations;
mod crates;
mod documents;
mod envoy_files;
mod kubernetes;
mod layout;
mod setup;
