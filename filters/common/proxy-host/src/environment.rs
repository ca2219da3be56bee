//! The VM's environment variables: `vm_config.environment_variables`.

/// The value of a variable, if there is one and it is UTF-8.
///
/// Envoy tells VMs apart by id, code and configuration, not by their environment: of two plugins that share a VM, the
/// second sees the variables of the first.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is where it is read")]
pub fn variable(name: &str) -> Option<String> {
    // The standard library panics on a name that could not be one.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A name from a configuration must not take the VM away.
    #[test]
    fn no_name_is_too_strange() {
        for name in ["", "=", "A=B", "a\0b", "GATEHOUSE_NO_SUCH_VARIABLE"] {
            assert_eq!(variable(name), None, "{name:?}");
        }
        assert!(variable("PATH").is_some());
    }
}
