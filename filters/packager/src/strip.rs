//! Removes what a module does not use.

use std::collections::BTreeSet;

use walrus::ModuleConfig;

use crate::callback::{OPTIONAL, REQUIRED};

/// Why a module was not stripped.
#[derive(Debug, thiserror::Error)]
pub enum StripError {
    /// It cannot be read.
    #[error("it is no Wasm module: {0}")]
    Unreadable(String),
    /// It exports what is neither needed nor a callback that is known here.
    #[error(
        "the export {0} is unknown; filters/packager/src/callback.rs says which may be stripped"
    )]
    UnknownExport(String),
    /// A callback that a source implements is not exported, so that Envoy would never call it.
    #[error("a source implements {0}, which the module does not export")]
    MissingCallback(&'static str),
}

/// The module without the callbacks that are not in `callbacks`, without what only they reach, and without notes on how it
/// was built. Names of functions stay, until the functions are in their order. The same bytes for the same module.
///
/// # Errors
/// See [`StripError`]; nothing is stripped by guess.
pub fn strip(module: &[u8], callbacks: &BTreeSet<&'static str>) -> Result<Vec<u8>, StripError> {
    let mut config = ModuleConfig::new();
    config.generate_producers_section(false);
    let mut module = config
        .parse(module)
        .map_err(|error| StripError::Unreadable(format!("{error:#}")))?;

    let mut unused = Vec::new();
    let mut kept = BTreeSet::new();
    for export in module.exports.iter() {
        let name = export.name.as_str();
        if REQUIRED.contains(&name) {
            continue;
        }
        match OPTIONAL.iter().find(|callback| callback.export == name) {
            Some(callback) if callbacks.contains(callback.export) => {
                kept.insert(callback.export);
            }
            Some(_) => unused.push(export.id()),
            None => return Err(StripError::UnknownExport(name.to_owned())),
        }
    }
    if let Some(missing) = callbacks.difference(&kept).next() {
        return Err(StripError::MissingCallback(missing));
    }
    for export in unused {
        module.exports.delete(export);
    }
    // The linker's notes (target_features) describe what it took, not what is left.
    let notes: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for note in notes {
        module.customs.delete(note);
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outline;

    /// A module that exports what every module does, and of the rest what a test adds.
    fn module(more: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
                (import "env" "proxy_done" (func $done (result i32)))
                (memory (export "memory") 1)
                (func $nothing)
                (func $only_for_the_body (result i32) call $done)
                (export "_initialize" (func $nothing))
                (export "proxy_abi_version_0_2_1" (func $nothing))
                (export "proxy_on_configure" (func $nothing))
                (export "proxy_on_context_create" (func $nothing))
                (export "proxy_on_delete" (func $nothing))
                (export "proxy_on_memory_allocate" (func $nothing))
                (export "proxy_on_vm_start" (func $nothing))
                (func (export "proxy_on_request_headers") (result i32)
                    i32.const 0 i32.const 0 i32.const 0 call $log)
                (func (export "proxy_on_request_body") (result i32) call $only_for_the_body)
                {more})"#
        );
        wat::parse_str(text).unwrap()
    }

    fn only_headers() -> BTreeSet<&'static str> {
        BTreeSet::from(["proxy_on_request_headers"])
    }

    // The callback goes, and with it what it alone reached, host calls included.
    #[test]
    fn what_only_a_stripped_callback_reaches_goes_with_it() {
        let stripped = Outline::of(&strip(&module(""), &only_headers()).unwrap()).unwrap();
        stripped.check().unwrap();
        assert!(stripped.exports.contains("proxy_on_request_headers"));
        assert!(!stripped.exports.contains("proxy_on_request_body"));
        let imports: Vec<_> = stripped.imports.iter().map(|(_, name)| name).collect();
        assert_eq!(imports, ["proxy_log"]);

        let both = BTreeSet::from(["proxy_on_request_headers", "proxy_on_request_body"]);
        let kept = Outline::of(&strip(&module(""), &both).unwrap()).unwrap();
        assert_eq!(kept.exports.len(), stripped.exports.len() + 1);
        assert_eq!(kept.imports.len(), 2);
    }

    // A function that is reached through the table alone, as every method of a context is, must stay.
    #[test]
    fn what_is_called_through_the_table_stays() {
        let module = module(
            r#"(table 1 funcref) (elem (i32.const 0) $method) (func $method (result i32) i32.const 4711)
               (func (export "proxy_on_tick") (drop (call_indirect (result i32) (i32.const 0))))"#,
        );
        let callbacks = BTreeSet::from(["proxy_on_request_headers", "proxy_on_tick"]);
        let stripped = strip(&module, &callbacks).unwrap();
        let constant = [0x41, 0xe7, 0x24];
        assert!(stripped.windows(3).any(|bytes| bytes == constant));
    }

    #[test]
    fn nothing_is_stripped_by_guess() {
        let unknown = module(r#"(export "proxy_on_something_new" (func $nothing))"#);
        let refused = strip(&unknown, &only_headers()).unwrap_err().to_string();
        assert!(refused.contains("proxy_on_something_new"), "{refused}");

        let trailers = BTreeSet::from(["proxy_on_request_trailers"]);
        let refused = strip(&module(""), &trailers).unwrap_err().to_string();
        assert!(refused.contains("proxy_on_request_trailers"), "{refused}");

        assert!(matches!(
            strip(b"\0asm", &only_headers()),
            Err(StripError::Unreadable(_))
        ));
        assert!(strip(&module(""), &only_headers()).is_ok());
    }

    // Two builds of one commit must have one checksum.
    #[test]
    fn the_same_module_becomes_the_same_bytes() {
        let once = strip(&module(""), &only_headers()).unwrap();
        assert_eq!(once, strip(&module(""), &only_headers()).unwrap());
        assert_eq!(once, strip(&once, &only_headers()).unwrap());
    }
}
