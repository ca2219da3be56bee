//! Every configuration and example in the tree parses, validates, and agrees with the documents.
//!
//! This crate finds what is to be compared: the files of the tree, the tables and links of a document, the configurations
//! inside an Envoy file, the objects for Kubernetes, the fields of a wire form. Its tests compare.

#![allow(clippy::disallowed_methods)] // Reading files is what it is for.

pub mod envoy;
pub mod fields;
pub mod filters;
pub mod kubernetes;
pub mod markdown;
pub mod tree;
pub mod yaml;
