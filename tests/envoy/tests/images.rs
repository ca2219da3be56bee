//! The images in a real registry: pushed as layouts are, fetched as Istio's agent fetches.
#![allow(clippy::disallowed_methods)] // Drives a real process over real sockets.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use envoy_harness::{Missing, module, skipped, workspace};
use packager::{Image, Labels, filters, sha256};
use serde_json::Value;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Debian's `docker-registry` on a port of the kernel's choice, its store in a folder of its own.
struct Registry {
    process: Child,
    address: String,
    _store: tempfile::TempDir,
}

/// An answer: status, status line and headers, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Registry {
    fn start() -> Result<Self, Missing> {
        let store = tempfile::tempdir().unwrap();
        let config = store.path().join("config.yml");
        let root = store.path().join("store");
        let text = format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: '{}' }} }}\n\
             http: {{ addr: '127.0.0.1:0' }}\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|_| {
                Missing::new("no docker-registry here; Debian's package of that name brings it")
            })?;
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(
                log.read_line(&mut line).unwrap(),
                0,
                "the registry ended: {seen}"
            );
            // … msg="listening on 127.0.0.1:45123" …
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(|letter: char| {
                    letter != '.' && letter != ':' && !letter.is_ascii_digit()
                });
                break rest[..end.unwrap_or(rest.len())].to_owned();
            }
            seen.push_str(&line);
        };
        // What it goes on to say must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self {
            process,
            address,
            _store: store,
        })
    }

    /// One request. HTTP/1.0, so that the body ends with the connection.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(b"\r\n").unwrap();
        connection.write_all(body).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: answer[end + 4..].to_vec(),
        }
    }

    /// Uploads a blob (distribution-spec, "Pushing a blob monolithically").
    fn put_blob(&self, name: &str, bytes: &[u8]) {
        let begun = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"");
        assert_eq!(begun.status, 202, "{}", begun.head);
        let location = begun.header("location").unwrap();
        let path = location.trim_start_matches(&format!("http://{}", self.address));
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joint}digest=sha256:{}", sha256(bytes));
        let kind = [("content-type", "application/octet-stream")];
        let done = self.send("PUT", &path, &kind, bytes);
        assert_eq!(done.status, 201, "{}", done.head);
    }

    /// Uploads the image of a layout, as any tool that knows layouts does; gives its digest.
    fn push(&self, name: &str, tag: &str, layout: &Path) -> String {
        let blob = |digest: &Value| {
            let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes = fs::read(layout.join("blobs/sha256").join(hex)).unwrap();
            assert_eq!(sha256(&bytes), hex);
            bytes
        };
        let index: Value =
            serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let described = &index["manifests"][0];
        let manifest = blob(&described["digest"]);
        let content: Value = serde_json::from_slice(&manifest).unwrap();
        self.put_blob(name, &blob(&content["config"]["digest"]));
        for layer in content["layers"].as_array().unwrap() {
            self.put_blob(name, &blob(&layer["digest"]));
        }
        let kind = [("content-type", described["mediaType"].as_str().unwrap())];
        let done = self.send(
            "PUT",
            &format!("/v2/{name}/manifests/{tag}"),
            &kind,
            &manifest,
        );
        assert_eq!(
            done.status,
            201,
            "{} {}",
            done.head,
            String::from_utf8_lossy(&done.body)
        );
        described["digest"].as_str().unwrap().to_owned()
    }

    /// Fetches a module by the rules of Istio's agent (istio/istio, `pkg/wasm/imagefetcher.go`): of the last layer, which must
    /// be a tar+gzip one of OCI where the manifest is not Docker's, the first file whose base name is `plugin.wasm`.
    /// Gives the digest that the agent compares with `sha256`, and the bytes.
    fn fetch(&self, name: &str, reference: &str) -> Result<(String, Vec<u8>), Box<dyn Error>> {
        let accept = [("accept", &*format!("{DOCKER_MANIFEST}, {MANIFEST}"))];
        let answer = self.send(
            "GET",
            &format!("/v2/{name}/manifests/{reference}"),
            &accept,
            b"",
        );
        if answer.status != 200 {
            return Err(format!("manifest: {}", answer.status).into());
        }
        let digest = format!("sha256:{}", sha256(&answer.body));
        let manifest: Value = serde_json::from_slice(&answer.body)?;
        let layer_type = match manifest["mediaType"].as_str() {
            Some(DOCKER_MANIFEST) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            _ => "application/vnd.oci.image.layer.v1.tar+gzip",
        };
        let layers = manifest["layers"].as_array().ok_or("no layers")?;
        let layer = layers.last().ok_or("no layer")?;
        if layer["mediaType"] != layer_type {
            return Err(format!("a layer of type {}", layer["mediaType"]).into());
        }
        let path = format!(
            "/v2/{name}/blobs/{}",
            layer["digest"].as_str().ok_or("no digest")?
        );
        let blob = self.send("GET", &path, &[], b"").body;
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*blob));
        for file in archive.entries()? {
            let mut file = file?;
            if file.path()?.file_name() == Some("plugin.wasm".as_ref()) {
                let mut module = Vec::new();
                file.read_to_end(&mut module)?;
                return Ok((digest, module));
            }
        }
        Err("no plugin.wasm".into())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let is = |line: &&str| {
            line.split(':')
                .next()
                .is_some_and(|is| is.eq_ignore_ascii_case(name))
        };
        let line = self.head.lines().find(is)?;
        line.split_once(": ").map(|(_, value)| value)
    }
}

// Istio answers 503 to every request of a workload whose plugin it cannot unpack.
#[test]
fn what_a_registry_hands_to_istio_is_the_module_in_dist() {
    let mut modules = Vec::new();
    for filter in filters(&workspace()).unwrap() {
        match module(&filter) {
            Ok(path) => modules.push((filter, fs::read(path).unwrap())),
            Err(missing) => return skipped(&missing),
        }
    }
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(missing) => return skipped(&missing),
    };
    let folder = tempfile::tempdir().unwrap();
    for (filter, bytes) in &modules {
        let layout = folder.path().join(filter);
        let labels = Labels::from([("title", filter.clone()), ("version", "1.2.3".to_owned())]);
        let image = Image::new(bytes, &labels).unwrap();
        image.write(&layout).unwrap();
        let name = format!("gatehouse/{filter}");
        assert_eq!(
            registry.push(&name, image.version(), &layout),
            image.digest()
        );
        for reference in ["1.2.3", &image.digest()] {
            let (digest, fetched) = registry.fetch(&name, reference).unwrap();
            assert_eq!(digest, image.digest(), "{filter}");
            assert!(fetched == *bytes, "{filter} by {reference}");
        }
        assert!(registry.fetch(&name, "1.2.4").is_err());
    }
    assert!(modules.len() >= 4);
}
