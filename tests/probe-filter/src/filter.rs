//! The contexts: each callback carries out the operations of its phase.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_host::foreign::{PropertyDeclaration, Span, ValueType, declare_property};
use proxy_host::headers::{self, Map};
use proxy_host::{plugin_configuration, queue, set_tick_period, with_stream};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::facts::READ_ONLY;
use crate::operation::{Place, count_item, run};
use crate::report::Reports;
use crate::script::{Phase, Script};

/// How soon a stream that waits for a tick gets one.
const TICK: Duration = Duration::from_millis(20);

/// A stream that waits for the root context to be called.
struct Waiting {
    context_id: u32,
    waits_for: Phase,
    script: Script,
    reports: Reports,
}

type WaitingList = Rc<RefCell<Vec<Waiting>>>;

/// The plugin.
#[derive(Default)]
pub(crate) struct Root {
    /// The header to obey.
    header: String,
    waiting: WaitingList,
}

impl Root {
    /// Carries out what waiting streams have for this phase; each waits for one phase after the other.
    fn wake(&self, phase: Phase) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        let (ready, others): (Vec<_>, _) = waiting
            .into_iter()
            .partition(|stream| stream.waits_for == phase);
        *self.waiting.borrow_mut() = others;
        for mut stream in ready {
            let place = Place {
                context_id: stream.context_id,
                reports: &stream.reports,
                size: 0,
                end: false,
            };
            let operations = stream.script.of(phase);
            if with_stream(stream.context_id, || run(&operations, &place)).is_none() {
                stream.reports.put("woken", "gone");
            } else if phase == Phase::Tick && !stream.script.of(Phase::Queue).is_empty() {
                stream.waits_for = Phase::Queue;
                self.waiting.borrow_mut().push(stream);
            }
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = plugin_configuration().unwrap_or_default();
        match String::from_utf8(configuration) {
            Ok(header) if !header.is_empty() => self.header = header,
            _ => {
                log::error!("the configuration is the name of a request header");
                return false;
            }
        }
        let declaration = PropertyDeclaration {
            name: READ_ONLY,
            read_only: true,
            value_type: ValueType::Text,
            span: Span::Request,
        };
        if let Err(error) = declare_property(&declaration) {
            log::warn!("declare_property: {error}");
        }
        true
    }

    fn on_tick(&mut self) {
        self.wake(Phase::Tick);
        if self.waiting.borrow().is_empty() {
            // A timer that cannot be stopped goes on, which harms nothing.
            let _ = set_tick_period(Duration::ZERO);
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        if matches!(queue::dequeue(queue), Ok(Some(_))) {
            count_item();
            self.wake(Phase::Queue);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            context_id,
            header: self.header.clone(),
            waiting: Rc::clone(&self.waiting),
            script: Script::default(),
            reports: Reports::default(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request.
struct Stream {
    context_id: u32,
    header: String,
    waiting: WaitingList,
    script: Script,
    reports: Reports,
}

impl Stream {
    fn phase(&self, phase: Phase, size: usize, end: bool) -> Action {
        let place = Place {
            context_id: self.context_id,
            reports: &self.reports,
            size,
            end,
        };
        if run(&self.script.of(phase), &place) {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    fn wait_for_a_tick(&self) {
        self.waiting.borrow_mut().push(Waiting {
            context_id: self.context_id,
            waits_for: Phase::Tick,
            script: self.script.clone(),
            reports: self.reports.clone(),
        });
        if let Err(error) = set_tick_period(TICK) {
            self.reports.put("error", &error.to_string());
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, _: usize, body_size: usize, _: usize) {
        self.phase(Phase::Answer, body_size, true);
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let Ok(head) = headers::read(Map::Request) else {
            return Action::Continue;
        };
        let text = |name: &str| {
            let value = head.get_all(name).next()?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        self.reports = Reports::new(text("x-probe-id"));
        self.script = Script::parse(&text(&self.header).unwrap_or_default());
        if !self.script.of(Phase::Tick).is_empty() {
            self.wait_for_a_tick();
        }
        self.phase(Phase::RequestHeaders, 0, end)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.phase(Phase::RequestBody, size, end)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.phase(Phase::RequestTrailers, 0, false)
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let action = self.phase(Phase::ResponseHeaders, 0, end);
        self.reports.send();
        action
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.phase(Phase::ResponseBody, size, end)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.phase(Phase::ResponseTrailers, 0, false)
    }
}
