//! The code and the descriptor set of the gRPC service, without protoc.
#![allow(clippy::disallowed_methods)] // A build script is told where to write by its environment.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    // Envoy's transcoder wants the imports in the set too.
    compiler.include_imports(true);
    compiler.open_file("inventory/v1/stock.proto")?;
    // Encoded by the compiler: the types of prost lose the option google.api.http, which they do not know.
    let file = PathBuf::from(std::env::var("OUT_DIR")?).join("inventory.pb");
    std::fs::write(file, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .type_attribute(
            ".inventory",
            "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default, deny_unknown_fields)]",
        )
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
