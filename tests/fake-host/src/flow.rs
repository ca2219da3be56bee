//! How a message moves from filter to filter, stops, and goes on.
//!
//! Written after Envoy's filter manager and its Wasm filter: what a callback returns decides whether the next
//! filter is called; what the plugin asked for meanwhile is done when the callback has returned.

use std::sync::Arc;

use crate::host::locked;
use crate::sdk::Entry;
use crate::stream::{Direction, Element, Held, Reply, StreamShared};
use crate::vm::{After, Instance, Outcome, Vm};

/// What a callback decided for the message.
enum Step {
    Continue,
    Pause,
    /// The stream has ended, or a local reply takes its course.
    Over,
}

/// Does what plugins asked for, in order.
pub(crate) fn after(actions: Vec<After>) {
    for action in actions {
        match action {
            After::Continue(stream, filter, direction) => stream.resume(direction, filter),
            After::Reset(stream) => locked(&stream.data).reset = true,
            After::Reply(stream, reply) => stream.reply(reply),
        }
    }
}

impl StreamShared {
    /// Headers go on from the element at `at`, counted in the message's own direction.
    pub(crate) fn headers(self: &Arc<Self>, direction: Direction, mut at: usize, end: bool) {
        while let Some((index, element)) = self.element(direction, at) {
            at += 1;
            if self.over(direction) {
                return;
            }
            let Element::Filter(vm) = element else {
                if direction == Direction::Request {
                    locked(&self.data).look_at_route();
                }
                continue;
            };
            if direction == Direction::Request && !self.start_filter(index, vm) {
                return;
            }
            let count = {
                let mut data = locked(&self.data);
                let flow = data.filters[index].flow_mut(direction);
                flow.headers_open = true;
                flow.ended = end;
                match direction {
                    Direction::Request => data.request.len(),
                    Direction::Response => data.response.as_ref().map_or(0, |map| map.len()),
                }
            };
            let entry = match direction {
                Direction::Request => Entry::RequestHeaders { count, end },
                Direction::Response => Entry::ResponseHeaders { count, end },
            };
            match self.enter(direction, index, vm, entry) {
                Step::Continue => locked(&self.data).filters[index].flow_mut(direction).shut(),
                Step::Pause => {
                    let mut data = locked(&self.data);
                    let flow = data.filters[index].flow_mut(direction);
                    if vm.allows_stop_iteration() {
                        flow.headers_held = true;
                    } else {
                        flow.stopped = Some(Held::default());
                    }
                    return;
                }
                Step::Over => return,
            }
        }
        self.deliver_headers(direction, end);
    }

    /// A piece of body goes on from the element at `at`.
    pub(crate) fn body(
        self: &Arc<Self>,
        direction: Direction,
        mut at: usize,
        mut chunk: Vec<u8>,
        end: bool,
    ) {
        while let Some((index, element)) = self.element(direction, at) {
            at += 1;
            if self.over(direction) {
                return;
            }
            let Element::Filter(vm) = element else {
                continue;
            };
            let size = {
                let mut data = locked(&self.data);
                if data.filters[index].instance.is_none() {
                    continue;
                }
                let flow = data.filters[index].flow_mut(direction);
                if let Some(held) = &mut flow.stopped {
                    held.body.get_or_insert_default().append(&mut chunk);
                    held.ended |= end;
                    return;
                }
                flow.ended |= end;
                match &mut flow.buffered {
                    Some(buffered) => {
                        buffered.append(&mut chunk);
                        buffered.len()
                    }
                    None => flow.chunk.insert(std::mem::take(&mut chunk)).len(),
                }
            };
            let entry = match direction {
                Direction::Request => Entry::RequestBody { size, end },
                Direction::Response => Entry::ResponseBody { size, end },
            };
            match self.enter(direction, index, vm, entry) {
                Step::Continue => {
                    let mut data = locked(&self.data);
                    let flow = data.filters[index].flow_mut(direction);
                    chunk = flow.body().map(std::mem::take).unwrap_or_default();
                    flow.buffered = None;
                    flow.chunk = None;
                    let headers_held = std::mem::take(&mut flow.headers_held);
                    if headers_held {
                        flow.shut();
                        drop(data);
                        self.headers(direction, at, end && chunk.is_empty());
                        if end && chunk.is_empty() {
                            return;
                        }
                    }
                }
                Step::Pause => {
                    let limit = locked(&self.host.settings).buffer_limit;
                    let mut data = locked(&self.data);
                    let flow = data.filters[index].flow_mut(direction);
                    let chunk = flow.chunk.take();
                    let buffered = flow
                        .buffered
                        .get_or_insert_with(|| chunk.unwrap_or_default());
                    let too_large = buffered.len() > limit;
                    drop(data);
                    if too_large {
                        self.overflow(direction);
                    }
                    return;
                }
                Step::Over => return,
            }
        }
        self.deliver_body(direction, &chunk, end);
    }

    /// Trailers go on from the element at `at`.
    pub(crate) fn trailers(self: &Arc<Self>, direction: Direction, mut at: usize) {
        while let Some((index, element)) = self.element(direction, at) {
            at += 1;
            if self.over(direction) {
                return;
            }
            let Element::Filter(vm) = element else {
                continue;
            };
            let count = {
                let mut data = locked(&self.data);
                if data.filters[index].instance.is_none() {
                    continue;
                }
                let flow = data.filters[index].flow_mut(direction);
                if let Some(held) = &mut flow.stopped {
                    held.trailers = true;
                    return;
                }
                flow.trailers_open = true;
                match direction {
                    Direction::Request => data.request_trailers.len(),
                    Direction::Response => data.response_trailers.len(),
                }
            };
            let entry = match direction {
                Direction::Request => Entry::RequestTrailers { count },
                Direction::Response => Entry::ResponseTrailers { count },
            };
            match self.enter(direction, index, vm, entry) {
                Step::Continue => {
                    let (headers_held, buffered) = {
                        let mut data = locked(&self.data);
                        let flow = data.filters[index].flow_mut(direction);
                        flow.shut();
                        (std::mem::take(&mut flow.headers_held), flow.buffered.take())
                    };
                    if headers_held {
                        self.headers(direction, at, false);
                    }
                    if let Some(buffered) = buffered {
                        self.body(direction, at, buffered, false);
                    }
                }
                Step::Pause => {
                    locked(&self.data).filters[index]
                        .flow_mut(direction)
                        .trailers_held = true;
                    return;
                }
                Step::Over => return,
            }
        }
        self.deliver_trailers(direction);
    }

    /// A plugin lets a paused message go on.
    pub(crate) fn resume(self: &Arc<Self>, direction: Direction, index: usize) {
        if self.over(direction) {
            return;
        }
        let at = match direction {
            Direction::Request => index,
            Direction::Response => self.elements.len() - 1 - index,
        };
        let (stopped, headers_held, buffered, trailers, ended) = {
            let mut data = locked(&self.data);
            let flow = data.filters[index].flow_mut(direction);
            flow.shut();
            (
                flow.stopped.take(),
                std::mem::take(&mut flow.headers_held),
                flow.buffered.take(),
                std::mem::take(&mut flow.trailers_held),
                flow.ended,
            )
        };
        if let Some(held) = stopped {
            self.headers(direction, at + 1, ended);
            // What was held comes to this filter first, as one piece.
            if let Some(body) = held.body {
                self.body(direction, at, body, held.ended);
            }
            if held.trailers {
                self.trailers(direction, at);
            }
            return;
        }
        let mut told = false;
        if headers_held {
            told = ended && buffered.as_ref().is_none_or(Vec::is_empty);
            self.headers(direction, at + 1, told);
        }
        if let Some(buffered) = buffered
            && !told
        {
            self.body(direction, at + 1, buffered, ended);
        }
        if trailers {
            self.trailers(direction, at + 1);
        }
    }

    /// A local reply takes the response's way: through every filter that has seen the request, unless a
    /// response was under way. After response headers have gone out only a cut is left.
    pub(crate) fn reply(self: &Arc<Self>, reply: Reply) {
        let mut data = locked(&self.data);
        if data.reply.is_some() || data.reset || data.closed {
            return;
        }
        data.reply = Some(reply.clone());
        if data.client.started {
            data.reset = true;
            return;
        }
        let (headers, body) = crate::local_reply::on_the_wire(&reply, &data.request);
        let direct = data.response.is_some();
        data.response = Some(headers);
        drop(data);
        if direct {
            self.deliver_headers(Direction::Response, body.is_empty());
            if !body.is_empty() {
                self.deliver_body(Direction::Response, &body, true);
            }
        } else {
            self.headers(Direction::Response, 0, body.is_empty());
            if !body.is_empty() {
                self.body(Direction::Response, 0, body, true);
            }
        }
    }

    /// The end of the stream, in every filter that saw it.
    pub(crate) fn close(self: &Arc<Self>) {
        if std::mem::replace(&mut locked(&self.data).closed, true) {
            return;
        }
        for (element, instance) in self.filters() {
            let (Element::Filter(vm), Some((thread, context))) = (element, instance) else {
                continue;
            };
            for entry in [Entry::Log, Entry::Done, Entry::Delete] {
                locked(&self.data).logging = entry == Entry::Log;
                if let Outcome::Returned { after, .. } = vm.call(&thread, context, entry) {
                    self::after(after);
                }
            }
            thread.state.forget_context(context);
        }
    }

    /// The element that is `at`-th in the message's direction, and its place in the chain.
    fn element(&self, direction: Direction, at: usize) -> Option<(usize, &Element)> {
        let index = match direction {
            Direction::Request => at,
            Direction::Response => self.elements.len().checked_sub(at + 1)?,
        };
        Some((index, self.elements.get(index)?))
    }

    fn over(&self, direction: Direction) -> bool {
        let data = locked(&self.data);
        data.reset || data.closed || (direction == Direction::Request && data.reply.is_some())
    }

    /// The filter's context for this stream; `false` if the request cannot go on.
    fn start_filter(self: &Arc<Self>, index: usize, vm: &Vm) -> bool {
        match vm.instance() {
            Instance::Running { thread, root } => {
                let context = thread.state.new_stream(root, self, index);
                let created = vm.call(&thread, context, Entry::ContextCreate { root });
                locked(&self.data).filters[index].instance = Some((thread, context));
                if matches!(created, Outcome::Returned { .. }) {
                    return true;
                }
                self.fail();
                false
            }
            Instance::Bypassed => true,
            Instance::Failed => {
                self.fail();
                false
            }
        }
    }

    /// Calls the filter; it is passed by if it does not take part in this stream.
    fn enter(self: &Arc<Self>, direction: Direction, index: usize, vm: &Vm, entry: Entry) -> Step {
        let instance = locked(&self.data).filters[index].instance.clone();
        let Some((thread, context)) = instance else {
            return Step::Continue;
        };
        let (value, actions) = match vm.call(&thread, context, entry) {
            Outcome::Returned { value, after } => (value, after),
            // The reply that tells of the lost VM comes by here, too.
            _ if locked(&self.data).reply.is_some() => return Step::Continue,
            Outcome::Lost if vm.fails_open() => return Step::Continue,
            Outcome::Lost | Outcome::Trapped => {
                self.fail();
                return Step::Over;
            }
        };
        let mut step = if value == 0 {
            Step::Continue
        } else {
            Step::Pause
        };
        let mut others = Vec::new();
        let mut reply = None;
        for action in actions {
            match action {
                After::Continue(stream, filter, way)
                    if Arc::ptr_eq(&stream, self) && filter == index && way == direction =>
                {
                    step = Step::Continue;
                }
                After::Reply(stream, asked) if Arc::ptr_eq(&stream, self) => {
                    reply.get_or_insert(asked);
                }
                other => others.push(other),
            }
        }
        after(others);
        if let Some(reply) = reply {
            // Whatever the callback returned.
            self.reply(reply);
            return Step::Over;
        }
        if self.over(direction) {
            return Step::Over;
        }
        step
    }

    /// The VM was lost: a 503, or a cut if response headers have gone out.
    fn fail(self: &Arc<Self>) {
        self.reply(Reply {
            status: 503,
            details: "wasm_fail_stream".to_owned(),
            ..Reply::default()
        });
    }

    fn overflow(self: &Arc<Self>, direction: Direction) {
        let (status, details) = match direction {
            Direction::Request => (413, "request_payload_too_large"),
            Direction::Response => (500, "response_payload_too_large"),
        };
        self.reply(Reply {
            status,
            details: details.to_owned(),
            body: b"Payload Too Large".to_vec(),
            ..Reply::default()
        });
    }

    fn deliver_headers(&self, direction: Direction, end: bool) {
        let mut data = locked(&self.data);
        if direction == Direction::Request {
            data.look_at_route();
        }
        let headers = match direction {
            Direction::Request => data.request.clone(),
            Direction::Response => data.response.clone().unwrap_or_default(),
        };
        let message = match direction {
            Direction::Request => &mut data.upstream,
            Direction::Response => &mut data.client,
        };
        message.started = true;
        message.headers = headers;
        message.complete |= end;
    }

    fn deliver_body(&self, direction: Direction, chunk: &[u8], end: bool) {
        let mut data = locked(&self.data);
        let message = match direction {
            Direction::Request => &mut data.upstream,
            Direction::Response => &mut data.client,
        };
        message.body.extend_from_slice(chunk);
        message.complete |= end;
    }

    fn deliver_trailers(&self, direction: Direction) {
        let mut data = locked(&self.data);
        let trailers = match direction {
            Direction::Request => data.request_trailers.clone(),
            Direction::Response => data.response_trailers.clone(),
        };
        let message = match direction {
            Direction::Request => &mut data.upstream,
            Direction::Response => &mut data.client,
        };
        message.trailers = trailers;
        message.complete = true;
    }
}
