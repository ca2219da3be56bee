//! Everything that routing counts: a closed list, so that no client chooses the name of a statistic.

/// A counter. Envoy shows it as `wasmcustom.<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Forwarded; the request named a version.
    Versioned,
    /// Forwarded with the default version.
    Defaulted,
    /// Forwarded; the version named is not served, and the nearest older one is.
    FellBack,
    /// Forwarded with a version on its way out.
    Deprecated,
    /// Forwarded as a call of a gRPC service and method.
    Grpc,
    /// Forwarded; a gRPC request whose path is not `/service/method`.
    GrpcUnnamed,
    /// Forwarded with a target that a rule names.
    Targeted,
    /// Forwarded as a member of a group.
    Grouped,
    /// Forwarded in the first group, since nothing tells the caller from others.
    GroupedUnknown,
    /// Forwarded; a target or a group that its mode `shadow` kept from being written.
    ShadowLabelled,
    /// Forwarded; the route says something for itself that cannot be taken.
    BadOverride,
    /// Refused: the version named is not served.
    UnknownVersion,
    /// Refused: the version named is no longer served.
    RetiredVersion,
    /// Refused: the path would lead to where the request may not go.
    PathNotAllowed,
    /// Refused: the request does not name one version.
    AmbiguousVersion,
    /// Refused: the path can be read in two ways.
    AmbiguousPath,
    /// Refused: the host or the gRPC method can be read in two ways.
    AmbiguousRequest,
    /// Refused: the gRPC method is declared nowhere, or closed.
    UndeclaredMethod,
    /// Refused: the caller lacks what the method asks for.
    MethodNotPermitted,
    /// Refused: the timeout of the call cannot be read.
    MalformedTimeout,
    /// Refused: the client waits no longer.
    Expired,
    /// Ended: the upstream has not answered a bridged call in its time.
    TimedOut,
    /// Refused: the record of the caller cannot be read.
    MalformedIdentity,
    /// Would have been refused in mode `enforce`.
    ShadowRefused,
    /// Refused: the host did not do what was asked of it.
    Internal,
}

impl Counter {
    /// Every counter, in the order of declaration.
    pub const ALL: [Counter; 25] = [
        Counter::Versioned,
        Counter::Defaulted,
        Counter::FellBack,
        Counter::Deprecated,
        Counter::Grpc,
        Counter::GrpcUnnamed,
        Counter::Targeted,
        Counter::Grouped,
        Counter::GroupedUnknown,
        Counter::ShadowLabelled,
        Counter::BadOverride,
        Counter::UnknownVersion,
        Counter::RetiredVersion,
        Counter::PathNotAllowed,
        Counter::AmbiguousVersion,
        Counter::AmbiguousPath,
        Counter::AmbiguousRequest,
        Counter::UndeclaredMethod,
        Counter::MethodNotPermitted,
        Counter::MalformedTimeout,
        Counter::Expired,
        Counter::TimedOut,
        Counter::MalformedIdentity,
        Counter::ShadowRefused,
        Counter::Internal,
    ];

    /// The name that is given to the host.
    pub const fn name(self) -> &'static str {
        match self {
            Counter::Versioned => "gatehouse.routing.versioned",
            Counter::Defaulted => "gatehouse.routing.defaulted",
            Counter::FellBack => "gatehouse.routing.fell_back",
            Counter::Deprecated => "gatehouse.routing.deprecated",
            Counter::Grpc => "gatehouse.routing.grpc",
            Counter::GrpcUnnamed => "gatehouse.routing.grpc_unnamed",
            Counter::Targeted => "gatehouse.routing.targeted",
            Counter::Grouped => "gatehouse.routing.grouped",
            Counter::GroupedUnknown => "gatehouse.routing.grouped_unknown",
            Counter::ShadowLabelled => "gatehouse.routing.shadow_labelled",
            Counter::BadOverride => "gatehouse.routing.bad_override",
            Counter::UnknownVersion => "gatehouse.routing.unknown_version",
            Counter::RetiredVersion => "gatehouse.routing.retired_version",
            Counter::PathNotAllowed => "gatehouse.routing.path_not_allowed",
            Counter::AmbiguousVersion => "gatehouse.routing.ambiguous_version",
            Counter::AmbiguousPath => "gatehouse.routing.ambiguous_path",
            Counter::AmbiguousRequest => "gatehouse.routing.ambiguous_request",
            Counter::UndeclaredMethod => "gatehouse.routing.undeclared_method",
            Counter::MethodNotPermitted => "gatehouse.routing.method_not_permitted",
            Counter::MalformedTimeout => "gatehouse.routing.malformed_timeout",
            Counter::Expired => "gatehouse.routing.expired",
            Counter::TimedOut => "gatehouse.routing.timed_out",
            Counter::MalformedIdentity => "gatehouse.routing.malformed_identity",
            Counter::ShadowRefused => "gatehouse.routing.shadow_refused",
            Counter::Internal => "gatehouse.routing.internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The adapter keeps its metric ids by the place in ALL: one out of order would count as its neighbour.
    #[test]
    fn the_list_is_in_the_order_of_declaration() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, place);
        }
    }
}
