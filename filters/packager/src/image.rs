//! OCI images that hold a module, in the form that Istio and Envoy Gateway fetch.
//!
//! `FROM scratch`, one layer `tar+gzip`, in it `plugin.wasm` alone: the *compat* variant of the Wasm image specification,
//! which is what Istio's agent takes (istio/istio, `pkg/wasm/imagefetcher.go`). An artifact that holds the bare module, as
//! other tools push it, is refused there. Nothing in an image depends on when or where it was made.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::dist::{replace, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// When an image was made, as it says: always the same, so that the same module has the same digest.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// What an image says of itself, by OCI's names without `org.opencontainers.image.`: `title`, `version` …
pub type Labels = BTreeMap<&'static str, String>;

/// An image of one module.
#[derive(Clone, Debug)]
pub struct Image {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
    version: String,
}

impl Image {
    /// Wraps a module.
    ///
    /// # Errors
    /// The layer cannot be written, which memory running out would be the only cause of.
    pub fn new(module: &[u8], labels: &Labels) -> io::Result<Self> {
        let labels: BTreeMap<String, &String> = labels
            .iter()
            .map(|(name, value)| (format!("org.opencontainers.image.{name}"), value))
            .collect();
        let files = archive(module)?;
        // Neither a name nor a time goes into the header.
        let mut compressed = GzBuilder::new().write(Vec::new(), Compression::best());
        compressed.write_all(&files)?;
        let layer = compressed.finish()?;
        let config = serde_json::to_vec(&json!({
            "created": CREATED,
            "architecture": "wasm",
            "os": "wasip1",
            "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": [digest(&files)] },
            "history": [{ "created": CREATED, "created_by": "COPY plugin.wasm ./" }],
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": [descriptor(LAYER, &layer)],
            "annotations": labels,
        }))?;
        let version = labels.get("org.opencontainers.image.version");
        Ok(Self {
            version: version.map_or("latest", |version| version).to_owned(),
            manifest,
            config,
            layer,
        })
    }

    /// The digest of the manifest, `sha256:…`: what a reference pins, and without its prefix what `sha256` of a WasmPlugin
    /// with an `oci://` address holds.
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// The tag that the layout gives it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Writes an image layout (image-spec, `image-layout.md`) in the place of what is in `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for blob in [&self.manifest, &self.config, &self.layer] {
            replace(&blobs.join(sha256(blob)), blob)?;
        }
        let mut manifest = descriptor(MANIFEST, &self.manifest);
        if let Some(members) = manifest.as_object_mut() {
            members.insert(
                "annotations".to_owned(),
                json!({ "org.opencontainers.image.ref.name": self.version }),
            );
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        replace(&folder.join("index.json"), &serde_json::to_vec(&index)?)?;
        replace(
            &folder.join("oci-layout"),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )
    }
}

/// A tar archive of `plugin.wasm` alone, with nobody's name, no time, readable for all.
fn archive(module: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "plugin.wasm", module)?;
    archive.into_inner()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(module: &[u8], version: &str) -> Image {
        Image::new(module, &Labels::from([("version", version.to_owned())])).unwrap()
    }

    // Who builds the same commit elsewhere must get the digest that was published.
    #[test]
    fn the_same_module_and_labels_have_the_same_digest() {
        let once = image(b"module", "1.0.0");
        assert_eq!(once.digest(), image(b"module", "1.0.0").digest());
        assert_ne!(once.digest(), image(b"Module", "1.0.0").digest());
        assert_ne!(once.digest(), image(b"module", "1.0.1").digest());
        // Fixed: neither the day nor the folder goes in.
        assert_eq!(once.layer.get(4..8), Some(&[0; 4][..]), "gzip's time");
    }

    // A layout with blobs of before is twice as large, and says less clearly what it holds.
    #[test]
    fn a_layout_holds_one_image_alone() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("auth");
        image(b"old", "1.0.0").write(&layout).unwrap();
        let new = image(b"new", "1.0.1");
        new.write(&layout).unwrap();
        assert_eq!(
            fs::read_dir(layout.join("blobs/sha256")).unwrap().count(),
            3
        );
        let index: Value =
            serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"][0]["digest"], new.digest());
        let name = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
        assert_eq!(name, "1.0.1");
    }
}
