//! The harness itself: what it starts, it removes, and what it promises to see, it sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use envoy_harness::{
    Bootstrap, Gateway, Options, Read, Reload, Request, StartError, demo_key, skipped,
};

/// Folders of Envoys that this process, or one before it, runs or left behind.
fn run_folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir())
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()));
    entries
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("gatehouse-envoy-"))
        })
        .collect()
}

fn alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

fn folder_of(process: u32) -> PathBuf {
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap();
    let arguments = command
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned());
    let config = arguments
        .skip_while(|argument| argument != "-c")
        .nth(1)
        .unwrap();
    Path::new(&config).parent().unwrap().to_path_buf()
}

// Without it an Envoy that never got ready would be left running, or its folder behind.
#[test]
fn nothing_is_left_behind_by_a_start_that_fails() {
    let mut bootstrap = Bootstrap::file("envoy/single/routing.yaml");
    // Nothing else in this process starts an Envoy of that node: the folder is told from those of other tests by it.
    bootstrap.root_mut()["node"] =
        serde_json::json!({ "id": "start-that-fails", "cluster": "test" });
    bootstrap.set_filter_config_text("gatehouse.routing", "this is no configuration");
    match Gateway::try_start(&bootstrap, &Options::default()) {
        Err(StartError::Missing(missing)) => return skipped(&missing),
        Err(StartError::Refused { log, .. }) => assert!(
            log.contains("gatehouse.routing"),
            "the log says nothing:\n{log}"
        ),
        Err(error) => panic!("another failure: {error}"),
        Ok(_) => panic!("a configuration that is none was taken"),
    }
    let left = run_folders().into_iter().find(|folder| {
        fs::read_to_string(folder.join("envoy.json"))
            .is_ok_and(|config| config.contains("start-that-fails"))
    });
    assert_eq!(left, None);
}

// Without it every test with an Envoy of its own would leave a process and a folder.
#[test]
fn nothing_is_left_behind_by_a_gateway_that_is_dropped() {
    let Some(gateway) = Gateway::start(&Bootstrap::file("envoy/single/routing.yaml")) else {
        return;
    };
    let process = gateway.envoy().process_id();
    let folder = folder_of(process);
    assert!(alive(process) && folder.exists());
    drop(gateway);
    assert!(!alive(process) && !folder.exists());
}

// Without it a test that is killed, or the shared gateway at the end of every run, would leave Envoy running.
#[test]
fn nothing_is_left_behind_by_a_process_that_is_killed() {
    const CHILD: &str = "GATEHOUSE_TEST_KILLED_CHILD";
    if let Some(file) = std::env::var_os(CHILD) {
        let Some(gateway) = Gateway::start(&Bootstrap::file("envoy/single/routing.yaml")) else {
            return;
        };
        let new = Path::new(&file).with_extension("new");
        fs::write(&new, gateway.envoy().process_id().to_string()).unwrap();
        fs::rename(new, &file).unwrap();
        loop {
            std::thread::park();
        }
    }
    if let Err(missing) =
        envoy_harness::envoy_program().and_then(|_| envoy_harness::module("routing"))
    {
        return skipped(&missing);
    }
    let file = std::env::temp_dir().join(format!("gatehouse-killed-{}", std::process::id()));
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "harness::nothing_is_left_behind_by_a_process_that_is_killed",
            "--nocapture",
        ])
        .env(CHILD, &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let process = eventually("an Envoy of the child", || {
        fs::read_to_string(&file).ok()?.parse::<u32>().ok()
    });
    let folder = folder_of(process);
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(file).unwrap();
    eventually("the end of what the child left", || {
        (!alive(process) && !folder.exists()).then_some(())
    });
}

// Without it a refused configuration could be told apart from a taken one by luck only.
#[test]
fn a_reload_is_told_from_a_refusal() {
    let options = Options {
        reloadable: true,
        ..Options::default()
    };
    let mut bootstrap = Bootstrap::file("envoy/single/routing.yaml");
    let Some(gateway) = Gateway::start_with(&bootstrap, &options) else {
        return;
    };
    let version = |path: &str| {
        gateway
            .h1()
            .send(&Request::get(path))
            .echo()
            .header("x-gatehouse-api-version")
            .to_vec()
    };
    assert_eq!(version("/users"), ["1"]);

    bootstrap.edit_filter_config("gatehouse.routing", |config| {
        config["api_version"]["default"] = "7".into()
    });
    match gateway.reload(&bootstrap) {
        Reload::Rejected(log) => assert!(log.contains("gatehouse.routing"), "{log}"),
        Reload::Accepted => panic!("a default version that is not supported was taken"),
    }
    assert_eq!(version("/users"), ["1"]);

    bootstrap.edit_filter_config("gatehouse.routing", |config| {
        config["api_version"]["default"] = "2".into()
    });
    assert!(matches!(gateway.reload(&bootstrap), Reload::Accepted));
    gateway
        .envoy()
        .wait_until("the new default version", |_| version("/users") == ["2"]);
}

// Without it a filter could panic in any test, and be in its place again before the test has ended.
#[test]
fn a_lost_vm_is_noticed() {
    let mut bootstrap = Bootstrap::file("envoy/single/routing.yaml");
    bootstrap.insert_wasm_filter(0, "probe", "probe_filter", "x-probe");
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let plugins = gateway.bootstrap().plugins();
    assert_eq!(plugins, ["probe", "gatehouse.routing"]);
    gateway.assert_filters_alive();
    assert_eq!(gateway.envoy().lost_vm(&plugins), None);
    let trap = Request::get("/users").header("x-probe", "request-headers: trap");
    assert_eq!(gateway.h1().send(&trap).status, 503);
    gateway.envoy().wait_until("the trap in the log", |envoy| {
        envoy.lost_vm(&plugins).is_some()
    });
    gateway.expect_vm_loss();
}

// Without it byte-level tests could be testing the harness.
#[test]
fn raw_bytes_reach_envoy_over_tls() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let answer = gateway
        .h1()
        .raw(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", Read::OneAnswer);
    assert_eq!(answer.status(), Some(200));
    let answer = gateway.h1().raw(
        b"GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
        Read::ToTheEnd,
    );
    assert_eq!(answer.status(), Some(400));
}

// Without it a gRPC test could not tell a status of the upstream from none.
#[test]
fn a_grpc_call_ends_with_its_status() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let call = Request::grpc("/users.v1.Users/Get", b"").header("x-api-key", demo_key("acme-2026"));
    let response = gateway.h2().send(&call);
    assert_eq!(
        (response.status, response.grpc_status()),
        (200, Some(0)),
        "{}",
        response.text()
    );
    let echo = response.echo();
    assert_eq!(echo.header("x-gatehouse-grpc-service"), ["users.v1.Users"]);
    assert_eq!(echo.header("x-gatehouse-grpc-method"), ["Get"]);
}

fn eventually<T>(what: &str, mut asked: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = asked() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
