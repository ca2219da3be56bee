//! What only those who run the gateway can see and do. A tour of a gateway that others run goes without.

use envoy_harness::Gateway;
use serde_json::Value;

/// Each answer is none where it cannot be had: what depends on it is left out then.
pub(crate) trait Backstage: Sync {
    /// Whether there is an access log to look into.
    fn has_log(&self) -> bool;
    /// The access log's line for a request.
    fn logged(&self, request_id: &str) -> Option<Value>;
    /// A counter of Envoy's.
    fn counter(&self, name: &str) -> Option<u64>;
    /// Stops a replica, as a crash does; whether it did.
    fn stop(&self, replica: &str) -> Option<bool>;
    /// Starts it again; whether it did.
    fn start_again(&self, replica: &str) -> Option<bool>;
}

impl Backstage for Gateway {
    fn has_log(&self) -> bool {
        true
    }

    fn logged(&self, request_id: &str) -> Option<Value> {
        let wanted = |entry: &Value| entry["request_id"] == request_id;
        Some(self.envoy().access_log_entry(wanted))
    }

    fn counter(&self, name: &str) -> Option<u64> {
        Some(self.envoy().counter(name))
    }

    fn stop(&self, replica: &str) -> Option<bool> {
        Some(self.upstreams().stop(replica).is_ok())
    }

    fn start_again(&self, replica: &str) -> Option<bool> {
        Some(self.upstreams().start_again(replica).is_ok())
    }
}
