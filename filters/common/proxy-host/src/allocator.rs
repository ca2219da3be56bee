//! The allocator of the modules.
//!
//! A VM has one thread and takes what it needs from its own memory. This allocator does so with less code and in less time
//! than the one that the WASI library brings, and a filter allocates some tens of times for each request.

#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
