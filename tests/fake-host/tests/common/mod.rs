//! The probe filter as the plugin under test.

use fake_host::VmOptions;

/// The probe filter, obeying `x-probe`.
pub(crate) fn probe(name: &str) -> VmOptions {
    VmOptions::new(name, probe_filter::register).config("x-probe")
}

/// A request that makes it do `script`.
pub(crate) fn script(script: &str) -> Vec<(String, String)> {
    let head = [
        (":method", "GET"),
        (":path", "/a?b=c"),
        (":authority", "probe"),
        ("x-probe", script),
    ];
    head.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}
