//! What we believe about the host, as data: tried on the fake host and on a real Envoy alike.
//!
//! Nothing here depends on how a body is cut into chunks or on how long anything takes: a vehicle may deliver the
//! chunks of an exchange one by one or joined, with or without an empty last one.
//!
//! # What a vehicle provides
//!
//! - The plugin with the `vm_id` `first` and the configuration `x-probe-first`, `failure_policy: FAIL_RELOAD`, one
//!   worker. For [`Chain::Three`] two more behind it: `second` with `x-probe-second`, then one of Envoy's own filters
//!   that looks at the route, then `third` with `x-probe-third`. For [`Chain::Workers`] a second worker instead:
//!   [`Exchange::worker`] says which of the two a request is for, and what another one posted to it before comes first.
//! - Routes to one upstream: [`PICKED`] for requests with `x-pick: yes`, [`STATE`] for requests whose filter state
//!   `envoy.string` is `pick`, [`PLAIN`] for all others, in this order; each says its name in a response header, so
//!   that the vehicle knows which was taken. Trailers enabled, both ways.
//! - A cluster `callee` that answers callouts with 200, but only after a client that leaves has left.

/// Filter state that every instance declares read-only.
pub const READ_ONLY: &str = "probe.once";

/// The route for `x-pick: yes`.
pub const PICKED: &str = "picked";

/// The route for the filter state `envoy.string` = `pick`.
pub const STATE: &str = "state";

/// The route for all other requests.
pub const PLAIN: &str = "plain";

/// One belief.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// What a failing test is called.
    pub name: &'static str,
    /// The belief, and what rests on it.
    pub why: &'static str,
    /// The filters.
    pub chain: Chain,
    /// The requests, one after the other.
    pub exchanges: &'static [Exchange],
}

/// Which filters a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// `x-probe-first` alone.
    One,
    /// `x-probe-first`, `x-probe-second`, a native filter that looks at the route, `x-probe-third`.
    Three,
    /// `x-probe-first` alone, in two workers.
    Workers,
}

/// A request, what the upstream answers, and what is seen then.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Headers beside `:method` (POST with a body, else GET), `:path` `/`, and `:authority`.
    pub request: &'static [(&'static str, &'static str)],
    /// The request's body.
    pub body: Body,
    /// The body of the upstream's answer, which is a 200.
    pub response: Body,
    /// What the client does.
    pub client: Client,
    /// The worker that it is for: 0, or with [`Chain::Workers`] 1.
    pub worker: usize,
    /// What must be seen, as [`Observation::differences`](crate::observation::Observation::differences) compares it.
    /// Nothing is if the client leaves.
    pub expect: Expect,
}

/// A body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None: the headers end the message.
    None,
    /// These pieces, then the end.
    Chunks(&'static [&'static str]),
    /// These pieces, then a trailer `x-trailer: yes`.
    Trailers(&'static [&'static str]),
}

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Waits for the answer.
    Stays,
    /// Goes away while its request is paused; what the request waits for comes after that.
    Leaves,
    /// Sends the request after the reload back-off has passed.
    WaitsForReload,
}

/// What is seen of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The response's status.
    pub status: u16,
    /// Response headers, with `x-probe-` before each name; `=name` is the plain header `name`. An empty value is a
    /// header that is not there.
    pub headers: &'static [(&'static str, &'static str)],
    /// The response's body.
    pub body: Option<&'static str>,
    /// Headers that the upstream got.
    pub upstream_headers: &'static [(&'static str, &'static str)],
    /// The body that the upstream got.
    pub upstream_body: Option<&'static str>,
    /// The route that was taken.
    pub route: Option<&'static str>,
}

const SEEN: Expect = Expect {
    status: 200,
    headers: &[],
    body: None,
    upstream_headers: &[],
    upstream_body: None,
    route: None,
};

const GET: Exchange = Exchange {
    request: &[],
    body: Body::None,
    response: Body::Chunks(&["answer"]),
    client: Client::Stays,
    worker: 0,
    expect: SEEN,
};

/// For the other of two workers.
const OTHER: Exchange = Exchange { worker: 1, ..GET };

/// The table.
pub const FACTS: &[Fact] = &[
    Fact {
        name: "a_header_map_closes_when_the_request_goes_on",
        why: "in the response phase the request's map reads as empty, without an error, and a write answers 2: \
              what later phases need is kept from the first",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: pairs open request | response-headers: pairs closed request; \
                 set-header write request x-late yes",
            )],
            expect: Expect {
                headers: &[
                    ("open", "some"),
                    ("closed", "empty"),
                    ("write", "bad argument"),
                ],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "request_attributes_are_gone_in_the_response_phase",
        why: "request.path cannot be read once the request has gone on",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: property early request/path | response-headers: property late request/path",
            )],
            expect: Expect {
                headers: &[("early", "/"), ("late", "none")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_route_read_is_stale_after_an_edit",
        why: "a filter cannot see the route that its own edit leads to, nor after clear_route_cache; the edit \
              takes effect all the same",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: route before; set-header edit request x-pick yes; route after; \
                 clear-route clear; route cleared",
            )],
            expect: Expect {
                headers: &[
                    ("before", PLAIN),
                    ("edit", "ok"),
                    ("after", PLAIN),
                    ("clear", "ok"),
                    ("cleared", PLAIN),
                ],
                route: Some(PICKED),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_route_read_is_stale_until_a_native_filter_looks",
        why: "the next Wasm filter reads the old route, one behind a native filter the new one: match.route is \
              the route as a native filter last looked it up",
        chain: Chain::Three,
        exchanges: &[Exchange {
            request: &[
                (
                    "x-probe-first",
                    "request-headers: set-header edit request x-pick yes",
                ),
                ("x-probe-second", "request-headers: route second"),
                ("x-probe-third", "request-headers: route third"),
            ],
            expect: Expect {
                headers: &[("second", PLAIN), ("third", PICKED)],
                route: Some(PICKED),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "filter_state_alone_does_not_reroute",
        why: "only header edits clear the route cache by themselves",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: set-state state envoy.string pick",
            )],
            expect: Expect {
                headers: &[("state", "ok")],
                route: Some(PLAIN),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "filter_state_reroutes_after_clear_route_cache",
        why: "a route can match what a filter wrote, if the filter clears the cache",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: set-state state envoy.string pick; clear-route clear",
            )],
            expect: Expect {
                headers: &[("state", "ok"), ("clear", "ok")],
                route: Some(STATE),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "envoy_has_a_factory_for_few_filter_states",
        why: "set_envoy_filter_state answers 1 for a name that Envoy does not know",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: set-state state gatehouse.x y",
            )],
            expect: Expect {
                headers: &[("state", "not found")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "filter_state_is_seen_by_every_vm_of_the_stream",
        why: "the identity record is handed from auth to filters in other VMs this way; it can be overwritten \
              unless it is declared read-only",
        chain: Chain::Three,
        exchanges: &[Exchange {
            request: &[
                (
                    "x-probe-first",
                    "request-headers: set-property first probe.x one",
                ),
                (
                    "x-probe-second",
                    "request-headers: property second filter_state/wasm.probe.x; set-property again probe.x two",
                ),
                (
                    "x-probe-third",
                    "request-headers: property third filter_state/wasm.probe.x",
                ),
            ],
            expect: Expect {
                headers: &[
                    ("first", "ok"),
                    ("second", "one"),
                    ("again", "ok"),
                    ("third", "two"),
                ],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "read_only_filter_state_belongs_to_its_first_writer",
        why: "auth writes the identity record on every request and first: nobody, not even auth, can change it then",
        chain: Chain::Three,
        exchanges: &[Exchange {
            request: &[
                (
                    "x-probe-first",
                    "request-headers: set-property first probe.once one; set-property twice probe.once two",
                ),
                (
                    "x-probe-second",
                    "request-headers: set-property second probe.once three; \
                     property read filter_state/wasm.probe.once",
                ),
            ],
            expect: Expect {
                headers: &[
                    ("first", "ok"),
                    ("twice", "bad argument"),
                    ("second", "bad argument"),
                    ("read", "one"),
                ],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_client_cannot_write_filter_state",
        why: "absent filter state means that no filter wrote it",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[
                ("wasm.probe.x", "forged"),
                (
                    "x-probe-first",
                    "request-headers: property read filter_state/wasm.probe.x",
                ),
            ],
            expect: Expect {
                headers: &[("read", "none")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_body_is_passed_piece_by_piece",
        why: "while body callbacks continue, each is told and sees its own piece: the sizes add up",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[("x-probe-first", "request-body: sum-size sum; end end")],
            body: Body::Chunks(&["first,", "second,", "third"]),
            expect: Expect {
                headers: &[("sum", "18"), ("end", "yes")],
                upstream_body: Some("first,second,third"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "after_pause_a_body_callback_is_told_the_total",
        why: "the size is all that is buffered, and so is what is read: code that adds sizes up counts twice",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-body: last-size last; body seen request; pause | request-trailers: pairs trailers \
                 request-trailers",
            )],
            body: Body::Trailers(&["first,", "second,", "third"]),
            expect: Expect {
                headers: &[
                    ("last", "18"),
                    ("seen", "first,second,third"),
                    ("trailers", "some"),
                ],
                upstream_body: Some("first,second,third"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_body_that_ends_by_trailers_never_says_end_of_stream",
        why: "whoever waits for end_of_stream never finishes: every transcoded answer ends this way",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[("x-probe-first", "request-body: end end; sum-size sum")],
            body: Body::Trailers(&["first,", "second"]),
            expect: Expect {
                headers: &[("end", "no"), ("sum", "12")],
                upstream_body: Some("first,second"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "in_the_trailers_callback_a_body_that_went_on_cannot_be_written",
        why: "set_buffer answers 2 there: bytes that a rewriter held back are lost",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-trailers: append-body append request tail",
            )],
            body: Body::Trailers(&["head,"]),
            expect: Expect {
                headers: &[("append", "bad argument")],
                upstream_body: Some("head,"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "in_the_trailers_callback_a_held_body_can_be_written",
        why: "appending works when the last body callback paused",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-body: pause | request-trailers: append-body append request tail",
            )],
            body: Body::Trailers(&["head,"]),
            expect: Expect {
                headers: &[("append", "ok")],
                upstream_body: Some("head,tail"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "the_same_holds_for_responses",
        why: "a response that ends by trailers can be completed only if its body was held",
        chain: Chain::One,
        exchanges: &[
            Exchange {
                request: &[(
                    "x-probe-first",
                    "response-body: pause | response-trailers: append-body held response tail",
                )],
                response: Body::Trailers(&["head,"]),
                expect: Expect {
                    body: Some("head,tail"),
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "response-trailers: append-body passed response tail",
                )],
                response: Body::Trailers(&["head,"]),
                expect: Expect {
                    body: Some("head,"),
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "a_piece_can_be_replaced",
        why: "a streaming transform writes each piece in its own callback; the length is no longer the declared one",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[("x-probe-first", "response-body: prepend-body b response >")],
            response: Body::Trailers(&["answer"]),
            expect: Expect {
                body: Some(">answer"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "pause_in_headers_holds_the_body_back",
        why: "waiting there for the body is a deadlock; after the request goes on it comes through the same filter",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: pause | tick: copy before sum; continue-request go | \
                 request-body: sum-size sum",
            )],
            body: Body::Chunks(&["held"]),
            expect: Expect {
                headers: &[("before", "none"), ("go", "ok"), ("sum", "4")],
                upstream_body: Some("held"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_paused_request_can_be_edited_from_the_root",
        why: "set_effective_context, an edit and continue work on a tick: so a filter wakes its waiting requests",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: pause | tick: set-header edit request x-edited yes; continue-request go",
            )],
            expect: Expect {
                headers: &[("edit", "ok"), ("go", "ok")],
                upstream_headers: &[("x-edited", "yes")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_queue_wakes_its_vm",
        why: "an item in a queue that a VM has registered makes on_queue_ready run in it: so workers wake each other",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: pause | tick: enqueue queued probe/1 | \
                 queue: set-header edit request x-woken yes; continue-request go",
            )],
            expect: Expect {
                headers: &[("queued", "ok"), ("edit", "ok"), ("go", "ok")],
                upstream_headers: &[("x-woken", "yes")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "clocks_random_numbers_and_metrics_are_there",
        why: "tokens expire, keys for hashing are random, counters count: a host that lacked one would not load the module, \
              or answer with an error",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: clock clock; random random; count count gatehouse.probe.count",
            )],
            expect: Expect {
                headers: &[("clock", "run"), ("random", "differ"), ("count", "ok")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_map_closes_at_continue_not_at_the_end_of_the_callback",
        why: "an edit right after continue_request is refused",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: pause | tick: continue-request go; set-header late request x-late yes",
            )],
            expect: Expect {
                headers: &[("go", "ok"), ("late", "bad argument")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "calls_after_a_gone_context_act_on_the_one_before",
        why: "set_effective_context on a gone stream changes nothing: an edit made all the same lands in the \
              request that was effective before",
        chain: Chain::One,
        exchanges: &[
            Exchange {
                request: &[("x-probe-first", "request-headers: remember")],
                ..GET
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "request-headers: pause | tick: gone gone; set-header edit request x-landed here; \
                     continue-request go",
                )],
                expect: Expect {
                    headers: &[("gone", "gone"), ("edit", "ok"), ("go", "ok")],
                    upstream_headers: &[("x-landed", "here")],
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "a_callout_is_answered_to_its_stream",
        why: "the SDK routes the answer by its token; the paused request goes on from there",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: callout call callee; pause | answer: callout-status status; continue-request go",
            )],
            expect: Expect {
                headers: &[("call", "ok"), ("status", "200"), ("go", "ok")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_callout_to_an_unknown_cluster_fails_at_once",
        why: "the host answers 2 and calls nobody: a request that paused for it would hang",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[("x-probe-first", "request-headers: callout call nowhere")],
            expect: Expect {
                headers: &[("call", "bad argument")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "the_answer_to_a_callout_of_a_gone_stream_reaches_nobody",
        why: "what others wait for is fetched by the root context; the VM survives the answer",
        chain: Chain::One,
        exchanges: &[
            Exchange {
                request: &[
                    ("x-probe-id", "left"),
                    (
                        "x-probe-first",
                        "request-headers: callout call callee; pause | answer: note answered",
                    ),
                ],
                client: Client::Leaves,
                ..GET
            },
            Exchange {
                request: &[("x-probe-first", "request-headers: recall left")],
                expect: Expect {
                    body: Some("call=ok\n"),
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "a_tick_finds_a_gone_stream_gone",
        why: "a waiting list holds streams whose client has left: with_stream makes no call for them",
        chain: Chain::One,
        exchanges: &[
            Exchange {
                request: &[
                    ("x-probe-id", "away"),
                    // The tick comes while the client is still there and does not let the request go on.
                    (
                        "x-probe-first",
                        "request-headers: remember; callout call callee; pause",
                    ),
                ],
                client: Client::Leaves,
                ..GET
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "request-headers: pause | tick: gone gone; continue-request go",
                )],
                expect: Expect {
                    headers: &[("gone", "gone"), ("go", "ok")],
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "an_absent_key_is_written_whatever_the_number",
        why: "compare-and-swap with any number creates the key: only u32::MAX is insert-if-absent that fails later",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[
                ("x-probe-id", "cas-absent"),
                (
                    "x-probe-first",
                    "request-headers: shared-get before k; shared-set stale k if-stale one; shared-get after k; \
                     shared-set again k if-stale two; shared-set insert k if-absent three; shared-get last k",
                ),
            ],
            expect: Expect {
                headers: &[
                    ("before", "absent"),
                    ("stale", "written"),
                    ("after", "one"),
                    ("again", "mismatch"),
                    ("insert", "mismatch"),
                    ("last", "one"),
                ],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_swap_succeeds_once",
        why: "the number changes with every write, so of two writers with the same one the second is refused",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[
                ("x-probe-id", "cas-once"),
                (
                    "x-probe-first",
                    "request-headers: shared-set insert k if-absent one; shared-swap swap k two; shared-get last k; \
                     shared-set always k always three; shared-get end k",
                ),
            ],
            expect: Expect {
                headers: &[
                    ("insert", "written"),
                    ("swap", "Ok(true) Ok(false)"),
                    ("last", "two"),
                    ("always", "written"),
                    ("end", "three"),
                ],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_swap_fails_if_another_worker_was_there_before",
        why: "workers count and elect by compare-and-swap: it must see a write of another worker between read and write",
        chain: Chain::Workers,
        exchanges: &[
            Exchange {
                request: &[
                    ("x-probe-id", "race"),
                    (
                        "x-probe-first",
                        "request-headers: shared-set set k always zero; shared-hold hold k",
                    ),
                ],
                expect: Expect {
                    headers: &[("set", "written"), ("hold", "held")],
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[
                    ("x-probe-id", "race"),
                    (
                        "x-probe-first",
                        "request-headers: shared-hold hold k; shared-late swap k other",
                    ),
                ],
                expect: Expect {
                    headers: &[("hold", "held"), ("swap", "written")],
                    ..SEEN
                },
                ..OTHER
            },
            Exchange {
                request: &[
                    ("x-probe-id", "race"),
                    (
                        "x-probe-first",
                        "request-headers: shared-late swap k mine; shared-get get k",
                    ),
                ],
                expect: Expect {
                    headers: &[("swap", "mismatch"), ("get", "other")],
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "a_queue_wakes_only_the_worker_that_registered_it_last",
        why: "of several workers with one queue all but one sleep on: each registers a name of its own",
        chain: Chain::Workers,
        exchanges: &[
            Exchange {
                request: &[("x-probe-first", "request-headers: register register one")],
                expect: Expect {
                    headers: &[("register", "ok")],
                    ..SEEN
                },
                ..OTHER
            },
            Exchange {
                request: &[("x-probe-first", "request-headers: register register one")],
                expect: Expect {
                    headers: &[("register", "ok")],
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[("x-probe-first", "request-headers: send send first one")],
                expect: Expect {
                    headers: &[("send", "ok")],
                    ..SEEN
                },
                ..OTHER
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "request-headers: pause | tick: woken woken; continue-request go",
                )],
                expect: Expect {
                    headers: &[("woken", "1")],
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "request-headers: pause | tick: woken woken; register register one; send send first one; \
                     continue-request go",
                )],
                expect: Expect {
                    headers: &[("woken", "0"), ("register", "ok"), ("send", "ok")],
                    ..SEEN
                },
                ..OTHER
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "request-headers: pause | tick: woken woken; continue-request go",
                )],
                expect: Expect {
                    headers: &[("woken", "1")],
                    ..SEEN
                },
                ..OTHER
            },
            Exchange {
                request: &[(
                    "x-probe-first",
                    "request-headers: pause | tick: woken woken; continue-request go",
                )],
                expect: Expect {
                    headers: &[("woken", "1")],
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "a_local_reply_passes_its_own_filter",
        why: "the response callbacks run for our own replies too: a transform must leave them alone",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: reply reply 403 no; pause | response-headers: note own",
            )],
            expect: Expect {
                status: 403,
                headers: &[("own", "yes"), ("=cache-control", "no-store")],
                body: Some("no"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "the_first_of_two_local_replies_wins",
        why: "the host says ok to both and sends one, after the callback, whatever the callback returns",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: reply first 401 one; reply second 402 two",
            )],
            expect: Expect {
                status: 401,
                headers: &[("first", "ok"), ("second", "ok")],
                body: Some("one"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_reply_stops_the_filters_behind",
        why: "a denied request is seen by nobody behind auth, and by nobody upstream",
        chain: Chain::Three,
        exchanges: &[Exchange {
            request: &[
                ("x-probe-first", "request-headers: note first"),
                ("x-probe-second", "request-headers: reply reply 403 no"),
                (
                    "x-probe-third",
                    "request-headers: note third | response-headers: note third",
                ),
            ],
            expect: Expect {
                status: 403,
                headers: &[("first", "yes"), ("reply", "ok"), ("third", "")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_reply_from_response_headers_replaces_the_upstreams",
        why: "a filter can refuse a response as long as its headers are here",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "response-headers: reply reply 418 tea; pause",
            )],
            expect: Expect {
                status: 418,
                body: Some("tea"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "grpc_without_a_status_says_unavailable_for_429",
        why: "clients retry that at once: our replies name the status",
        chain: Chain::One,
        exchanges: &[
            Exchange {
                request: &[
                    ("content-type", "application/grpc"),
                    (
                        "x-probe-first",
                        "request-headers: reply reply 429 slow; pause",
                    ),
                ],
                expect: Expect {
                    headers: &[("=grpc-status", "14"), ("=grpc-message", "slow")],
                    body: Some(""),
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[
                    ("content-type", "application/grpc"),
                    (
                        "x-probe-first",
                        "request-headers: reply-exhausted reply 429 slow; pause",
                    ),
                ],
                expect: Expect {
                    headers: &[("=grpc-status", "8"), ("=grpc-message", "slow")],
                    body: Some(""),
                    ..SEEN
                },
                ..GET
            },
        ],
    },
    Fact {
        name: "a_reply_with_a_grpc_status_is_plain_for_rest",
        why: "the host goes by the request's content type: one reply serves both kinds of caller",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[(
                "x-probe-first",
                "request-headers: reply-exhausted reply 429 slow; pause",
            )],
            expect: Expect {
                status: 429,
                headers: &[("=grpc-status", "")],
                body: Some("slow"),
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "the_host_verifies_signatures",
        why: "auth uses verify_signature, after trying it at configure; jwt-simple is the way without",
        chain: Chain::One,
        exchanges: &[Exchange {
            request: &[("x-probe-first", "request-headers: verify verify")],
            expect: Expect {
                headers: &[("verify", "yes")],
                ..SEEN
            },
            ..GET
        }],
    },
    Fact {
        name: "a_trap_fails_its_request_and_the_vm_comes_back",
        why: "FAIL_RELOAD answers 503 for the request at hand, keeps shared data, and loses everything in the VM",
        chain: Chain::One,
        exchanges: &[
            Exchange {
                request: &[
                    ("x-probe-id", "trap"),
                    (
                        "x-probe-first",
                        "request-headers: remember; shared-set set k always kept",
                    ),
                ],
                expect: Expect {
                    headers: &[("set", "written")],
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[("x-probe-first", "request-headers: trap")],
                expect: Expect {
                    status: 503,
                    ..SEEN
                },
                ..GET
            },
            Exchange {
                request: &[
                    ("x-probe-id", "trap"),
                    ("x-probe-first", "request-headers: shared-get get k"),
                ],
                client: Client::WaitsForReload,
                expect: Expect {
                    headers: &[("get", "kept")],
                    ..SEEN
                },
                ..GET
            },
        ],
    },
];
