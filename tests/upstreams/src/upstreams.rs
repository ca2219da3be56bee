//! Everything together: six replicas and the issuer, each on a port of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::{Inventory, Issuer, Replica};

/// Service and name of every replica of the REST services.
pub const REPLICAS: [(&str, &str); 4] = [
    ("users", "users-1"),
    ("users", "users-2"),
    ("orders", "orders-1"),
    ("orders", "orders-2"),
];

/// Names of the replicas of the gRPC service.
pub const INVENTORY_REPLICAS: [&str; 2] = ["inventory-1", "inventory-2"];

/// Name of the issuer among the addresses.
pub const ISSUER: &str = "issuer";

/// Replicas and issuer, served by threads of their own until this is dropped.
pub struct Upstreams {
    issuer: Arc<Issuer>,
    addresses: BTreeMap<String, SocketAddr>,
    replicas: BTreeMap<String, Replica>,
    inventories: BTreeMap<String, Inventory>,
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
            inventories: BTreeMap::new(),
            runtime: Some(runtime),
        };
        for (service, name) in REPLICAS {
            let replica = Replica::new(service, name);
            upstreams.serve(name, wanted, replica.router())?;
            upstreams.replicas.insert(name.into(), replica);
        }
        for name in INVENTORY_REPLICAS {
            let (inventory, router) = upstreams.block_on(Inventory::start(name))?;
            upstreams.serve(name, wanted, router)?;
            upstreams.inventories.insert(name.into(), inventory);
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

    /// What a replica of the gRPC service says about its health from now on; false if there is none of that name.
    pub fn set_inventory_healthy(&self, name: &str, healthy: bool) -> bool {
        let inventory = self.inventories.get(name);
        inventory.is_some_and(|inventory| self.block_on(inventory.set_healthy(healthy)).is_ok())
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let runtime = self.runtime.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(runtime.block_on(work))
    }

    fn serve(
        &mut self,
        name: &str,
        wanted: &BTreeMap<String, SocketAddr>,
        router: Router,
    ) -> io::Result<()> {
        let address = wanted
            .get(name)
            .copied()
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = self.block_on(bind(address))??;
        self.addresses.insert(name.into(), listener.local_addr()?);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async { axum::serve(listener, router).await });
        }
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
