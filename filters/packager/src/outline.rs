//! What of a module concerns its host.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::callback::REQUIRED;
use crate::host_function::is_offered;

/// What a module may weigh, in bytes: 700 KiB. Every worker of an Envoy compiles it, and Istio's agents fetch it.
pub const MAX_MODULE_BYTES: usize = 700 * 1024;

/// The size, the imports and the exports of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Bytes.
    pub size: usize,
    /// Names of all exports.
    pub exports: BTreeSet<String>,
    /// Module and name of all imports.
    pub imports: BTreeSet<(String, String)>,
}

/// Why a module must not be shipped.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is no valid module in the WebAssembly 2.0 that Envoy's V8 takes.
    #[error("not a module that Envoy takes: {0}")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// It lacks an export without which a filter does not live.
    #[error("the export {0} is missing")]
    MissingExport(&'static str),
    /// It imports what Envoy does not have or refuses.
    #[error("it imports {0}.{1}, which Envoy does not offer to a filter")]
    UnknownImport(String, String),
}

impl Outline {
    /// Reads and validates a module.
    ///
    /// # Errors
    /// It is not valid.
    pub fn of(module: &[u8]) -> Result<Self, Fault> {
        Validator::new_with_features(WasmFeatures::WASM2).validate_all(module)?;
        let mut outline = Self {
            size: module.len(),
            ..Self::default()
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        outline
                            .imports
                            .insert((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        outline.exports.insert(export?.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// Refuses what Envoy would not load or would not serve.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), Fault> {
        if let Some(missing) = REQUIRED.iter().find(|name| !self.exports.contains(**name)) {
            return Err(Fault::MissingExport(missing));
        }
        let unknown = |(module, name): &&(String, String)| !is_offered(module, name);
        if let Some((module, name)) = self.imports.iter().find(unknown) {
            return Err(Fault::UnknownImport(module.clone(), name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(imports: &[(&str, &str)], without: &str) -> Outline {
        let own = |text: &&str| (*text).to_owned();
        Outline {
            size: 0,
            exports: REQUIRED
                .iter()
                .filter(|name| **name != without)
                .map(own)
                .collect(),
            imports: imports
                .iter()
                .map(|(module, name)| (own(module), own(name)))
                .collect(),
        }
    }

    // Envoy answers 503 to everything where it cannot link a module, and keeps streams for ever without a delete.
    #[test]
    fn what_envoy_would_not_load_or_would_leak_is_refused() {
        for import in [
            ("wasi_snapshot_preview1", "path_open"),
            ("wasi_snapshot_preview1", "sock_accept"),
            ("env", "proxy_continue_request"),
            ("env", "abort"),
            ("wbg", "proxy_log"),
        ] {
            assert!(outline(&[import], "").check().is_err(), "{import:?}");
        }
        for export in REQUIRED {
            assert!(outline(&[], export).check().is_err(), "{export}");
        }
        let taken = [
            ("env", "proxy_log"),
            ("wasi_snapshot_preview1", "random_get"),
        ];
        outline(&taken, "").check().unwrap();
    }

    // Threads, wide memories and the like are valid for some hosts, not for this one.
    #[test]
    fn what_this_host_does_not_take_is_invalid() {
        for text in [
            "(module (memory i64 1))",
            "(module (memory 1 1 shared))",
            "(module (memory 1) (memory 1))",
            "(module (func (result i32)))",
        ] {
            assert!(
                Outline::of(&wat::parse_str(text).unwrap()).is_err(),
                "{text}"
            );
        }
        let taken = "(module (memory 1) (func (drop (i32.trunc_sat_f64_s (f64.const 1)))))";
        Outline::of(&wat::parse_str(taken).unwrap()).unwrap();
    }
}
