//! The entry points that the SDK exports, called as the host calls those of a module.
//!
//! They look their context up in the thread's dispatcher, so they are called on the VM's own thread.

// Links the crate that defines them.
use proxy_wasm as _;

unsafe extern "C" {
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
    fn proxy_on_context_create(context_id: u32, root_context_id: u32);
    fn proxy_on_vm_start(context_id: u32, size: usize) -> bool;
    fn proxy_on_configure(context_id: u32, size: usize) -> bool;
    fn proxy_on_tick(context_id: u32);
    fn proxy_on_queue_ready(context_id: u32, queue_id: u32);
    fn proxy_on_done(context_id: u32) -> bool;
    fn proxy_on_log(context_id: u32);
    fn proxy_on_delete(context_id: u32);
    fn proxy_on_request_headers(context_id: u32, count: usize, end_of_stream: bool) -> u32;
    fn proxy_on_request_body(context_id: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_request_trailers(context_id: u32, count: usize) -> u32;
    fn proxy_on_response_headers(context_id: u32, count: usize, end_of_stream: bool) -> u32;
    fn proxy_on_response_body(context_id: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_response_trailers(context_id: u32, count: usize) -> u32;
    fn proxy_on_http_call_response(
        context_id: u32,
        token_id: u32,
        headers: usize,
        body_size: usize,
        trailers: usize,
    );
}

/// A call into the VM, with what the host passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    ContextCreate {
        root: u32,
    },
    VmStart,
    Configure {
        size: usize,
    },
    Tick,
    QueueReady {
        token: u32,
    },
    Done,
    Log,
    Delete,
    RequestHeaders {
        count: usize,
        end: bool,
    },
    RequestBody {
        size: usize,
        end: bool,
    },
    RequestTrailers {
        count: usize,
    },
    ResponseHeaders {
        count: usize,
        end: bool,
    },
    ResponseBody {
        size: usize,
        end: bool,
    },
    ResponseTrailers {
        count: usize,
    },
    CalloutAnswer {
        token: u32,
        headers: usize,
        body: usize,
        trailers: usize,
    },
}

impl Entry {
    /// The name of the export.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Entry::ContextCreate { .. } => "proxy_on_context_create",
            Entry::VmStart => "proxy_on_vm_start",
            Entry::Configure { .. } => "proxy_on_configure",
            Entry::Tick => "proxy_on_tick",
            Entry::QueueReady { .. } => "proxy_on_queue_ready",
            Entry::Done => "proxy_on_done",
            Entry::Log => "proxy_on_log",
            Entry::Delete => "proxy_on_delete",
            Entry::RequestHeaders { .. } => "proxy_on_request_headers",
            Entry::RequestBody { .. } => "proxy_on_request_body",
            Entry::RequestTrailers { .. } => "proxy_on_request_trailers",
            Entry::ResponseHeaders { .. } => "proxy_on_response_headers",
            Entry::ResponseBody { .. } => "proxy_on_response_body",
            Entry::ResponseTrailers { .. } => "proxy_on_response_trailers",
            Entry::CalloutAnswer { .. } => "proxy_on_http_call_response",
        }
    }

    /// Calls it for `context`: an action (0 continue, 1 pause) or a truth value; zero where it returns nothing.
    pub(crate) fn call(self, context: u32) -> u32 {
        // SAFETY: the SDK's exports take plain numbers and may be called at any time on the VM's thread; the
        // context was created before, except for `ContextCreate`, which creates it.
        unsafe {
            match self {
                Entry::ContextCreate { root } => {
                    proxy_on_context_create(context, root);
                    0
                }
                Entry::VmStart => u32::from(proxy_on_vm_start(context, 0)),
                Entry::Configure { size } => u32::from(proxy_on_configure(context, size)),
                Entry::Tick => {
                    proxy_on_tick(context);
                    0
                }
                Entry::QueueReady { token } => {
                    proxy_on_queue_ready(context, token);
                    0
                }
                Entry::Done => u32::from(proxy_on_done(context)),
                Entry::Log => {
                    proxy_on_log(context);
                    0
                }
                Entry::Delete => {
                    proxy_on_delete(context);
                    0
                }
                Entry::RequestHeaders { count, end } => {
                    proxy_on_request_headers(context, count, end)
                }
                Entry::RequestBody { size, end } => proxy_on_request_body(context, size, end),
                Entry::RequestTrailers { count } => proxy_on_request_trailers(context, count),
                Entry::ResponseHeaders { count, end } => {
                    proxy_on_response_headers(context, count, end)
                }
                Entry::ResponseBody { size, end } => proxy_on_response_body(context, size, end),
                Entry::ResponseTrailers { count } => proxy_on_response_trailers(context, count),
                Entry::CalloutAnswer {
                    token,
                    headers,
                    body,
                    trailers,
                } => {
                    proxy_on_http_call_response(context, token, headers, body, trailers);
                    0
                }
            }
        }
    }
}

/// Memory of the VM holding `bytes`, as the host makes it before it returns data: the VM owns it from here on.
pub(crate) fn allocate(bytes: &[u8]) -> *mut u8 {
    // SAFETY: the SDK gives a block of exactly that many writable bytes, which overlaps nothing.
    unsafe {
        let memory = proxy_on_memory_allocate(bytes.len());
        memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        memory
    }
}
