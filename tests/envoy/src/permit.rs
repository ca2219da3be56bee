//! How many Envoys one process runs at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// Envoys of tests that need one of their own. More would only wait for the processor.
const MAX_ENVOYS: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The right to run one Envoy; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Permit {
    /// Waits until fewer than [`MAX_ENVOYS`] run.
    pub(crate) fn take() -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= MAX_ENVOYS {
            running = ENDED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        *running += 1;
        Self(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
