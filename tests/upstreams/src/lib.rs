//! The REST services and the token issuer that demo and tests talk to.
