//! Every configuration and example in the tree parses, validates, and agrees with the documents.
