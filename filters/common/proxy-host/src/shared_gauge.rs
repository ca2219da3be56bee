//! A gauge to which every VM of the process adds a part of its own.

use std::cell::Cell;

use crate::error::HostError;
use crate::metric::Gauge;

/// The part of this VM in a gauge. All VMs share the number in the host, so they tell it differences; and no more often than
/// the part has changed by a step, or has become nothing, since small parts are not worth a call.
///
/// A VM that is lost leaves in the gauge what it has told.
#[derive(Debug)]
pub struct SharedGauge {
    gauge: Gauge,
    name: &'static str,
    step: u64,
    part: Cell<u64>,
    told: Cell<u64>,
}

impl SharedGauge {
    /// Defines the gauge, or finds the one of that name. It is exact to `step` for each VM.
    ///
    /// # Errors
    /// As for [`crate::metric::Counter::define`].
    pub fn define(name: &'static str, step: u64) -> Result<SharedGauge, HostError> {
        Ok(SharedGauge {
            gauge: Gauge::define(name)?,
            name,
            step,
            part: Cell::new(0),
            told: Cell::new(0),
        })
    }

    /// What was `from` is `to` now.
    pub fn change(&self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let of = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let part = self.part.get().saturating_sub(of(from));
        let part = part.saturating_add(of(to));
        self.part.set(part);
        if part == 0 || part.abs_diff(self.told.get()) >= self.step {
            self.tell(part);
        }
    }

    /// The part of this VM.
    pub fn part(&self) -> u64 {
        self.part.get()
    }

    fn tell(&self, part: u64) {
        let told = self.told.replace(part);
        let by = part.abs_diff(told);
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        let by = if part < told { by.saturating_neg() } else { by };
        if by != 0
            && let Err(error) = self.gauge.change_by(by)
        {
            log::warn!("gauge={} error={error}", self.name);
        }
    }
}

/// The configuration is replaced.
impl Drop for SharedGauge {
    fn drop(&mut self) {
        self.tell(0);
    }
}
