//! Any bytes as a `FileDescriptorSet`: what is read of it is what prost reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use grpc_descriptor::{Descriptor, MethodKind};
use http_message::{HeaderMap, RequestHead};
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use routing_policy::{Facts, Policy, Reason, Step};

/// # Panics
/// A method is read that prost does not read, or one that it reads is missing; or a call of one is undeclared.
pub fn run(input: &[u8]) {
    let Ok(descriptor) = Descriptor::parse(input) else {
        return;
    };
    let found: Vec<_> = descriptor
        .methods()
        .iter()
        .map(|method| (method.service.clone(), method.name.clone(), method.kind))
        .collect();
    // It reads all of a set, and so refuses more.
    if let Ok(set) = FileDescriptorSet::decode(input) {
        assert_eq!(found, read(&set));
    }
    let config = format!(
        r#"{{"version":1,"grpc":{{"undeclared":"refuse","descriptor_set":"{}"}}}}"#,
        STANDARD.encode(input)
    );
    // Refused where an HTTP rule is none.
    let Ok(policy) = Policy::from_bytes(config.as_bytes()) else {
        return;
    };
    for (service, method, _) in found.iter().take(16) {
        let path = format!("/{service}/{method}");
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":method", "POST"),
            (":path", path.as_str()),
            ("content-type", "application/grpc"),
        ]));
        if let Step::Reply(_, reason) = policy.decide(&head, &Facts::default()) {
            // Names that no path can have are no methods.
            let named = http_message::GrpcMethod::new(service, method).is_some();
            assert!(!named || reason != Reason::UndeclaredMethod, "{path}");
        }
    }
}

fn read(set: &FileDescriptorSet) -> Vec<(String, String, MethodKind)> {
    let mut found = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            for method in &service.method {
                let kind = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => MethodKind::Unary,
                    (true, false) => MethodKind::ClientStreaming,
                    (false, true) => MethodKind::ServerStreaming,
                    (true, true) => MethodKind::BidiStreaming,
                };
                found.push((name.clone(), method.name().to_owned(), kind));
            }
        }
    }
    found
}

/// One as compilers write it, with an HTTP rule that has another inside it, and one without anything.
pub fn seeds() -> Vec<Vec<u8>> {
    let method = |name: &str, client: bool, server: bool| MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(".a.In".into()),
        output_type: Some(".a.Out".into()),
        client_streaming: client.then_some(true),
        server_streaming: server.then_some(true),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Stock".into()),
        method: vec![
            method("Get", false, false),
            method("Put", true, false),
            method("Watch", false, true),
            method("Talk", true, true),
        ],
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("stock.proto".into()),
        package: Some("inventory.v1".into()),
        service: vec![service.clone()],
        ..FileDescriptorProto::default()
    };
    let bare = FileDescriptorProto {
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    // Field 72295728 of the options: `GET /v1/stock/{id}`, and `POST /v1/stock` in addition.
    let rule = b"\x12\x0e/v1/stock/{id}\x5a\x0b\x22\x09/v1/stock";
    let option = [&[0x82, 0xd3, 0xe4, 0x93, 0x02, 29][..], rule].concat();
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let method = [field(1, b"Get"), field(4, &option)].concat();
    let service = [field(1, b"Stock"), field(2, &method)].concat();
    let with_rule = field(1, &[field(2, b"inventory.v1"), field(6, &service)].concat());
    vec![
        FileDescriptorSet {
            file: vec![file.clone(), bare],
        }
        .encode_to_vec(),
        FileDescriptorSet { file: vec![file] }.encode_to_vec(),
        with_rule,
    ]
}
