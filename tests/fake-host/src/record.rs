//! What a VM did: the host calls it made and the lines it logged.

use std::fmt;

/// One host call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The callback that it was made in, such as `proxy_on_request_headers`.
    pub callback: &'static str,
    /// The context that the callback was for.
    pub context_id: u32,
    /// The host function, such as `proxy_get_property`.
    pub function: &'static str,
    /// How many bytes the host put into the VM's memory: a call that does so re-enters the VM, and is the dear kind.
    pub returned: usize,
}

/// One log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical.
    pub level: u32,
    /// The line.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];
        let name = NAMES.get(self.level as usize).unwrap_or(&"?");
        write!(f, "[{name}] {}", self.text)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) calls: Vec<HostCall>,
    pub(crate) logs: Vec<LogLine>,
}
