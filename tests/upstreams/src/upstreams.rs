//! Everything together: four replicas and the issuer, each on a port of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::{Issuer, Replica};

/// Service and name of every replica.
pub const REPLICAS: [(&str, &str); 4] = [
    ("users", "users-1"),
    ("users", "users-2"),
    ("orders", "orders-1"),
    ("orders", "orders-2"),
];

/// Name of the issuer among the addresses.
pub const ISSUER: &str = "issuer";

/// Replicas and issuer, served by threads of their own until this is dropped.
pub struct Upstreams {
    issuer: Arc<Issuer>,
    addresses: BTreeMap<String, SocketAddr>,
    replicas: BTreeMap<String, Replica>,
    runtime: Option<Runtime>,
}

impl Upstreams {
    /// Starts all of them on 127.0.0.1, on ports that the kernel chooses.
    pub fn start(issuer: Arc<Issuer>) -> io::Result<Self> {
        Self::start_at(issuer, &BTreeMap::new())
    }

    /// Starts all of them: on the address that `wanted` gives for a name, else as [`Upstreams::start`] does.
    pub fn start_at(
        issuer: Arc<Issuer>,
        wanted: &BTreeMap<String, SocketAddr>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("upstreams")
            .enable_all()
            .build()?;
        let mut upstreams = Self {
            issuer: Arc::clone(&issuer),
            addresses: BTreeMap::new(),
            replicas: BTreeMap::new(),
            runtime: Some(runtime),
        };
        for (service, name) in REPLICAS {
            let replica = Replica::new(service, name);
            upstreams.serve(name, wanted, replica.router())?;
            upstreams.replicas.insert(name.into(), replica);
        }
        upstreams.serve(ISSUER, wanted, issuer.router())?;
        Ok(upstreams)
    }

    /// Address of `users-1`, …, `issuer`.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.get(name).copied()
    }

    /// Every address by name.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// The issuer.
    pub fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// A replica by name.
    pub fn replica(&self, name: &str) -> Option<&Replica> {
        self.replicas.get(name)
    }

    fn serve(
        &mut self,
        name: &str,
        wanted: &BTreeMap<String, SocketAddr>,
        router: Router,
    ) -> io::Result<()> {
        let runtime = self.runtime.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let address = wanted
            .get(name)
            .copied()
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = runtime.block_on(bind(address))?;
        self.addresses.insert(name.into(), listener.local_addr()?);
        runtime.spawn(async { axum::serve(listener, router).await });
        Ok(())
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A listener, or an error that names the address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}
