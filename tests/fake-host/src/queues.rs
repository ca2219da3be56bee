//! Shared queues: a name belongs to the VM that registered it last.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use crate::status::Status;
use crate::vm::VmState;

#[derive(Debug, Default)]
pub(crate) struct Queues {
    tokens: HashMap<(String, Vec<u8>), u32>,
    queues: HashMap<u32, Queue>,
}

#[derive(Debug)]
struct Queue {
    owner: Weak<VmState>,
    root: u32,
    items: VecDeque<Vec<u8>>,
}

impl Queues {
    /// Items stay; who is called when one comes changes to the VM that registers now.
    pub(crate) fn register(&mut self, owner: &Arc<VmState>, root: u32, name: &[u8]) -> u32 {
        let fresh = u32::try_from(self.tokens.len() + 1).expect("few queues");
        let key = (owner.vm_id.clone(), name.to_owned());
        let token = *self.tokens.entry(key).or_insert(fresh);
        let queue = self.queues.entry(token).or_insert_with(|| Queue {
            owner: Weak::new(),
            root,
            items: VecDeque::new(),
        });
        queue.owner = Arc::downgrade(owner);
        queue.root = root;
        token
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        self.tokens
            .get(&(vm_id.to_owned(), name.to_owned()))
            .copied()
    }

    pub(crate) fn enqueue(&mut self, token: u32, item: &[u8]) -> Status {
        let Some(queue) = self.queues.get_mut(&token) else {
            return Status::NotFound;
        };
        queue.items.push_back(item.to_owned());
        if let Some(owner) = queue.owner.upgrade() {
            owner.wake(queue.root, token);
        }
        Status::Ok
    }

    pub(crate) fn dequeue(&mut self, token: u32) -> Result<Vec<u8>, Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.pop_front().ok_or(Status::Empty)
    }
}
