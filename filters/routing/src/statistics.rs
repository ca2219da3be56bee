//! How calls end, by method.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use http_message::GrpcStatus;
use proxy_host::HostError;
use proxy_host::metric::{Counter, Histogram};

/// A counter for each status of each method, and a histogram of its time. Each is defined when it is first needed: of all
/// that there could be, few are.
#[derive(Debug)]
pub(crate) struct Statistics {
    names: Vec<String>,
    defined: RefCell<Defined>,
}

#[derive(Debug, Default)]
struct Defined {
    statuses: BTreeMap<(usize, u8), Counter>,
    times: BTreeMap<usize, Histogram>,
}

impl Statistics {
    /// Under these names, which the configuration has checked.
    pub(crate) fn new(names: Vec<String>) -> Self {
        Statistics {
            names,
            defined: RefCell::default(),
        }
    }

    /// Counts a call. Counting is not worth a request: a host that refuses is logged, not obeyed.
    pub(crate) fn count(&self, place: usize, status: GrpcStatus, time: Duration) {
        if let Some(name) = self.names.get(place)
            && let Err(error) = self.try_count(place, name, status, time)
        {
            log::warn!("statistics error={error}");
        }
    }

    fn try_count(
        &self,
        place: usize,
        name: &str,
        status: GrpcStatus,
        time: Duration,
    ) -> Result<(), HostError> {
        let mut defined = self.defined.borrow_mut();
        let code = status.code();
        let counter = match defined.statuses.get(&(place, code)) {
            Some(counter) => *counter,
            None => {
                let name = format!("gatehouse.routing.grpc_status.{name}.{code}");
                let counter = Counter::define(&name)?;
                defined.statuses.insert((place, code), counter);
                counter
            }
        };
        let histogram = match defined.times.get(&place) {
            Some(histogram) => *histogram,
            None => {
                let name = format!("gatehouse.routing.grpc_time_ms.{name}");
                let histogram = Histogram::define(&name)?;
                defined.times.insert(place, histogram);
                histogram
            }
        };
        counter.increment(1)?;
        histogram.record(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}
