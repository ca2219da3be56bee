//! Backstage of a gateway that runs in containers: what the Docker client can see and do.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use envoy_harness::{Client, Protocol, Request};
use serde_json::Value;

use crate::backstage::Backstage;

/// The listener `stats` of `envoy/envoy.yaml`.
const STATS_PORT: u16 = 9902;

/// How long a line may take into the access log.
const LOGGED_WITHIN: Duration = Duration::from_secs(20);

/// The containers of a compose project.
pub(crate) struct Containers {
    project: String,
    /// Envoy's, and where its counters are read.
    envoy: String,
    stats: Client,
}

impl Containers {
    /// Those of that project, if there is an Envoy among them.
    pub(crate) fn of(project: &str) -> Option<Self> {
        let envoy = container(project, "envoy")?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = docker(&["inspect", "--format", format, &envoy])?;
        let address = addresses.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            project: project.into(),
            envoy,
            stats: Client::plain(SocketAddr::new(address, STATS_PORT), Protocol::H1),
        })
    }
}

impl Backstage for Containers {
    fn has_log(&self) -> bool {
        true
    }

    fn logged(&self, request_id: &str) -> Option<Value> {
        let deadline = Instant::now() + LOGGED_WITHIN;
        loop {
            let log = docker(&["logs", "--since", "2m", &self.envoy])?;
            let entry = log
                .lines()
                .filter(|line| line.contains(request_id))
                .find_map(|line| serde_json::from_str::<Value>(line).ok())
                .filter(|entry| entry["request_id"] == request_id);
            if entry.is_some() || Instant::now() > deadline {
                return entry;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn counter(&self, name: &str) -> Option<u64> {
        let (metric, labels) = exported(name);
        let page = self.stats.try_send(&Request::get("/stats/prometheus"));
        let text = page.ok()?.text();
        // One that never counted is not there yet.
        let value = text.lines().find_map(|line| {
            let rest = line.strip_prefix(&metric)?.strip_prefix('{')?;
            let (found, value) = rest.split_once('}')?;
            (found == labels).then(|| value.trim().parse().ok())?
        });
        Some(value.unwrap_or(0))
    }

    fn stop(&self, replica: &str) -> Option<bool> {
        Some(docker(&["kill", &container(&self.project, replica)?]).is_some())
    }

    fn start_again(&self, replica: &str) -> Option<bool> {
        Some(docker(&["start", &container(&self.project, replica)?]).is_some())
    }
}

/// What the page for Prometheus calls a counter of Envoy's, and the labels that it gives to it.
fn exported(name: &str) -> (String, String) {
    if let Some(own) = name.strip_prefix("wasmcustom.") {
        return (own.replace('.', "_"), String::new());
    }
    match name
        .strip_prefix("cluster.")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((cluster, counter)) => (
            format!("envoy_cluster_{}", counter.replace('.', "_")),
            format!("envoy_cluster_name=\"{cluster}\""),
        ),
        None => (format!("envoy_{}", name.replace('.', "_")), String::new()),
    }
}

/// The container of a service, running or not.
fn container(project: &str, service: &str) -> Option<String> {
    let project = format!("label=com.docker.compose.project={project}");
    let service = format!("label=com.docker.compose.service={service}");
    let filters = ["--filter", &project, "--filter", &service];
    let printed = docker(&[&["ps", "--all", "--quiet"], &filters[..]].concat())?;
    printed.lines().next().map(String::from)
}

/// What the Docker client prints, if it succeeds.
fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let succeeded = output.status.success();
    succeeded.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Without it a step would watch a counter that is always 0.
    #[test]
    fn a_counter_is_found_under_the_name_that_prometheus_reads() {
        for (name, metric, labels) in [
            (
                "wasmcustom.gatehouse.auth.denied",
                "gatehouse_auth_denied",
                "",
            ),
            (
                "cluster.users.upstream_rq_total",
                "envoy_cluster_upstream_rq_total",
                "envoy_cluster_name=\"users\"",
            ),
        ] {
            assert_eq!(exported(name), (metric.into(), labels.into()));
        }
    }
}
