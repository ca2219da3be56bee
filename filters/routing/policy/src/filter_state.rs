//! The names under which filter state carries what headers do: without the `wasm.` that the host puts in front.

/// Filter state that carries the version.
pub const STATE_API_VERSION: &str = "gatehouse.api_version";
/// Filter state that carries the full name of the gRPC service.
pub const STATE_GRPC_SERVICE: &str = "gatehouse.grpc_service";
/// Filter state that carries the name of the gRPC method.
pub const STATE_GRPC_METHOD: &str = "gatehouse.grpc_method";
/// Filter state that carries the package of the gRPC service.
pub const STATE_GRPC_PACKAGE: &str = "gatehouse.grpc_package";
/// Filter state that carries which sides of the gRPC method stream.
pub const STATE_GRPC_KIND: &str = "gatehouse.grpc_kind";
/// Filter state that carries the target.
pub const STATE_TARGET: &str = "gatehouse.target";
/// Filter state that carries the name of the experiment.
pub const STATE_EXPERIMENT: &str = "gatehouse.experiment";
/// Filter state that carries the group of the caller in it.
pub const STATE_GROUP: &str = "gatehouse.group";
/// Filter state that carries the protocol of the client.
pub const STATE_PROTOCOL: &str = "gatehouse.protocol";
