//! One replica of the gRPC service: what is in stock.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::stock::stock_server::{Stock, StockServer};
use crate::stock::{
    AdjustRequest, GetRequest, Item, NoSuchItem, Reservation, ReserveRequest, WatchRequest,
};

/// Full name of the service.
pub const STOCK: &str = "inventory.v1.Stock";

/// What every replica has at its start. Each keeps its own account from then on.
const ITEMS: [(&str, u32); 3] = [("7", 40), ("8", 0), ("bolt-m4", 12_000)];

/// Between two messages of a watch, so that a reader sees them come one by one.
const UPDATE_EVERY: Duration = Duration::from_millis(10);

/// Most messages of one watch.
const MAX_UPDATES: u32 = 1000;

/// A replica of the inventory: the service `inventory.v1.Stock`, reflection (v1) and health.
#[derive(Clone, Debug)]
pub struct Inventory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    items: Mutex<BTreeMap<String, u32>>,
    health: HealthReporter,
}

/// `google.rpc.Status`, as `grpc-status-details-bin` carries it.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Inventory {
    /// A healthy replica of that name (`inventory-1`), and the services that it is made of.
    ///
    /// # Panics
    /// If the descriptor set that this crate was built with is none.
    pub async fn start(name: impl Into<String>) -> (Self, Router) {
        let (health, health_service) = tonic_health::server::health_reporter();
        let inventory = Self(Arc::new(Inner {
            name: name.into(),
            items: Mutex::new(ITEMS.map(|(id, quantity)| (id.into(), quantity)).into()),
            health,
        }));
        inventory.set_healthy(true).await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::INVENTORY_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .expect("the descriptor set describes itself");
        let routes = Routes::new(StockServer::new(inventory.clone()))
            .add_service(reflection)
            .add_service(health_service);
        (inventory, routes.into_axum_router())
    }

    /// What the health service says from now on. Calls go on being answered.
    pub async fn set_healthy(&self, healthy: bool) {
        let status = match healthy {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for service in ["", STOCK] {
            self.0.health.set_service_status(service, status).await;
        }
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn item(&self, id: &str, caller: &str, update: u32) -> Result<Item, Status> {
        let quantity = *self.items().get(id).ok_or_else(|| no_such_item(id))?;
        Ok(Item {
            id: id.into(),
            quantity,
            replica: self.0.name.clone(),
            update,
            caller: caller.into(),
        })
    }

    fn reserve(&self, asked: &ReserveRequest) -> Result<Reservation, Status> {
        let mut items = self.items();
        let quantity = items
            .get_mut(&asked.id)
            .ok_or_else(|| no_such_item(&asked.id))?;
        *quantity = quantity
            .checked_sub(asked.quantity)
            .ok_or_else(|| Status::resource_exhausted("not enough in stock"))?;
        Ok(Reservation {
            id: asked.id.clone(),
            reserved: asked.quantity,
            left: *quantity,
            replica: self.0.name.clone(),
        })
    }
}

#[tonic::async_trait]
impl Stock for Inventory {
    type WatchStream = Messages<Item>;
    type ReserveStream = Messages<Reservation>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Item>, Status> {
        let caller = caller(request.metadata());
        self.item(&request.get_ref().id, &caller, 0)
            .map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(request.metadata());
        let WatchRequest { id, updates } = request.into_inner();
        let updates = match updates {
            0 => 3,
            1..=MAX_UPDATES => updates,
            _ => return Err(Status::invalid_argument("at most 1000 updates")),
        };
        self.item(&id, &caller, 0)?;
        let (sender, receiver) = mpsc::channel(1);
        let inventory = self.clone();
        tokio::spawn(async move {
            for update in 1..=updates {
                if update > 1 {
                    tokio::time::sleep(UPDATE_EVERY).await;
                }
                // Nobody reads any more: the caller is gone.
                if sender
                    .send(inventory.item(&id, &caller, update))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn adjust(&self, request: Request<AdjustRequest>) -> Result<Response<Item>, Status> {
        let caller = caller(request.metadata());
        let AdjustRequest { id, quantity } = request.into_inner();
        match self.items().get_mut(&id) {
            Some(current) => *current = quantity,
            None => return Err(no_such_item(&id)),
        }
        self.item(&id, &caller, 0).map(Response::new)
    }

    async fn reserve(
        &self,
        request: Request<Streaming<ReserveRequest>>,
    ) -> Result<Response<Self::ReserveStream>, Status> {
        let inventory = self.clone();
        let answers = request
            .into_inner()
            .map(move |asked| Inventory::reserve(&inventory, &asked?));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Who the gateway says is asking.
fn caller(metadata: &MetadataMap) -> String {
    ["x-user", "x-consumer"]
        .iter()
        .find_map(|name| metadata.get(*name)?.to_str().ok())
        .unwrap_or_default()
        .into()
}

fn no_such_item(id: &str) -> Status {
    let message = "no such item";
    let missing = NoSuchItem { id: id.into() };
    let details = Details {
        code: Code::NotFound.into(),
        message: message.into(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/inventory.v1.NoSuchItem".into(),
            value: missing.encode_to_vec(),
        }],
    };
    Status::with_details(Code::NotFound, message, details.encode_to_vec().into())
}
