//! The pool against workers of every manner, on the real engine and in the simulator.

mod calls;
mod faults;
mod limits;
mod secure;

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::{
    JoinHandle, TcpListener, TcpStream, now, sleep, spawn_local, timeout, yield_now,
};
use grenache_transports::ws::{self, Deflater, Event, Kind, frame};

use super::accept::accept;
use super::connect::Upgraded;
use super::{Config, Pool, code};
use crate::Failure;
use crate::channel::Channel;
use crate::envelope::{self, Reply, Rid, Rids};
use crate::http::tests::{LONG, run};
use crate::http::{Failed, Target};
use crate::json::Json;

/// A worker that treats every connection as a test wants.
struct Site {
    target: Target,
    accepted: Rc<Cell<usize>>,
    /// Connections that the worker's side still has.
    open: Rc<Cell<usize>>,
    accepting: JoinHandle<()>,
}

impl Site {
    /// `script` is told which connection it has, from 0.
    fn start<F, Fut>(any: SocketAddr, script: F) -> Site
    where
        F: Fn(Peer, usize) -> Fut + Clone + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Site::with(any, false, move |stream, number| {
            let script = script.clone();
            async move {
                if let Some(peer) = Peer::accept(Channel::Plain(stream)).await {
                    script(peer, number).await;
                }
            }
        })
    }

    /// One that has connections as they come.
    fn with<F, Fut>(any: SocketAddr, secure: bool, script: F) -> Site
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

    /// One that answers every request with its payload.
    fn echo(any: SocketAddr) -> Site {
        Site::start(any, |peer, _| peer.echo())
    }

    /// Ends the pool and the worker, and makes sure that nothing of the former is left.
    async fn end(self, pool: &Pool) {
        timeout(LONG, pool.close()).await.expect("connections are left");
        self.closed().await;
        self.accepting.abort();
    }

    /// Waits until the worker has no connection any more.
    async fn closed(&self) {
        let end = now() + LONG;
        while self.open.get() > 0 {
            assert!(now() < end, "{} connections are not closed", self.open.get());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The worker's side of a connection.
struct Peer {
    channel: Channel,
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    heard: VecDeque<Heard>,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// The id of a request, and its payload.
    Request(Json, Json),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl Peer {
    /// Nothing if the client gives up before.
    async fn accept(channel: Channel) -> Option<Peer> {
        let config = Config { deflate: true, ..Config::default() };
        let upgraded = accept(channel, &config).await.ok()?;
        let Upgraded { channel, decoder, deflater, received, .. } = upgraded;
        assert!(received.is_none(), "the client waits for the answer");
        Some(Peer { channel, decoder, deflater, heard: VecDeque::new() })
    }

    /// What the client says next, unless it ends the connection.
    async fn hear(&mut self) -> Option<Heard> {
        while self.heard.is_empty() {
            let mut data = poll_fn(|context| self.channel.poll_recv(context)).await.ok()??;
            let mut input = &mut data[..];
            while let Some(event) = self.decoder.receive(&mut input).expect("the protocol") {
                self.heard.push_back(match event {
                    Event::Message(message) => {
                        let body = Bytes::copy_from_slice(message.data);
                        let request = envelope::decode_request(&body).expect("a request");
                        assert_eq!((message.kind, &*request.key), (Kind::Text, "service"));
                        Heard::Request(request.rid, request.payload)
                    }
                    Event::Ping(payload) => Heard::Ping(payload.to_vec()),
                    Event::Pong(payload) => Heard::Pong(payload.to_vec()),
                    Event::Close(close) => Heard::Close(close.map(|close| close.code)),
                });
            }
        }
        self.heard.pop_front()
    }

    /// The next request; what else is said is passed over.
    async fn request(&mut self) -> Option<(Json, Json)> {
        loop {
            if let Heard::Request(rid, payload) = self.hear().await? {
                return Some((rid, payload));
            }
        }
    }

    async fn echo(mut self) {
        while let Some((rid, payload)) = self.request().await {
            self.reply(&rid, &payload);
        }
    }

    /// Listens until the client ends the connection.
    async fn hear_out(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// The code of the close frame that comes, whatever comes before it.
    async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Heard::Close(code) = self.hear().await? {
                return code;
            }
        }
    }

    fn reply(&mut self, rid: &Json, result: &Json) {
        let mut body = BytesMut::new();
        envelope::encode_reply(&mut body, rid, Ok(result));
        self.text(&body);
    }

    fn text(&mut self, text: &[u8]) {
        let mut out = BytesMut::new();
        match &mut self.deflater {
            Some(deflater) => deflater.write_message(&mut out, Kind::Text, None, text),
            None => frame::write_message(&mut out, Kind::Text, None, text),
        }
        self.channel.send(out.freeze());
    }

    fn close(&self, code: u16) {
        let mut out = BytesMut::new();
        frame::write_close(&mut out, None, Some(ws::Close { code, reason: "" }));
        self.channel.write(&out);
    }
}

fn pool() -> Pool {
    Pool::new(Config::default(), None)
}

/// A text of so many bytes, in which everything is somewhere else.
fn text(length: usize) -> Json {
    let letters =
        (0..length as u32).map(|n| (b'a' + ((n ^ (n >> 7) ^ (n >> 15)) % 26) as u8) as char);
    Json::of(&letters.collect::<String>()).expect("a text")
}

/// A request, to be made with [`ask`].
fn request(payload: &Json) -> (Rid, Bytes) {
    let rid = Rids::new().draw();
    (rid, envelope::encode_request(&rid, "service", payload))
}

async fn ask_until(
    pool: &Pool,
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
async fn ask(pool: &Pool, site: &Site, payload: &Json) -> Result<Reply, Failed> {
    ask_until(pool, &site.target, payload, now() + LONG).await
}

async fn ask_well(pool: &Pool, site: &Site, payload: &Json) -> Json {
    ask(pool, site, payload).await.expect("a reply").outcome.expect("a result")
}

/// The same in a task.
fn start(pool: &Pool, site: &Site, payload: Json) -> JoinHandle<Result<Reply, Failed>> {
    let (pool, to) = (pool.clone(), site.target.clone());
    spawn_local(async move { ask_until(&pool, &to, &payload, now() + LONG).await })
}

fn number(number: usize) -> Json {
    Json::of(&number).expect("a number")
}
