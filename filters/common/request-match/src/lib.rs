//! The one matching language of all filters: which requests a rule is for.
//!
//! ```
//! use filter_config::{FieldPath, from_value};
//! use http_message::{HeaderMap, RequestHead};
//! use request_match::{MatchConfig, Placement, RequestMatch, Subject, TwinTable};
//! use serde_json::json;
//!
//! let config: MatchConfig = from_value(json!({"path": {"prefix": "/orders"}, "methods": ["GET"]}))?;
//! let matcher = RequestMatch::compile(config, &FieldPath::root().field("match"), Placement { identity: false })?;
//!
//! let twins = TwinTable::default();
//! let head = RequestHead::new(HeaderMap::from_pairs([(":method", "GET"), (":path", "/%6Frders/7")]));
//! let subject = Subject::new(&head, &twins).unwrap();
//! assert!(matcher.matches(&subject));
//! # Ok::<(), filter_config::ConfigError>(())
//! ```
//!
//! Of one match all conditions must hold; of a list in a condition (hosts, methods) one is enough. Rules are tried in order
//! and the first that matches wins ([`Rules`]).
//!
//! Paths are compared in their canonical form, by decoded segments. A path that has none, or an authority of which it is not
//! clear what the host is, makes no subject: [`Subject::new`] fails and the request is answered with 400, before any rule is
//! looked at. So does a request that may become one gRPC method or another.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod ambiguity;
mod caller;
mod config;
mod grpc;
mod header;
mod host;
mod method;
mod mode;
mod one_of;
mod path;
mod path_template;
mod placement;
mod query;
mod request_match;
mod rest_template;
mod rules;
mod subject;
mod template;
mod twin;

pub use ambiguity::Ambiguity;
pub use config::MatchConfig;
pub use host::host_of;
pub use mode::Mode;
pub use path_template::PathTemplate;
pub use placement::Placement;
pub use request_match::RequestMatch;
pub use rules::{Rule, Rules};
pub use subject::Subject;
pub use template::PathParameter;
pub use twin::{TwinConfig, TwinTable};
