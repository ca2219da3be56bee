//! Everything together: six replicas and the issuer, each on a port of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// How long it may take until a replica's port is free again.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

/// Replicas and issuer, each served by a thread of its own until this is dropped.
pub struct Upstreams {
    issuer: Arc<Issuer>,
    addresses: BTreeMap<String, SocketAddr>,
    replicas: BTreeMap<String, Replica>,
    inventories: BTreeMap<String, Inventory>,
    servers: Mutex<BTreeMap<String, Server>>,
}

/// One of them, with a thread of its own.
struct Server {
    router: Router,
    /// None while it is stopped.
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
        let mut upstreams = Self {
            issuer: Arc::clone(&issuer),
            addresses: BTreeMap::new(),
            replicas: BTreeMap::new(),
            inventories: BTreeMap::new(),
            servers: Mutex::default(),
        };
        for (service, name) in REPLICAS {
            let replica = Replica::new(service, name);
            upstreams.serve(name, wanted, replica.router())?;
            upstreams.replicas.insert(name.into(), replica);
        }
        for name in INVENTORY_REPLICAS {
            let (inventory, router) = block_on(Inventory::start(name))?;
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
        inventory.is_some_and(|inventory| block_on(inventory.set_healthy(healthy)).is_ok())
    }

    /// Stops a replica as a crash does: its connections break off, with what is under way on them, and it takes no new ones.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn stop(&self, name: &str) -> io::Result<()> {
        let runtime = self.server(name, |server| server.runtime.take())?;
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(STOPPED_WITHIN);
        }
        Ok(())
    }

    /// Starts a replica that was stopped, on the address that it had.
    ///
    /// # Errors
    /// There is none of that name, or its address is taken.
    pub fn start_again(&self, name: &str) -> io::Result<()> {
        let address = self.address(name).ok_or(io::ErrorKind::NotFound)?;
        self.server(name, |server| {
            if server.runtime.is_none() {
                server.runtime = Some(run(address, server.router.clone())?.0);
            }
            Ok(())
        })?
    }

    fn server<T>(&self, name: &str, work: impl FnOnce(&mut Server) -> T) -> io::Result<T> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let server = servers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(work(server))
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
        let (runtime, address) = run(address, router.clone())?;
        self.addresses.insert(name.into(), address);
        let server = Server {
            router,
            runtime: Some(runtime),
        };
        let servers = self.servers.get_mut();
        let servers = servers.unwrap_or_else(PoisonError::into_inner);
        servers.insert(name.into(), server);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Serves on a thread of its own, until the runtime is shut down.
fn run(address: SocketAddr, router: Router) -> io::Result<(Runtime, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("upstream")
        .enable_all()
        .build()?;
    let listener = runtime.block_on(bind(address))?;
    let address = listener.local_addr()?;
    runtime.spawn(async { axum::serve(listener, router).await });
    Ok((runtime, address))
}

/// Runs what needs no thread of its own.
fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(work))
}

/// A listener, or an error that names the address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}
