//! Envoy's foreign functions, as far as our filters use them.

use std::collections::BTreeMap;

use crate::host::locked;
use crate::properties::Declaration;
use crate::status::Status;
use crate::verify::verify;
use crate::vm::VmState;

/// Filter-state objects that Envoy has a factory for.
const ENVOY_OBJECTS: [&str; 4] = [
    "envoy.string",
    "envoy.hashable_string",
    "envoy.network.upstream_server_name",
    "envoy.ratelimit.hits_addend",
];

/// Calls the function; its result, if it has one, is a serialized message.
pub(crate) fn call(vm: &VmState, name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    if locked(&vm.host.settings).missing_functions.contains(name) {
        return Err(Status::NotFound);
    }
    match name {
        "clear_route_cache" => clear_route_cache(vm),
        "declare_property" => declare_property(vm, arguments),
        "set_envoy_filter_state" => set_envoy_filter_state(vm, arguments),
        "verify_signature" => verify_signature(arguments),
        _ => Err(Status::NotFound),
    }
}

fn clear_route_cache(vm: &VmState) -> Result<Vec<u8>, Status> {
    let Some((stream, _)) = locked(&vm.data).stream() else {
        return Err(Status::BadArgument);
    };
    locked(&stream.data).route.clear();
    Ok(Vec::new())
}

/// A name is declared once for each root context.
fn declare_property(vm: &VmState, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = Fields::parse(arguments).ok_or(Status::BadArgument)?;
    let name = arguments.text(1);
    let declaration = Declaration {
        read_only: arguments.number(2) != 0,
    };
    let mut data = locked(&vm.data);
    let root = data.root().ok_or(Status::BadArgument)?;
    if root.declared.contains_key(&name) {
        return Err(Status::BadArgument);
    }
    root.declared.insert(name, declaration);
    Ok(Vec::new())
}

fn set_envoy_filter_state(vm: &VmState, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = Fields::parse(arguments).ok_or(Status::BadArgument)?;
    let key = arguments.text(1);
    if !ENVOY_OBJECTS.contains(&key.as_str()) {
        return Err(Status::NotFound);
    }
    let Some((stream, _)) = locked(&vm.data).stream() else {
        return Err(Status::NotFound);
    };
    let value = arguments.bytes(2).to_owned();
    locked(&stream.data).filter_state.insert(key, value);
    Ok(Vec::new())
}

fn verify_signature(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let arguments = Fields::parse(arguments).ok_or(Status::BadArgument)?;
    let (key, signature, text) = (arguments.bytes(2), arguments.bytes(3), arguments.bytes(4));
    match verify(&arguments.text(1), key, signature, text) {
        Some(true) => Ok(b"\x08\x01".to_vec()),
        Some(false) => Ok(b"\x12\x06failed".to_vec()),
        None => Err(Status::BadArgument),
    }
}

/// The fields of a protobuf message, each with its last value.
struct Fields<'a> {
    bytes: BTreeMap<u64, &'a [u8]>,
    numbers: BTreeMap<u64, u64>,
}

impl<'a> Fields<'a> {
    fn parse(mut message: &'a [u8]) -> Option<Fields<'a>> {
        let mut fields = Fields {
            bytes: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        while !message.is_empty() {
            let key = varint(&mut message)?;
            let value = varint(&mut message)?;
            match key & 7 {
                0 => {
                    fields.numbers.insert(key >> 3, value);
                }
                2 => {
                    let (bytes, rest) = message.split_at_checked(usize::try_from(value).ok()?)?;
                    message = rest;
                    fields.bytes.insert(key >> 3, bytes);
                }
                _ => return None,
            }
        }
        Some(fields)
    }

    fn bytes(&self, field: u64) -> &'a [u8] {
        self.bytes.get(&field).copied().unwrap_or_default()
    }

    fn text(&self, field: u64) -> String {
        String::from_utf8_lossy(self.bytes(field)).into_owned()
    }

    fn number(&self, field: u64) -> u64 {
        self.numbers.get(&field).copied().unwrap_or(0)
    }
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}
