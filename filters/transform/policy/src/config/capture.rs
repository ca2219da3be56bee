//! What is taken out of a body, as it is written and checked.

use std::rc::Rc;
use std::time::Duration;

use filter_config::{BoundedList, ByteSize, ConfigDuration, ConfigError, FieldPath, Name, Text};
use http_message::{HeaderName, same_spelling};
use json_stream::{Limits, MemberPlace, MemberPlaces};
use serde::Deserialize;

use super::headers::{is_read_by_proxies, is_reserved};
use crate::capture::{CaptureRule, Target};
use crate::direction::Direction;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaptureConfig {
    member: Text<1024>,
    header: Option<HeaderName>,
    filter_state: Option<Name>,
    name: Option<Name>,
}

/// What is written beside the list.
#[derive(Debug)]
pub(super) struct CaptureBounds {
    pub(super) max_bytes: Option<ByteSize>,
    pub(super) deadline: Option<ConfigDuration>,
    /// The operator's word that Envoy lets a head wait for its body.
    pub(super) host_allows_stop_iteration: bool,
    /// What cannot be read goes on.
    pub(super) pass: bool,
    /// What the document may have.
    pub(super) limits: Limits,
}

/// What filter state of this filter begins with; readers put `wasm.` before it.
const FILTER_STATE: &str = "gatehouse.transform.";

const NEEDS_THE_HOST: &str = "the head has to wait for the body: set allow_on_headers_stop_iteration: true in Envoy's \
    configuration of this plugin, and then host_allows_stop_iteration: true here";

pub(super) fn compile_capture(
    config: Option<BoundedList<CaptureConfig, 1, 16>>,
    bounds: &CaptureBounds,
    direction: Direction,
    at: &FieldPath,
) -> Result<Option<Rc<CaptureRule>>, ConfigError> {
    let max_bytes = bounded_size(bounds, at)?;
    let deadline = bounded_deadline(bounds, at)?;
    let Some(config) = config else {
        for (field, is_there) in [
            ("capture_max_bytes", bounds.max_bytes.is_some()),
            ("capture_deadline", bounds.deadline.is_some()),
        ] {
            if is_there {
                let reason = "is for members that are captured, and there is no capture here";
                return Err(ConfigError::new(&at.field(field), reason));
            }
        }
        return Ok(None);
    };
    let list_at = at.field("capture");
    let mut places: Vec<MemberPlace> = Vec::new();
    let mut targets: Vec<Target> = Vec::new();
    for (index, one) in config.into_iter().enumerate() {
        let at = list_at.index(index);
        let place = MemberPlace::parse(one.member.as_str())
            .map_err(|error| ConfigError::new(&at.field("member"), error.to_string()))?;
        let known = places.iter().position(|other| *other == place);
        let target = Target {
            place: known.unwrap_or(places.len()),
            header: one.header,
            filter_state: one.filter_state.map(|name| format!("{FILTER_STATE}{name}")),
            name: one.name,
        };
        check_target(&target, &targets, direction, bounds, &at)?;
        targets.push(target);
        if known.is_none() {
            places.push(place);
        }
    }
    let places = MemberPlaces::new(places).ok_or_else(|| {
        ConfigError::new(&list_at, "the paths may have at most 256 levels together")
    })?;
    let holds_head = direction == Direction::Request || targets.iter().any(Target::is_for_the_head);
    Ok(Some(Rc::new(CaptureRule {
        places: places.with_limits(bounds.limits),
        targets,
        max_bytes,
        deadline,
        holds_head,
        pass: bounds.pass,
    })))
}

/// The names that templates have for what is captured.
pub(super) fn names(config: Option<&BoundedList<CaptureConfig, 1, 16>>) -> Vec<String> {
    let names = config.into_iter().flat_map(|list| list.iter());
    let names = names.filter_map(|one| one.name.as_ref());
    names.map(|name| name.as_str().to_owned()).collect()
}

fn check_target(
    target: &Target,
    others: &[Target],
    direction: Direction,
    bounds: &CaptureBounds,
    at: &FieldPath,
) -> Result<(), ConfigError> {
    let Target {
        header,
        filter_state,
        name,
        ..
    } = target;
    if header.is_none() && filter_state.is_none() && name.is_none() {
        return Err(ConfigError::new(
            at,
            "say whom to tell: header, filter_state or name",
        ));
    }
    if !bounds.host_allows_stop_iteration {
        if direction == Direction::Request {
            return Err(ConfigError::new(at, NEEDS_THE_HOST));
        }
        for (field, is_there) in [("header", header.is_some()), ("name", name.is_some())] {
            if is_there {
                return Err(ConfigError::new(&at.field(field), NEEDS_THE_HOST));
            }
        }
    }
    if let Some(header) = header {
        let at = at.field("header");
        if is_reserved(header, direction) {
            return Err(ConfigError::new(
                &at,
                "that header is not for filters to write",
            ));
        }
        if direction == Direction::Request && is_read_by_proxies(header) {
            return Err(ConfigError::new(
                &at,
                "proxies act on that header, and a client would choose its value",
            ));
        }
    }
    let is_same = |one: &Option<HeaderName>, other: &Option<HeaderName>| match (one, other) {
        (Some(one), Some(other)) => same_spelling(one.as_bytes(), other.as_bytes()),
        _ => false,
    };
    for (field, is_taken) in [
        (
            "header",
            others.iter().any(|other| is_same(header, &other.header)),
        ),
        (
            "filter_state",
            filter_state.is_some()
                && others
                    .iter()
                    .any(|other| other.filter_state == *filter_state),
        ),
        (
            "name",
            name.is_some() && others.iter().any(|other| other.name == *name),
        ),
    ] {
        if is_taken {
            let reason = "another member is captured under this name";
            return Err(ConfigError::new(&at.field(field), reason));
        }
    }
    Ok(())
}

fn bounded_size(bounds: &CaptureBounds, at: &FieldPath) -> Result<usize, ConfigError> {
    const DEFAULT: ByteSize = ByteSize::new(64 << 10);
    let bytes = bounds.max_bytes.unwrap_or(DEFAULT).get();
    match usize::try_from(bytes) {
        Ok(bytes) if (1..=512 << 10).contains(&bytes) => Ok(bytes),
        _ => Err(ConfigError::new(
            &at.field("capture_max_bytes"),
            "expected 1B to 512KiB: Envoy holds the body meanwhile",
        )),
    }
}

fn bounded_deadline(bounds: &CaptureBounds, at: &FieldPath) -> Result<Duration, ConfigError> {
    const DEFAULT: ConfigDuration = ConfigDuration::from_millis(5000);
    const LEAST: ConfigDuration = ConfigDuration::from_millis(100);
    const MOST: ConfigDuration = ConfigDuration::from_millis(60_000);
    let deadline = bounds.deadline.unwrap_or(DEFAULT);
    if (LEAST..=MOST).contains(&deadline) {
        return Ok(deadline.get());
    }
    Err(ConfigError::new(
        &at.field("capture_deadline"),
        "expected 100ms to 1m",
    ))
}

impl Target {
    /// Whether it is told before the head goes on.
    fn is_for_the_head(&self) -> bool {
        self.header.is_some() || self.name.is_some()
    }
}
