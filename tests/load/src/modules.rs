//! Wasm filters, and the floor modules beside them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, io};

use envoy_harness::{module, target_folder};
use packager::{Built, Outline, callbacks_in, strip};
use serde_json::{Value, json};

/// A Wasm module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    /// One of ours, as it is packaged.
    Filter(&'static str),
    /// The floor module with the callbacks of this filter, as far as it has them.
    FloorOf(&'static str),
    /// The floor module with the callbacks for headers: what is measured where no filter is meant.
    Floor,
}

/// Where the harness puts the packaged modules in.
pub(crate) const INSTALLED: &str = "/etc/gatehouse/";

/// The filters of the suite.
pub(crate) const FILTERS: [&str; 4] = ["auth", "rate-limit", "transform", "routing"];

const HEADERS: [&str; 2] = ["proxy_on_request_headers", "proxy_on_response_headers"];

impl Module {
    fn vm_id(self) -> String {
        match self {
            Self::Filter(name) => name.to_owned(),
            Self::FloorOf(name) => format!("floor-{name}"),
            Self::Floor => "floor".to_owned(),
        }
    }

    fn path(self) -> PathBuf {
        match self {
            Self::Filter(name) => format!("{INSTALLED}{name}.wasm").into(),
            _ => folder().join(format!("{}.wasm", self.vm_id())),
        }
    }

    /// As a listener has it.
    pub(crate) fn filter(self, config: &Value) -> Value {
        let name = format!("bench.{}", self.vm_id());
        json!({
            "name": name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": name,
                    "failure_policy": "FAIL_CLOSED",
                    "vm_config": {
                        "vm_id": self.vm_id(),
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": { "local": { "filename": self.path() } },
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": config.to_string(),
                    },
                },
            },
        })
    }
}

/// Where the report goes, and the floor modules.
pub(crate) fn folder() -> PathBuf {
    target_folder().join("bench")
}

/// Strips the floor module as the packager strips a filter: an entry into the VM that the filter does without would make
/// the filter look cheap.
pub(crate) fn write_floors() -> Result<(), String> {
    let built = Built::find(&target_folder(), "floor-filter").map_err(|error| error.to_string())?;
    let text = |error: io::Error| error.to_string();
    let code = fs::read(&built.module).map_err(text)?;
    let mut sources = Vec::new();
    for source in &built.sources {
        sources.push(fs::read_to_string(source).map_err(text)?);
    }
    let own = callbacks_in(sources.iter().map(String::as_str));
    fs::create_dir_all(folder()).map_err(text)?;
    let write = |floor: Module, callbacks: &BTreeSet<&'static str>| {
        let stripped = strip(&code, callbacks).map_err(|error| error.to_string())?;
        fs::write(floor.path(), stripped).map_err(text)
    };
    write(Module::Floor, &HEADERS.into())?;
    for name in FILTERS {
        let path = module(name).map_err(|missing| missing.to_string())?;
        let outline =
            Outline::of(&fs::read(path).map_err(text)?).map_err(|error| error.to_string())?;
        let shared = own
            .iter()
            .copied()
            .filter(|callback| outline.exports.contains(*callback));
        write(Module::FloorOf(name), &shared.collect())?;
    }
    Ok(())
}
