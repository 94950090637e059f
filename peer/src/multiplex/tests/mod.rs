//! What the tests of all transports need; and the pool over ZeroMQ, against workers of every manner, on the real engine and in
//! the simulator.

mod calls;
mod faults;
mod limits;
mod router;
mod security;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{JoinHandle, TcpListener, TcpStream, now, sleep, spawn_local, timeout};

use super::{Dial, Pool};
use crate::envelope::{self, Reply, Rid, Rids};
use crate::http::tests::LONG;
use crate::http::{Failed, Target};
use crate::json::Json;

/// A worker that treats every connection as a test wants.
pub(crate) struct Site {
    pub(crate) target: Target,
    pub(crate) accepted: Rc<Cell<usize>>,
    /// Connections that the worker's side still has.
    pub(crate) open: Rc<Cell<usize>>,
    pub(crate) accepting: JoinHandle<()>,
}

impl Site {
    /// One that has connections as they come.
    pub(crate) fn with<F, Fut>(any: SocketAddr, secure: bool, script: F) -> Site
    where
        F: Fn(TcpStream, usize) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind(any).expect("a free port");
        let target = Target::peer(listener.local_addr(), secure);
        let (accepted, open) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (count, left) = (accepted.clone(), open.clone());
        let accepting = spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.get();
                count.set(number + 1);
                left.set(left.get() + 1);
                let (script, left) = (script(stream, number), left.clone());
                spawn_local(async move {
                    script.await;
                    left.set(left.get() - 1);
                });
            }
        });
        Site { target, accepted, open, accepting }
    }

    /// Ends the pool and the worker, and makes sure that nothing of the former is left.
    pub(crate) async fn end<D: Dial>(self, pool: &Pool<D>) {
        timeout(LONG, pool.close()).await.expect("connections are left");
        self.closed().await;
        self.accepting.abort();
    }

    /// Waits until the worker has no connection any more.
    pub(crate) async fn closed(&self) {
        let end = now() + LONG;
        while self.open.get() > 0 {
            assert!(now() < end, "{} connections are not closed", self.open.get());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A text of so many bytes, in which everything is somewhere else.
pub(crate) fn text(length: usize) -> Json {
    let letters =
        (0..length as u32).map(|n| (b'a' + ((n ^ (n >> 7) ^ (n >> 15)) % 26) as u8) as char);
    Json::of(&letters.collect::<String>()).expect("a text")
}

/// A request, to be made with [`ask`].
fn request(payload: &Json) -> (Rid, Bytes) {
    let rid = Rids::new().draw();
    (rid, envelope::encode_request(&rid, "service", payload))
}

pub(crate) async fn ask_until<D: Dial>(
    pool: &Pool<D>,
    to: &Target,
    payload: &Json,
    deadline: Duration,
) -> Result<Reply, Failed> {
    let (rid, body) = request(payload);
    let reply = pool.ask(to, rid, &body, deadline).await?;
    assert!(rid.is(&reply.rid));
    Ok(reply)
}

/// A call with much time.
pub(crate) async fn ask<D: Dial>(
    pool: &Pool<D>,
    site: &Site,
    payload: &Json,
) -> Result<Reply, Failed> {
    ask_until(pool, &site.target, payload, now() + LONG).await
}

pub(crate) async fn ask_well<D: Dial>(pool: &Pool<D>, site: &Site, payload: &Json) -> Json {
    ask(pool, site, payload).await.expect("a reply").outcome.expect("a result")
}

/// The same in a task.
pub(crate) fn start<D: Dial>(
    pool: &Pool<D>,
    site: &Site,
    payload: Json,
) -> JoinHandle<Result<Reply, Failed>> {
    let (pool, to) = (pool.clone(), site.target.clone());
    spawn_local(async move { ask_until(&pool, &to, &payload, now() + LONG).await })
}

pub(crate) fn number(number: usize) -> Json {
    Json::of(&number).expect("a number")
}
