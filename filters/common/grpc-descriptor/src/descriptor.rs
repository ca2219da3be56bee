//! The methods of a set of files.

use thiserror::Error;

use crate::http_rule::{self, HttpRule};
use crate::wire::{self, Field, Fields};

/// What a set of files declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor(Vec<Method>);

/// A method of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The full name of its service: `inventory.v1.Stock`.
    pub service: String,
    /// Its name: `Get`.
    pub name: String,
    /// Which sides stream.
    pub kind: MethodKind,
    /// Its REST forms.
    pub http: Vec<HttpRule>,
}

/// How many messages a call has each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// One and one.
    Unary,
    /// Many and one.
    ClientStreaming,
    /// One and many.
    ServerStreaming,
    /// Many and many.
    BidiStreaming,
}

/// Why bytes are no descriptor set that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidDescriptor {
    /// Not the wire form of a `FileDescriptorSet`.
    #[error("not a serialized google.protobuf.FileDescriptorSet")]
    Malformed,
    /// More methods than [`Descriptor::MAX_METHODS`].
    #[error("more than 2048 methods")]
    TooManyMethods,
    /// A service that is declared twice, or a method of it.
    #[error("a method is declared twice")]
    Repeated,
    /// `additional_bindings` inside `additional_bindings`, which `google/api/http.proto` forbids.
    #[error("additional_bindings inside additional_bindings")]
    NestedBindings,
}

/// The number of the extension `google.api.http` of `MethodOptions`.
const HTTP: u64 = 72_295_728;

impl Descriptor {
    /// The most methods in a set.
    pub const MAX_METHODS: usize = 2048;

    /// Reads a serialized `google.protobuf.FileDescriptorSet`. Work and memory are linear in its length.
    ///
    /// # Errors
    /// Bytes that are none, or that declare a method twice.
    pub fn parse(bytes: &[u8]) -> Result<Descriptor, InvalidDescriptor> {
        let mut methods = Vec::new();
        for field in Fields::of(bytes) {
            let field = field?;
            if field.number == 1 {
                read_file(field, &mut methods)?;
            }
        }
        // In order, by insertion: a module weighs less without a sort of its own.
        let mut names: Vec<&Method> = Vec::with_capacity(methods.len());
        for method in &methods {
            let name = (&method.service, &method.name);
            match names.binary_search_by(|other| (&other.service, &other.name).cmp(&name)) {
                Ok(_) => return Err(InvalidDescriptor::Repeated),
                Err(place) => names.insert(place, method),
            }
        }
        Ok(Descriptor(methods))
    }

    /// Every method, in the order of the files.
    pub fn methods(&self) -> &[Method] {
        &self.0
    }
}

impl MethodKind {
    /// `unary`, `client_streaming`, `server_streaming` or `bidi_streaming`.
    pub const fn name(self) -> &'static str {
        match self {
            MethodKind::Unary => "unary",
            MethodKind::ClientStreaming => "client_streaming",
            MethodKind::ServerStreaming => "server_streaming",
            MethodKind::BidiStreaming => "bidi_streaming",
        }
    }

    const fn of(client: bool, server: bool) -> MethodKind {
        match (client, server) {
            (false, false) => MethodKind::Unary,
            (true, false) => MethodKind::ClientStreaming,
            (false, true) => MethodKind::ServerStreaming,
            (true, true) => MethodKind::BidiStreaming,
        }
    }
}

fn read_file(field: Field<'_>, methods: &mut Vec<Method>) -> Result<(), InvalidDescriptor> {
    let mut package = String::new();
    let mut services = Vec::new();
    for field in wire::message(field.value)? {
        let field = field?;
        match field.number {
            2 => package = wire::text(field.value)?,
            6 => services.push(field),
            _ => {}
        }
    }
    services
        .into_iter()
        .try_for_each(|service| read_service(service, &package, methods))
}

fn read_service(
    field: Field<'_>,
    package: &str,
    methods: &mut Vec<Method>,
) -> Result<(), InvalidDescriptor> {
    let mut name = String::new();
    let mut found = Vec::new();
    for field in wire::message(field.value)? {
        let field = field?;
        match field.number {
            1 => name = wire::text(field.value)?,
            2 => found.push(field),
            _ => {}
        }
    }
    let service = match package {
        "" => name,
        package => format!("{package}.{name}"),
    };
    for method in found {
        if methods.len() >= Descriptor::MAX_METHODS {
            return Err(InvalidDescriptor::TooManyMethods);
        }
        methods.push(read_method(method, &service)?);
    }
    Ok(())
}

fn read_method(field: Field<'_>, service: &str) -> Result<Method, InvalidDescriptor> {
    let mut name = String::new();
    let (mut client, mut server) = (false, false);
    let mut http = Vec::new();
    for field in wire::message(field.value)? {
        let field = field?;
        match field.number {
            1 => name = wire::text(field.value)?,
            4 => {
                for option in wire::message(field.value)? {
                    let option = option?;
                    if option.number == HTTP {
                        http_rule::read(wire::message(option.value)?, &mut http, false)?;
                    }
                }
            }
            5 => client = wire::flag(field.value)?,
            6 => server = wire::flag(field.value)?,
            _ => {}
        }
    }
    Ok(Method {
        service: service.to_owned(),
        name,
        kind: MethodKind::of(client, server),
        http,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use prost_types::{
        FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    };

    use super::*;

    fn method(name: &str, client: bool, server: bool) -> MethodDescriptorProto {
        MethodDescriptorProto {
            name: Some(name.to_owned()),
            input_type: Some(".a.In".to_owned()),
            output_type: Some(".a.Out".to_owned()),
            client_streaming: Some(client),
            server_streaming: Some(server),
            options: None,
        }
    }

    fn set(package: &str, services: &[(&str, Vec<MethodDescriptorProto>)]) -> Vec<u8> {
        let service = services
            .iter()
            .map(|(name, methods)| ServiceDescriptorProto {
                name: Some((*name).to_owned()),
                method: methods.clone(),
                options: None,
            })
            .collect();
        let file = FileDescriptorProto {
            name: Some("a.proto".to_owned()),
            package: Some(package.to_owned()),
            service,
            ..FileDescriptorProto::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    /// A field of a message: its number and its bytes.
    fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for mut value in [number << 3 | 2, bytes.len() as u64] {
            while value >= 0x80 {
                out.push((value & 0x7f) as u8 | 0x80);
                value >>= 7;
            }
            out.push(value as u8);
        }
        out.extend_from_slice(bytes);
        out
    }

    // prost knows no extensions, so the options of a method are written by hand.
    fn with_options(options: &[u8]) -> Vec<u8> {
        let method = [field(1, b"Get"), field(4, options)].concat();
        let service = [field(1, b"Stock"), field(2, &method)].concat();
        field(1, &[field(2, b"inventory.v1"), field(6, &service)].concat())
    }

    #[test]
    fn services_methods_and_kinds_are_read() {
        let bytes = set(
            "inventory.v1",
            &[
                (
                    "Stock",
                    vec![method("Get", false, false), method("Watch", false, true)],
                ),
                (
                    "Feed",
                    vec![method("Put", true, false), method("Sync", true, true)],
                ),
            ],
        );
        let descriptor = Descriptor::parse(&bytes).unwrap();
        let found: Vec<_> = descriptor
            .methods()
            .iter()
            .map(|method| {
                (
                    method.service.as_str(),
                    method.name.as_str(),
                    method.kind.name(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("inventory.v1.Stock", "Get", "unary"),
                ("inventory.v1.Stock", "Watch", "server_streaming"),
                ("inventory.v1.Feed", "Put", "client_streaming"),
                ("inventory.v1.Feed", "Sync", "bidi_streaming"),
            ]
        );
        let bare = Descriptor::parse(&set("", &[("Stock", vec![method("Get", false, false)])]));
        assert_eq!(bare.unwrap().methods()[0].service, "Stock");
    }

    #[test]
    fn http_rules_and_their_bindings_are_read() {
        let custom = [field(1, b"BREW"), field(2, b"/v1/tea")].concat();
        let rule = [
            field(2, b"/v1/stock/{id}"),
            field(7, b"*"),
            field(11, &field(4, b"/v1/stock:get")),
            field(11, &field(8, &custom)),
        ]
        .concat();
        // An option that comes in two parts is one, and others are passed over.
        let options = [field(33, b"x"), field(HTTP, &rule), field(99_999, b"y")].concat();
        let descriptor = Descriptor::parse(&with_options(&options)).unwrap();
        let rules: Vec<_> = descriptor.methods()[0]
            .http
            .iter()
            .map(|rule| (rule.method.as_str(), rule.template.as_str()))
            .collect();
        assert_eq!(
            rules,
            [
                ("GET", "/v1/stock/{id}"),
                ("POST", "/v1/stock:get"),
                ("BREW", "/v1/tea")
            ]
        );
        let nested = field(HTTP, &field(11, &field(11, b"")));
        assert_eq!(
            Descriptor::parse(&with_options(&nested)),
            Err(InvalidDescriptor::NestedBindings)
        );
    }

    #[test]
    fn what_is_no_descriptor_is_refused() {
        let good = set("a", &[("B", vec![method("C", false, false)])]);
        let mut cut = good.clone();
        cut.pop();
        for bytes in [
            &cut[..],
            b"\x0a",
            b"\x0a\x05",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x0b",
            b"\x02\x00",
            b"\x08\x01",
            b"not a descriptor set",
        ] {
            assert_eq!(
                Descriptor::parse(bytes),
                Err(InvalidDescriptor::Malformed),
                "{bytes:?}"
            );
        }
        assert_eq!(
            Descriptor::parse(&[good.clone(), good.clone()].concat()),
            Err(InvalidDescriptor::Repeated)
        );
        assert!(Descriptor::parse(&good).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

        // A configuration is refused, never a panic.
        #[test]
        fn any_bytes_are_a_descriptor_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = Descriptor::parse(&bytes);
        }

        // Nor is there one for what nearly is a descriptor.
        #[test]
        fn a_damaged_descriptor_is_read_or_refused(at in 0usize..200, byte: u8, cut in 0usize..200) {
            let mut bytes = set("inventory.v1", &[
                ("Stock", vec![method("Get", false, false), method("Watch", false, true)]),
            ]);
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = Descriptor::parse(&bytes);
        }

        // What prost writes is what is read.
        #[test]
        fn names_and_kinds_come_back(
            names in proptest::collection::btree_set("[A-Z][a-z0-9]{0,6}", 1..6),
            client: bool,
            server: bool,
        ) {
            let methods: Vec<_> = names.iter().map(|name| method(name, client, server)).collect();
            let descriptor = Descriptor::parse(&set("p.v1", &[("S", methods)])).unwrap();
            let found: Vec<_> = descriptor.methods().iter().map(|method| method.name.clone()).collect();
            prop_assert_eq!(found, names.into_iter().collect::<Vec<_>>());
            prop_assert!(descriptor.methods().iter().all(|method| method.kind == MethodKind::of(client, server)));
        }
    }
}
