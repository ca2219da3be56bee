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

/// What the filters did for one request, or in one callback of it: exact, and the same on every machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The host calls in order.
    pub calls: Vec<HostCall>,
    /// Allocations in the filter's own code, growth of what was allocated included. What the host puts into the VM's memory
    /// is not among them: [`Cost::data_calls`] counts it.
    pub allocations: u64,
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

impl Cost {
    /// Calls that brought data: the host re-enters the VM for the memory, the dear kind.
    #[must_use]
    pub fn data_calls(&self) -> u64 {
        self.calls.iter().filter(|call| call.returned > 0).count() as u64
    }

    /// All other calls.
    #[must_use]
    pub fn other_calls(&self) -> u64 {
        self.calls.len() as u64 - self.data_calls()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (data, other) = (self.data_calls(), self.other_calls());
        write!(
            f,
            "{data} calls for data, {other} others, {} allocations",
            self.allocations
        )?;
        for HostCall {
            callback,
            function,
            returned,
            ..
        } in &self.calls
        {
            write!(f, "\n  {callback:<26} {function}")?;
            if *returned > 0 {
                write!(f, " ({returned} bytes)")?;
            }
        }
        Ok(())
    }
}

/// The allocations of one callback.
#[derive(Debug)]
pub(crate) struct Allocations {
    pub(crate) callback: &'static str,
    pub(crate) context_id: u32,
    pub(crate) count: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) calls: Vec<HostCall>,
    pub(crate) allocations: Vec<Allocations>,
    pub(crate) logs: Vec<LogLine>,
}
