//! `envoy/variants/ecds.yaml`: the filter in a file of its own, replaced by a rename while requests go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use envoy_harness::{Bootstrap, Gateway, Request, module, skipped};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const PLUGIN: &str = "gatehouse.rate_limit";
const STATISTICS: &str = "extension_config_discovery.http_filter.gatehouse.rate_limit.";

/// A gateway, and the folder that it reads its filter from.
struct Reloadable {
    gateway: Gateway,
    folder: TempDir,
    /// What the file of the tree holds, the module as built.
    resource: Value,
}

/// What Envoy said to a new file.
#[derive(Debug, PartialEq)]
enum Said {
    Taken,
    /// Refused; the log since.
    Refused(String),
}

impl Reloadable {
    /// With these limits. None where Envoy or the module is missing, which has been said then.
    fn start(limits: Value) -> Option<Self> {
        let built = match module("rate-limit") {
            Ok(built) => built,
            Err(missing) => {
                skipped(&missing);
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut resource = Bootstrap::file("envoy/variants/ecds/rate-limit.yaml")
            .root()
            .clone();
        let filename = resource.pointer_mut(&format!("{CONFIG}/vm_config/code/local/filename"));
        let filename = filename.expect("a local module");
        assert_eq!(filename, "/etc/gatehouse/rate-limit.wasm");
        *filename = built.to_string_lossy().into();
        let mut bootstrap = Bootstrap::file("envoy/variants/ecds.yaml");
        let source = &mut bootstrap.http_filters_mut()[0]["config_discovery"]["config_source"]["path_config_source"];
        assert_eq!(source["path"], "/etc/gatehouse/ecds/rate-limit.yaml");
        assert_eq!(source["watched_directory"]["path"], "/etc/gatehouse/ecds");
        source["path"] = folder
            .path()
            .join("rate-limit.json")
            .to_string_lossy()
            .into();
        source["watched_directory"]["path"] = folder.path().to_string_lossy().into();
        let resource = with_limits(resource, limits);
        put(&folder, &resource);
        Some(Self {
            gateway: Gateway::start(&bootstrap)?,
            folder,
            resource,
        })
    }

    /// Puts a file in the place of the one that is there, and waits for Envoy's word.
    fn replace(&self, resource: &Value) -> Said {
        const WORDS: [&str; 4] = [
            "update_success",
            "update_rejected",
            "update_failure",
            "config_fail",
        ];
        let envoy = self.gateway.envoy();
        let counts = || WORDS.map(|word| envoy.counter(&format!("{STATISTICS}{word}")));
        let (before, log) = (counts(), envoy.log().len());
        put(&self.folder, resource);
        envoy.wait_until("Envoy has read the new file", |_| counts() != before);
        match counts()[0] > before[0] {
            true => Said::Taken,
            false => Said::Refused(envoy.log().get(log..).unwrap_or_default().to_owned()),
        }
    }

    /// The status of one request of that tenant.
    fn status(&self, tenant: &str) -> u16 {
        self.gateway
            .h1()
            .send(&Request::get("/users/1").header("x-tenant", tenant))
            .status
    }

    /// A copy of the module that is another one: a custom section, which no engine reads, is appended.
    fn another_module(&self, name: &str) -> PathBuf {
        let mut bytes = fs::read(self.module()).expect("the module");
        // Id 0, size, length of the name, name.
        bytes.extend([0, 4, 3]);
        bytes.extend(*b"new");
        self.write(name, &bytes)
    }

    fn module(&self) -> PathBuf {
        let filename = &self.resource.pointer(CONFIG).expect("a plugin")["vm_config"]["code"]["local"]
            ["filename"];
        filename.as_str().expect("a file name").into()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("the folder can be written to");
        path
    }
}

/// A filter that lost its VM would have answered 503 in between.
impl Drop for Reloadable {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let envoy = self.gateway.envoy();
            let counted = || envoy.counter("wasmcustom.gatehouse.rate_limit.admitted");
            let before = counted();
            assert_eq!(self.status("closing"), 200);
            assert!(
                counted() > before,
                "the filter did not see the closing request"
            );
            assert_eq!(envoy.lost_vm(&[PLUGIN.to_owned()]), None);
        }
    }
}

const CONFIG: &str = "/resources/0/typed_config/config";

fn put(folder: &TempDir, resource: &Value) {
    let new = folder.path().join("new");
    fs::write(&new, resource.to_string()).expect("the folder can be written to");
    fs::rename(new, folder.path().join("rate-limit.json")).expect("a rename");
}

fn with_limits(resource: Value, limits: Value) -> Value {
    with_text(
        resource,
        json!({ "version": 1, "limits": limits }).to_string(),
    )
}

fn with_text(mut resource: Value, text: String) -> Value {
    resource.pointer_mut(CONFIG).expect("a plugin")["configuration"]["value"] = text.into();
    resource
}

fn with_code(mut resource: Value, code: Value) -> Value {
    resource.pointer_mut(CONFIG).expect("a plugin")["vm_config"]["code"] = code;
    resource
}

fn local(path: &Path) -> Value {
    json!({ "local": { "filename": path } })
}

/// So many requests for each tenant and hour below `/users`, and more than can be asked elsewhere.
fn tenants(burst: u32) -> Value {
    json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": burst,
          "match": { "path": { "prefix": "/users" } } },
        { "name": "load", "key": "address", "rate": { "requests": 1_000_000, "per": "1s" }, "burst": 1_000_000,
          "match": { "path": { "prefix": "/load" } } },
    ])
}

/// As [`tenants`], and one more limit that refuses whoever asks for this path.
fn with_closed_path(burst: u32, path: &str) -> Value {
    let mut limits = tenants(burst);
    let closed = json!({ "name": "closed", "key": "consumer", "rate": "1/h", "burst": 1, "on_missing_key": "deny",
        "match": { "path": { "exact": path } } });
    limits.as_array_mut().expect("a list").push(closed);
    limits
}

/// Does `work` while four clients, two of each protocol, ask all the time; fails if one request does, or if there were none
/// to speak of.
fn under_load<R>(gateway: &Gateway, work: impl FnOnce() -> R) -> R {
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|index| {
                let client = if index % 2 == 0 {
                    gateway.h1()
                } else {
                    gateway.h2()
                };
                let (done, answered) = (&done, &answered);
                scope.spawn(move || -> Result<(), String> {
                    let mut connection = client.connect().map_err(|error| error.to_string())?;
                    while !done.load(Ordering::Relaxed) {
                        let number = answered.fetch_add(1, Ordering::Relaxed);
                        let request =
                            Request::get("/users/1").header("x-tenant", format!("load-{number}"));
                        let response = connection
                            .try_send(&request)
                            .map_err(|error| error.to_string())?;
                        if response.status != 200 {
                            return Err(format!("status {}: {}", response.status, response.text()));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        // Ends the clients also where `work` fails.
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let ending = Done(&done);
        let result = work();
        // A swap that is over before a request was under way has shown nothing.
        let (enough, envoy) = (answered.load(Ordering::Relaxed) + 50, gateway.envoy());
        envoy.wait_until("requests after the last change", |_| {
            answered.load(Ordering::Relaxed) > enough
                || clients.iter().any(|client| client.is_finished())
        });
        drop(ending);
        for client in clients {
            client
                .join()
                .expect("a client ended")
                .expect("no request fails");
        }
        result
    })
}

/// Waits until every worker refuses that path, which a new configuration closed.
fn wait_for_closed(reloadable: &Reloadable, path: &str) {
    reloadable
        .gateway
        .envoy()
        .wait_until("every worker decides by the new limits", |_| {
            (0..8).all(|_| reloadable.gateway.h1().send(&Request::get(path)).status == 403)
        });
}

// Without it an update could lose requests, hand out fresh tokens, or never arrive.
#[test]
fn a_configuration_and_a_module_are_swapped_and_the_limits_keep_their_state() {
    let Some(reloadable) = Reloadable::start(tenants(3)) else {
        return;
    };
    let statuses = |tenant: &str, count: usize| -> Vec<u16> {
        (0..count).map(|_| reloadable.status(tenant)).collect()
    };
    assert_eq!(statuses("spent", 4), [200, 200, 200, 429]);
    assert_eq!(statuses("half", 1), [200]);
    under_load(&reloadable.gateway, || {
        // The same module, another configuration.
        let new = with_limits(
            reloadable.resource.clone(),
            with_closed_path(3, "/closed/1"),
        );
        assert_eq!(reloadable.replace(&new), Said::Taken);
        wait_for_closed(&reloadable, "/closed/1");
        assert_eq!(
            statuses("spent", 1),
            [429],
            "fresh tokens from a new configuration"
        );
        // Another module, and with it another configuration, so that it can be seen at work.
        let module = reloadable.another_module("new.wasm");
        let new = with_limits(
            with_code(reloadable.resource.clone(), local(&module)),
            with_closed_path(3, "/closed/2"),
        );
        assert_eq!(reloadable.replace(&new), Said::Taken);
        wait_for_closed(&reloadable, "/closed/2");
        assert_eq!(
            statuses("spent", 1),
            [429],
            "fresh tokens from a new module"
        );
        assert_eq!(statuses("half", 3), [200, 200, 429]);
    });
    assert_eq!(
        reloadable
            .gateway
            .envoy()
            .counter(&format!("{STATISTICS}update_rejected")),
        0
    );
}

// Without it one bad file could stop the gateway, or let everything pass.
#[test]
fn a_bad_file_is_refused_and_the_old_filter_serves() {
    let Some(reloadable) = Reloadable::start(tenants(2)) else {
        return;
    };
    assert_eq!(reloadable.status("spent"), 200);
    assert_eq!(reloadable.status("spent"), 200);
    let good = &reloadable.resource;
    let bytes = fs::read(reloadable.module()).expect("the module");
    let cut = reloadable.write("cut.wasm", &bytes[..bytes.len() / 2]);
    let text = reloadable.write("text.wasm", b"not a module");
    let empty = reloadable.write("empty.wasm", b"");
    let absent = reloadable.folder.path().join("absent.wasm");
    let secret = "hunter2-the-plain-key";
    let cases = [
        (
            "an unknown field",
            with_limits(
                good.clone(),
                json!([{ "name": "a", "key": "address", "rate": "1/s", "brust": 1 }]),
            ),
            "limits[0].brust: unknown field, did you mean burst?",
        ),
        ("no limit", with_limits(good.clone(), json!([])), "limits"),
        (
            "no JSON",
            with_text(good.clone(), format!("version: 1 {secret}")),
            "configuration refused",
        ),
        (
            "a secret in the wrong place",
            with_text(
                good.clone(),
                json!({ "version": 1, "limits": secret }).to_string(),
            ),
            "limits",
        ),
        ("half a module", with_code(good.clone(), local(&cut)), ""),
        ("no module", with_code(good.clone(), local(&text)), ""),
        (
            "an empty module",
            with_code(good.clone(), local(&empty)),
            "",
        ),
        (
            "no file",
            with_code(good.clone(), local(&absent)),
            "absent.wasm",
        ),
        (
            "no filter",
            {
                let mut file = good.clone();
                file["resources"] = json!([{ "@type": "none" }]);
                file
            },
            "",
        ),
    ];
    under_load(&reloadable.gateway, || {
        for (what, file, says) in cases {
            let Said::Refused(log) = reloadable.replace(&file) else {
                panic!("{what}: taken");
            };
            assert!(
                log.contains(says),
                "{what}: the log does not say {says:?}: {log}"
            );
            assert!(!log.contains(secret), "{what}: the log has the secret");
            assert_eq!(
                reloadable.status("spent"),
                429,
                "{what}: the old limits do not serve"
            );
        }
    });
    // And a good one is taken after all of them.
    let new = with_limits(good.clone(), with_closed_path(2, "/closed/1"));
    assert_eq!(reloadable.replace(&new), Said::Taken);
    wait_for_closed(&reloadable, "/closed/1");
    assert_eq!(reloadable.status("spent"), 429);
}

// A fact about the host that the comment in the file rests on: with `code.remote` Envoy takes the new file at once, and lets
// requests past the filter until the module is there. One with another digest never is.
#[test]
fn remote_code_would_let_requests_past_the_filter() {
    let Some(reloadable) = Reloadable::start(tenants(1)) else {
        return;
    };
    assert_eq!(
        (reloadable.status("spent"), reloadable.status("spent")),
        (200, 429)
    );
    let digest: String = Sha256::digest(b"another")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let remote = json!({ "remote": {
        "http_uri": { "uri": "http://users/module.wasm", "cluster": "users", "timeout": "1s" },
        "sha256": digest,
        "retry_policy": { "num_retries": 0 },
    } });
    assert_eq!(
        reloadable.replace(&with_code(reloadable.resource.clone(), remote)),
        Said::Taken
    );
    let envoy = reloadable.gateway.envoy();
    envoy.wait_until("a request is let past", |_| {
        reloadable.status("spent") == 200
    });
    // A local module is at work as soon as the file is taken.
    assert_eq!(
        reloadable.replace(&with_limits(reloadable.resource.clone(), tenants(1))),
        Said::Taken
    );
    envoy.wait_until("every worker has the filter again", |_| {
        (0..8).all(|_| reloadable.status("again") == 429)
    });
}
