//! What a handle does for its callers besides streams and maps.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{shutdown, spawn_local};

use super::core::{Stay, unless};
use super::{Asked, Handle};
use crate::client::Call;
use crate::json::Json;
use crate::link::{self, Item, ItemKey, Put};

/// A service that is being announced for as long as this is kept.
#[must_use = "dropping it stops the announcements"]
pub struct Announcing {
    _kept: oneshot::Sender<Infallible>,
}

impl Handle {
    /// Calls a service and waits for the reply of one of its workers, as
    /// [`Client::request`](crate::client::Client::request). The time-out runs from the moment the core takes the call.
    pub fn request(&self, call: Call) -> Asked<Json> {
        self.run(async move |context| context.client.request(call).await)
    }

    /// Calls a service at a worker whose address is known, as
    /// [`Client::request_at`](crate::client::Client::request_at).
    pub fn request_at(&self, to: SocketAddr, call: Call) -> Asked<Json> {
        self.run(async move |context| context.client.request_at(to, call).await)
    }

    /// The workers that announce a service, as [`Link::lookup`](link::Link::lookup).
    pub fn lookup(&self, service: impl Into<String>) -> Asked<Vec<SocketAddr>> {
        let service = service.into();
        self.run(async move |context| Ok(context.link.lookup(&service).await?.to_vec()))
    }

    /// As [`lookup`](Self::lookup), but asks a grape in any case.
    pub fn lookup_fresh(&self, service: impl Into<String>) -> Asked<Vec<SocketAddr>> {
        let service = service.into();
        self.run(async move |context| Ok(context.link.lookup_fresh(&service).await?.to_vec()))
    }

    /// Waits until somebody announces a service, at most for `limit`, as [`Link::wait_for_service`](link::Link::wait_for_service).
    pub fn wait_for_service(
        &self,
        service: impl Into<String>,
        limit: Duration,
    ) -> Asked<Vec<SocketAddr>> {
        let service = service.into();
        self.run(async move |context| {
            Ok(context.link.wait_for_service(&service, limit).await?.to_vec())
        })
    }

    /// Tells the network once that a worker on this host offers a service on `port`, as [`Link::announce`](link::Link::announce).
    pub fn announce(&self, service: impl Into<String>, port: u16) -> Asked<usize> {
        let service = service.into();
        self.run(async move |context| context.link.announce(&service, port).await)
    }

    /// Announces a service again and again, as [`Link::start_announcing`](link::Link::start_announcing). The result is there once a grape has taken it for the
    /// first time; until then, without any time-out, it is tried again and again.
    pub fn start_announcing(&self, service: impl Into<String>, port: u16) -> Asked<Announcing> {
        let service = service.into();
        self.begin(move |context, stay| async move {
            let announcing = context.link.start_announcing(&service, port);
            announcing.announced().await;
            let (kept, dropped) = oneshot::async_channel();
            spawn_local(keep(announcing, dropped, stay));
            Ok(Announcing { _kept: kept })
        })
    }

    /// Stores an item and answers where it is found, as [`Link::put`](link::Link::put).
    pub fn put(&self, put: Put) -> Asked<ItemKey> {
        self.run(async move |context| context.link.put(&put).await)
    }

    /// Finds an item and checks its hash or signature, as [`Link::get`](link::Link::get); `salt` is that of a mutable item, empty for none.
    pub fn get(&self, key: ItemKey, salt: impl Into<Vec<u8>>) -> Asked<Option<Item>> {
        let salt = salt.into();
        self.run(async move |context| context.link.get(&key, &salt).await)
    }
}

/// Announces until the other end is dropped, or the handle stops.
async fn keep(
    _announcing: link::Announcing,
    dropped: oneshot::AsyncReceiver<Infallible>,
    _stay: Rc<Stay>,
) {
    unless(dropped, shutdown()).await;
}
