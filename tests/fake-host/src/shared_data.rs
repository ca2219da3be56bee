//! Shared data: one map of byte strings for each `vm_id`, with compare-and-swap.

use std::collections::HashMap;

use crate::status::Status;

/// What one key holds: the bytes, and the number of the write that put them there.
type Entry = (Vec<u8>, u32);

#[derive(Debug)]
pub(crate) struct SharedData {
    vms: HashMap<String, HashMap<Vec<u8>, Entry>>,
    next_cas: u32,
    /// How many conditional writes find that another worker has just written.
    outrun: u32,
}

impl SharedData {
    pub(crate) fn new() -> SharedData {
        SharedData {
            vms: HashMap::new(),
            next_cas: 1,
            outrun: 0,
        }
    }

    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> Option<Entry> {
        self.vms.get(vm_id)?.get(key).cloned()
    }

    /// An absent key is written whatever `cas` is; a present one if `cas` is zero or still its number.
    pub(crate) fn set(&mut self, vm_id: &str, key: &[u8], value: &[u8], cas: u32) -> Status {
        let stored = self.vms.entry(vm_id.to_owned()).or_default();
        if cas != 0
            && self.outrun > 0
            && let Some((_, number)) = stored.get_mut(key)
        {
            self.outrun -= 1;
            *number = self.next_cas;
            self.next_cas = self.next_cas.checked_add(1).unwrap_or(1);
        }
        if cas != 0 && stored.get(key).is_some_and(|(_, stored)| *stored != cas) {
            return Status::CasMismatch;
        }
        stored.insert(key.to_owned(), (value.to_owned(), self.next_cas));
        // One counter for all; zero means "unconditional" and is never given out.
        self.next_cas = self.next_cas.checked_add(1).unwrap_or(1);
        Status::Ok
    }

    pub(crate) fn outrun(&mut self, writes: u32) {
        self.outrun = writes;
    }

    pub(crate) fn keys(&self, vm_id: &str) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = self
            .vms
            .get(vm_id)
            .into_iter()
            .flat_map(|stored| stored.keys().cloned())
            .collect();
        keys.sort();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A limiter's insert-if-absent and its compare-and-swap rest on exactly these answers.
    #[test]
    fn compare_and_swap() {
        let mut data = SharedData::new();
        assert_eq!(data.get("vm", b"k"), None);
        assert_eq!(data.set("vm", b"k", b"1", u32::MAX), Status::Ok);
        assert_eq!(data.set("vm", b"k", b"2", u32::MAX), Status::CasMismatch);
        let (value, cas) = data.get("vm", b"k").unwrap();
        assert_eq!(value, b"1");
        assert_eq!(data.set("vm", b"k", b"3", cas), Status::Ok);
        assert_eq!(data.set("vm", b"k", b"4", cas), Status::CasMismatch);
        assert_eq!(data.set("vm", b"k", b"5", 0), Status::Ok);
        assert_eq!(data.get("vm", b"k").unwrap().0, b"5");
    }

    // Keys of one plugin are not another's; and a number freed by wrap-around is never zero.
    #[test]
    fn namespaces_and_numbers() {
        let mut data = SharedData::new();
        data.next_cas = u32::MAX;
        data.set("a", b"k", b"", 0);
        data.set("b", b"k", b"", 0);
        assert_eq!(data.get("a", b"k"), Some((Vec::new(), u32::MAX)));
        assert_eq!(data.get("b", b"k"), Some((Vec::new(), 1)));
        assert_eq!(data.get("c", b"k"), None);
    }
}
