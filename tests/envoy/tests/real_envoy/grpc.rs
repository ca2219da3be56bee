//! gRPC through the chain of `envoy/envoy.yaml`: calls of every kind, by gRPC, gRPC-Web and REST; refusals as each kind of
//! caller reads them; and that no way of calling a method evades the rule for it.

mod calls;
mod descriptor;
mod evasion;
mod junk;
mod methods;
mod one_set;
mod refusals;
mod rest;
mod twins;

use envoy_harness::{Gateway, Request, Shared, demo_key, stock};
use prost::Message;

/// The message of a `Get` of an item that there is.
fn get_7() -> Vec<u8> {
    stock::GetRequest { id: "7".into() }.encode_to_vec()
}

/// A key that may read the stock.
pub(crate) fn reader() -> String {
    demo_key("acme-2026")
}

/// A token that may do anything to the stock.
pub(crate) fn writer(gateway: &Gateway) -> String {
    let token = gateway.token("alice").groups(&["staff"]);
    token.scope("stock:read stock:write").sign()
}

/// A token that is good, and may do nothing to the stock.
fn outsider(gateway: &Gateway) -> String {
    gateway.token("bob").scope("profile").sign()
}

/// The shared gateway, if there is an Envoy.
fn gateway() -> Option<Shared> {
    Gateway::shared()
}

/// Whether a replica of the inventory answered: each message of one names it.
pub(crate) fn reached_inventory(body: &[u8]) -> bool {
    body.windows(b"inventory-".len())
        .any(|window| window == b"inventory-")
}

/// Who calls, and how: the same method each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Grpc,
    GrpcWeb,
    GrpcWebText,
    Rest,
}

impl Caller {
    pub(crate) const ALL: [Self; 4] = [Self::Grpc, Self::GrpcWeb, Self::GrpcWebText, Self::Rest];

    /// `inventory.v1.Stock/Get` of item 7.
    pub(crate) fn get_7(self) -> Request {
        const PATH: &str = "/inventory.v1.Stock/Get";
        match self {
            Self::Grpc => Request::grpc(PATH, &get_7()),
            Self::GrpcWeb => Request::grpc_web(PATH, &get_7()),
            Self::GrpcWebText => {
                use base64::Engine;
                let mut request = Request::grpc_web(PATH, &get_7());
                request.body = base64::engine::general_purpose::STANDARD
                    .encode(&request.body)
                    .into_bytes();
                request.headers[0].1 = b"application/grpc-web-text+proto".to_vec();
                request.header("accept", "application/grpc-web-text+proto")
            }
            Self::Rest => Request::get("/stock/7"),
        }
    }
}
