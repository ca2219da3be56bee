//! Starts a real Envoy on loopback and runs the chain, the scenarios, reloads and attacks.
