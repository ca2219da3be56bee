//! Metrics: one set for the process, by name.

use crate::status::Status;

#[derive(Debug, Default)]
pub(crate) struct Metrics(Vec<Metric>);

#[derive(Debug)]
struct Metric {
    kind: Kind,
    name: String,
    value: u64,
    samples: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Metrics {
    /// The number of the metric, the same for the same kind and name.
    pub(crate) fn define(&mut self, kind: u32, name: &str) -> Result<u32, Status> {
        let kind = match kind {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        let same = |metric: &Metric| metric.kind == kind && metric.name == name;
        let place = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(Metric {
                kind,
                name: name.to_owned(),
                value: 0,
                samples: Vec::new(),
            });
            self.0.len() - 1
        });
        Ok(u32::try_from(place).expect("few metrics"))
    }

    pub(crate) fn increment(&mut self, id: u32, by: i64) -> Status {
        let Some(metric) = self.metric(id) else {
            return Status::NotFound;
        };
        match metric.kind {
            Kind::Counter if by > 0 => metric.value = metric.value.wrapping_add_signed(by),
            Kind::Gauge => metric.value = metric.value.saturating_add_signed(by),
            Kind::Counter | Kind::Histogram => return Status::BadArgument,
        }
        Status::Ok
    }

    pub(crate) fn record(&mut self, id: u32, value: u64) -> Status {
        let Some(metric) = self.metric(id) else {
            return Status::NotFound;
        };
        match metric.kind {
            Kind::Counter => metric.value = metric.value.wrapping_add(value),
            Kind::Gauge => metric.value = value,
            Kind::Histogram => metric.samples.push(value),
        }
        Status::Ok
    }

    pub(crate) fn get(&self, id: u32) -> Result<u64, Status> {
        let metric = self.0.get(id as usize).ok_or(Status::NotFound)?;
        match metric.kind {
            Kind::Histogram => Err(Status::BadArgument),
            Kind::Counter | Kind::Gauge => Ok(metric.value),
        }
    }

    pub(crate) fn named(&self, name: &str) -> Option<u64> {
        let found = self.0.iter().find(|metric| metric.name == name)?;
        Some(found.value)
    }

    pub(crate) fn samples(&self, name: &str) -> Vec<u64> {
        self.0
            .iter()
            .filter(|metric| metric.name == name)
            .flat_map(|metric| metric.samples.iter().copied())
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(|metric| metric.name.clone()).collect();
        names.sort();
        names
    }

    fn metric(&mut self, id: u32) -> Option<&mut Metric> {
        self.0.get_mut(id as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The host refuses to add nothing to a counter, and to increment a histogram at all.
    #[test]
    fn increments() {
        let mut metrics = Metrics::default();
        let counter = metrics.define(0, "c").unwrap();
        let histogram = metrics.define(2, "h").unwrap();
        assert_eq!(metrics.define(0, "c"), Ok(counter));
        assert_eq!(metrics.increment(counter, 0), Status::BadArgument);
        assert_eq!(metrics.increment(counter, -1), Status::BadArgument);
        assert_eq!(metrics.increment(counter, 2), Status::Ok);
        assert_eq!(metrics.record(counter, 3), Status::Ok);
        assert_eq!(metrics.get(counter), Ok(5));
        assert_eq!(metrics.increment(histogram, 1), Status::BadArgument);
        assert_eq!(metrics.increment(99, 1), Status::NotFound);
        assert_eq!(metrics.define(3, "x"), Err(Status::BadArgument));
    }
}
