//! The program as the demo stack runs it: ports file, certificates, answers, and its end.
#![allow(clippy::disallowed_methods)] // Talks to a real process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use upstreams::Echo;

struct Program {
    child: Child,
    folder: std::path::PathBuf,
}

impl Program {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("upstreams-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_upstreams"))
            .args(arguments)
            .arg("--until-stdin-closes")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn wait_for<T>(&mut self, what: &str, mut found: impl FnMut(&Path) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = found(&self.folder) {
                return found;
            }
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "ended before {what}"
            );
            assert!(Instant::now() < deadline, "no {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn get(port: u64, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: test\r\nx-dup: a\r\nx-dup: b\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_string())
}

// Without it nothing would show that the demo stack's services start, say who they are and stop with their parent.
#[test]
fn all_of_them_answer_and_end_with_their_parent() {
    let mut program = Program::start(
        "all",
        &["all", "--ports-file", "ports.json", "--tls-dir", "tls"],
    );
    let ports: Value = program.wait_for("ports file", |folder| {
        serde_json::from_str(&std::fs::read_to_string(folder.join("ports.json")).ok()?).ok()
    });
    for (service, replica) in upstreams::REPLICAS {
        let (status, body) = get(ports[replica].as_u64().unwrap(), "/users/1?x=%2f");
        let echo: Echo = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200);
        assert_eq!(
            (echo.service.as_str(), echo.replica.as_str()),
            (service, replica)
        );
        assert_eq!(echo.path, "/users/1?x=%2f");
        assert_eq!(echo.header("x-dup"), ["a", "b"]);
    }
    let users = ports["users-1"].as_u64().unwrap();
    assert_eq!(get(users, "/users/status/418").0, 418);
    assert_eq!(get(users, "/healthz"), (200, "ok\n".to_string()));

    let issuer = ports["issuer"].as_u64().unwrap();
    let keys: Value = serde_json::from_str(&get(issuer, "/.well-known/jwks.json").1).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
    let token: Value =
        serde_json::from_str(&get(issuer, "/token?alg=EdDSA&sub=alice&groups=staff").1).unwrap();
    assert_eq!(
        token["access_token"].as_str().unwrap().split('.').count(),
        3
    );
    assert_eq!(get(issuer, "/token?algorithm=none").0, 400);
    assert!(
        std::fs::read_to_string(program.folder.join("tls/ca.pem"))
            .unwrap()
            .contains("CERTIFICATE")
    );

    let call = |message: &str| {
        let address = format!("127.0.0.1:{}", ports["inventory-2"]);
        let output = Command::new(env!("CARGO_BIN_EXE_upstreams"))
            .args(["call", "--address", &address, "--header", "x-user: alice"])
            .args(["Stock/Watch", message])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), printed)
    };
    let (status, printed) = call(r#"{"id":"7","updates":2}"#);
    let item = r#"{"id":"7","quantity":40,"replica":"inventory-2","update":N,"caller":"alice"}"#;
    let items = [item.replace('N', "1"), item.replace('N', "2")].join("\n");
    assert_eq!(
        (status, printed),
        (Some(0), format!("{items}\ngrpc-status: 0 OK\n"))
    );
    let refusal = "grpc-status: 5 NOT_FOUND\ngrpc-message: no such item\n";
    assert_eq!(call(r#"{"id":"9"}"#), (Some(1), refusal.to_string()));
    assert_eq!(call(r#"{"number":"7"}"#), (Some(1), String::new()));

    drop(program.child.stdin.take());
    let deadline = Instant::now() + Duration::from_secs(10);
    while program.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "outlived its parent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// Without it a typing error in a compose file would be a service that silently runs with defaults.
#[test]
fn an_unknown_option_ends_it() {
    let mut program = Program::start("option", &["rest", "--replika", "users-1"]);
    assert_eq!(program.child.wait().unwrap().code(), Some(1));
}

// Without it a deployment could be given a descriptor set that Envoy's transcoder finds no REST form in.
#[test]
fn the_descriptor_set_has_the_rest_forms_and_the_imports() {
    let file = std::env::temp_dir().join(format!("upstreams-set-{}", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_upstreams"))
        .arg("descriptor-set")
        .arg(&file)
        .status()
        .unwrap();
    let set = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(status.success());
    assert_eq!(set, upstreams::INVENTORY_DESCRIPTOR_SET);
    for text in ["/stock/{id}/watch", "google/protobuf/descriptor.proto"] {
        let found = set
            .windows(text.len())
            .any(|window| window == text.as_bytes());
        assert!(found, "{text} is missing");
    }
}
