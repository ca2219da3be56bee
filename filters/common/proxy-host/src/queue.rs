//! Shared queues: how one worker's VM wakes another.
//!
//! A queue belongs to the VM that registered its name *last*: each VM registers a name of its own, from its
//! first tick (in `on_configure` it would be registered by VMs that never see a request, too).

use crate::abi;
use crate::error::HostError;

/// Registers the queue `name` for this VM and gives its number; `on_queue_ready` is then called here.
///
/// # Errors
///
/// The host's statuses.
pub fn register(name: &str) -> Result<u32, HostError> {
    abi::register_queue(name.as_bytes())
}

/// The number of the queue that a VM with `vm_id` registered as `name`; `None` if none did.
///
/// # Errors
///
/// The host's statuses.
pub fn resolve(vm_id: &str, name: &str) -> Result<Option<u32>, HostError> {
    match abi::resolve_queue(vm_id.as_bytes(), name.as_bytes()) {
        Ok(id) => Ok(Some(id)),
        Err(HostError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds one item. The host bounds neither count nor size: the caller does.
///
/// # Errors
///
/// [`HostError::NotFound`] if there is no such queue; the host's other statuses.
pub fn enqueue(id: u32, item: &[u8]) -> Result<(), HostError> {
    abi::enqueue(id, item)
}

/// Takes the oldest item; `None` if the queue is empty.
///
/// # Errors
///
/// [`HostError::NotFound`] if there is no such queue; the host's other statuses.
pub fn dequeue(id: u32) -> Result<Option<Vec<u8>>, HostError> {
    match abi::dequeue(id) {
        Ok(item) => Ok(Some(item)),
        Err(HostError::Empty) => Ok(None),
        Err(error) => Err(error),
    }
}
