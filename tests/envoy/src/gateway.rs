//! Envoy with the filters, upstreams behind it, and clients in front: what most tests start from.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};
use upstreams::{Algorithm, Certificates, Channel, DEFAULT_ISSUER, Issuer, Upstreams};

use crate::{
    Bootstrap, Client, Envoy, Options, Protocol, Request, StartError, demo_key, skipped, wait_for,
};

/// The keys of one process: they take a second to make.
static ISSUER: LazyLock<Arc<Issuer>> = LazyLock::new(|| Arc::new(Issuer::generate(DEFAULT_ISSUER)));

static CERTIFICATES: LazyLock<Certificates> =
    LazyLock::new(|| Certificates::generate().expect("ring can make P-256 keys"));

/// `envoy/envoy.yaml`, for the tests that change nothing about it.
static SHARED: LazyLock<Result<Gateway, StartError>> = LazyLock::new(|| {
    Gateway::try_start(
        &Bootstrap::chain(),
        &Options {
            counted: false,
            ..Options::default()
        },
    )
});

/// A running gateway.
///
/// At its end it asks whether a filter's VM was lost, and fails the test if so.
pub struct Gateway {
    envoy: Envoy,
    upstreams: Upstreams,
    bootstrap: Bootstrap,
    vm_loss_expected: AtomicBool,
}

/// What one test has of the gateway that many share. As [`Gateway`], it asks at its end whether a VM was lost.
pub struct Shared(&'static Gateway);

/// What became of new listeners.
#[derive(Debug)]
pub enum Reload {
    /// They are in force, or will be in a moment.
    Accepted,
    /// The old ones go on; what Envoy logged.
    Rejected(String),
}

impl Gateway {
    /// The gateway of `envoy/envoy.yaml`, one for the whole process. None if Envoy or a module is missing, which
    /// [`skipped`] has said then.
    ///
    /// # Panics
    /// If it does not start.
    pub fn shared() -> Option<Shared> {
        match &*SHARED {
            Ok(gateway) => Some(Shared(gateway)),
            Err(StartError::Missing(missing)) => {
                skipped(missing);
                None
            }
            Err(error) => panic!("the gateway does not start: {error}"),
        }
    }

    /// A gateway of the test's own, of another configuration. None as for [`Gateway::shared`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(bootstrap: &Bootstrap) -> Option<Self> {
        Self::start_with(bootstrap, &Options::default())
    }

    /// As [`Gateway::start`], with options.
    pub fn start_with(bootstrap: &Bootstrap, options: &Options) -> Option<Self> {
        match Self::try_start(bootstrap, options) {
            Ok(gateway) => Some(gateway),
            Err(StartError::Missing(missing)) => {
                skipped(&missing);
                None
            }
            Err(error) => panic!("the gateway does not start: {error}"),
        }
    }

    /// A gateway, or why there is none.
    pub fn try_start(bootstrap: &Bootstrap, options: &Options) -> Result<Self, StartError> {
        let upstreams = Upstreams::start(Arc::clone(&ISSUER))?;
        let bootstrap = prepared(bootstrap, &upstreams);
        let envoy = Envoy::start(&bootstrap, &CERTIFICATES, options)?;
        Ok(Self {
            envoy,
            upstreams,
            bootstrap,
            vm_loss_expected: AtomicBool::new(false),
        })
    }

    /// The certificates of every gateway of this process.
    pub fn certificates() -> &'static Certificates {
        &CERTIFICATES
    }

    /// The issuer of every gateway of this process.
    pub fn issuer() -> &'static Issuer {
        &ISSUER
    }

    /// Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The upstreams, which belong to this gateway alone.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// The configuration that it was started with, addresses and credentials of the upstreams put in.
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }

    /// A client that speaks HTTP/1.1, over TLS if the listener does.
    pub fn h1(&self) -> Client {
        self.client(Protocol::H1)
    }

    /// A client that speaks HTTP/2, over TLS if the listener does.
    pub fn h2(&self) -> Client {
        self.client(Protocol::H2)
    }

    /// A client of either protocol.
    pub fn client(&self, protocol: Protocol) -> Client {
        match self.bootstrap.tls() {
            true => Client::tls(self.envoy.address(), protocol, CERTIFICATES.ca_pem()),
            false => Client::plain(self.envoy.address(), protocol),
        }
    }

    /// A connection for gRPC clients, whose every call carries these headers; for work that [`wait_for`] waits for.
    ///
    /// # Panics
    /// If there is none.
    pub fn channel(&self, headers: &[(&str, &str)]) -> Channel {
        let address = format!("localhost:{}", self.envoy.address().port());
        let ca = self.bootstrap.tls().then(|| CERTIFICATES.ca_pem());
        let channel = wait_for(async { Channel::connect(&address, ca).await })
            .unwrap_or_else(|error| panic!("no connection for gRPC: {error}"));
        headers.iter().fold(channel, |channel, (name, value)| {
            channel
                .header(name, value)
                .unwrap_or_else(|error| panic!("{name}: {error}"))
        })
    }

    /// A token of the issuer, for that subject.
    pub fn token(&self, subject: &str) -> TokenBuilder {
        TokenBuilder {
            algorithm: Algorithm::default(),
            claims: Map::from_iter([("sub".into(), subject.into())]),
        }
    }

    /// Replaces the listeners of a gateway that was started as reloadable.
    pub fn reload(&self, bootstrap: &Bootstrap) -> Reload {
        match self
            .envoy
            .replace_listeners(&prepared(bootstrap, &self.upstreams))
        {
            Ok(()) => Reload::Accepted,
            Err(log) => Reload::Rejected(log),
        }
    }

    /// A VM may be lost in this test: the check at its end is left out.
    pub fn expect_vm_loss(&self) {
        self.vm_loss_expected.store(true, Ordering::Relaxed);
    }

    /// Fails unless every filter still has its VMs and still answers.
    ///
    /// # Panics
    /// If a VM was lost or reloaded, or a request at the end is not answered by the filters.
    pub fn assert_filters_alive(&self) {
        let plugins = self.bootstrap.plugins();
        let before = self.envoy.counters();
        let probe = Request::get("/users/closing-probe").header("x-api-key", self.known_key());
        let answer = self.h1().send(&probe);
        let after = self.envoy.counters();
        if let Some(sign) = self.envoy.lost_vm(&plugins) {
            panic!("a filter lost its VM: {sign}\n{}", self.envoy.log());
        }
        let counted = |stats: &std::collections::BTreeMap<String, u64>, plugin: &str| -> u64 {
            // A second instance of a filter, of a longer name, counts where the first does.
            let named = plugins.iter().filter(|name| plugin.starts_with(*name));
            let first = named.min_by_key(|name| name.len());
            let prefix = format!("wasmcustom.{}.", first.map_or(plugin, String::as_str));
            stats
                .range(prefix.clone()..)
                .take_while(|(name, _)| name.starts_with(&prefix))
                .map(|(_, count)| count)
                .sum()
        };
        let mut seen = std::collections::BTreeMap::new();
        for plugin in plugins
            .iter()
            .filter(|plugin| plugin.starts_with("gatehouse."))
        {
            // Two plugins of one module count under its name.
            let module = self.bootstrap.module_of(plugin);
            let times = seen.entry(module.clone()).or_insert(0);
            *times += 1;
            assert!(
                counted(&after, &module) >= counted(&before, &module) + *times,
                "{plugin} did not see the closing request, which got {}: {}",
                answer.status,
                answer.text()
            );
            // A filter that answers by itself keeps the request from those behind it.
            if answer.header("x-replica").is_none() {
                break;
            }
        }
    }

    /// An API key that auth lets in, so that the closing request meets the filters behind it too.
    fn known_key(&self) -> String {
        let mut bootstrap = self.bootstrap.clone();
        let auth = bootstrap
            .plugins()
            .into_iter()
            .find(|plugin| plugin == "gatehouse.auth");
        let id = auth.map_or(Value::Null, |plugin| {
            bootstrap.filter_config(&plugin)["api_keys"]["keys"][0]["id"].take()
        });
        demo_key(id.as_str().unwrap_or("no-key"))
    }

    fn check_at_the_end(&self) {
        if !std::thread::panicking() && !self.vm_loss_expected.load(Ordering::Relaxed) {
            self.assert_filters_alive();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.check_at_the_end();
    }
}

impl Deref for Shared {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.check_at_the_end();
    }
}

/// A token in the making: five minutes, audience `api`, ES256, unless told otherwise.
#[derive(Clone, Debug)]
pub struct TokenBuilder {
    algorithm: Algorithm,
    claims: Map<String, Value>,
}

impl TokenBuilder {
    /// Signs with the key of that algorithm.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets a claim; `null` leaves it out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets `scope`, words with spaces between.
    pub fn scope(self, scopes: &str) -> Self {
        self.claim("scope", scopes)
    }

    /// Sets `groups`.
    pub fn groups(self, groups: &[&str]) -> Self {
        self.claim("groups", json!(groups))
    }

    /// The token.
    pub fn sign(self) -> String {
        ISSUER.token_with_claims(self.algorithm, self.claims)
    }
}

/// Puts in what only a run knows: the upstreams' addresses and the credentials that stand in for the file's.
fn prepared(bootstrap: &Bootstrap, upstreams: &Upstreams) -> Bootstrap {
    let mut bootstrap = bootstrap.clone();
    bootstrap.resolve(upstreams.addresses());
    bootstrap.install_credentials(upstreams.issuer());
    bootstrap
}
