//! A worker over HTTP, WebSocket and ZeroMQ that does as it is told with each request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{
    Config, Core, Pinning, Runtime, Stopper, TcpStream, now, shutdown, sleep, spawn_local,
};
use grenache_transports::http::{self, Connection, Event, date::Date, response};
use grenache_transports::ws::handshake::{self, Offer};
use grenache_transports::ws::{self, Role, frame};
use grenache_transports::zmtp::curve::KeyPair;
use grenache_transports::zmtp::{self, Mechanism, Metadata, Side, SocketType};
use serde_json::Value;

/// What it does about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// The payload back.
    Echo,
    /// Not before then, by its own clock.
    EchoAt(Duration),
    /// After it has used its CPU for so long.
    Work(Duration),
    Never,
    Garbage,
    Close,
    Reset,
    /// Ends the whole server.
    Stop,
}

/// What it speaks.
#[derive(Debug, Clone)]
enum Speech {
    Http,
    /// And HTTP.
    WebSocket,
    /// With CURVE, if there are keys.
    Zmtp(Option<KeyPair>),
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    _runtime: Runtime<()>,
}

impl Server {
    /// Asks `act` about each request, by its number and the time by the server's clock. Runs on the first CPU.
    pub(crate) fn start(act: impl Fn(u64, Duration) -> Act + Send + Sync + 'static) -> Self {
        Self::over(Speech::Http, act)
    }

    /// The same, and over WebSocket too for those who ask for it.
    pub(crate) fn websocket(act: impl Fn(u64, Duration) -> Act + Send + Sync + 'static) -> Self {
        Self::over(Speech::WebSocket, act)
    }

    /// The same, over ZeroMQ; with CURVE, if there are `keys`.
    pub(crate) fn zmtp(
        keys: Option<KeyPair>,
        act: impl Fn(u64, Duration) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::over(Speech::Zmtp(keys), act)
    }

    fn over(speech: Speech, act: impl Fn(u64, Duration) -> Act + Send + Sync + 'static) -> Self {
        let tcp = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let config = Config { tcp, pinning: Pinning::From(0), ..Config::default() };
        let shared = Arc::new((act, AtomicU64::new(0), OnceLock::new()));
        let own = shared.clone();
        let runtime = Runtime::start(config, move |mut core: Core<()>| {
            let (shared, speech) = (shared.clone(), speech.clone());
            async move {
                let listener = core.listeners.remove(0);
                spawn_local(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        match &speech {
                            Speech::Http => drop(spawn_local(serve(stream, false, shared.clone()))),
                            Speech::WebSocket => {
                                drop(spawn_local(serve(stream, true, shared.clone())));
                            }
                            Speech::Zmtp(keys) => {
                                drop(spawn_local(serve_zmtp(stream, keys.clone(), shared.clone())));
                            }
                        }
                    }
                });
                shutdown().await;
            }
        });
        let runtime = runtime.expect("a server");
        let _ = own.2.set(runtime.stopper());
        Self { addr: runtime.tcp_addrs()[0], _runtime: runtime }
    }

    /// Treats every hundredth request like this, and echoes the others.
    pub(crate) fn one_in_a_hundred(act: Act) -> Self {
        Self::start(one_in_a_hundred(act))
    }
}

/// This for every hundredth request.
pub(crate) fn one_in_a_hundred(act: Act) -> impl Fn(u64, Duration) -> Act + Send + Sync + 'static {
    move |number, _| if number % 100 == 99 { act } else { Act::Echo }
}

/// What to do, the requests so far, and how to end the server.
type Shared<A> = Arc<(A, AtomicU64, OnceLock<Stopper>)>;

async fn serve<A: Fn(u64, Duration) -> Act>(stream: TcpStream, upgrades: bool, shared: Shared<A>) {
    let mut connection = Connection::new(http::Config::default());
    let mut date = Date::new(Duration::ZERO);
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        while let Ok(Some(event)) = connection.receive(&mut input) {
            let Event::Request(request) = event else { continue };
            let mut out = BytesMut::new();
            if upgrades && handshake::is_asked(&request.head) {
                let offer = Offer::read(&request.head).expect("a handshake");
                offer.accept(&mut out, None, None);
                stream.write(&out);
                return serve_websocket(stream, shared).await;
            }
            match perform(&stream, &shared).await {
                Then::Answer => {}
                Then::Wait => continue,
                Then::End => return,
            }
            let (date, body) = (date.at(Duration::ZERO), answer(request.body));
            response::write(&mut out, 200, request.persistence, date, &[], &body);
            stream.write(&out);
        }
    }
}

/// The same over WebSocket. Nothing comes before the handshake is answered.
async fn serve_websocket<A: Fn(u64, Duration) -> Act>(stream: TcpStream, shared: Shared<A>) {
    let mut connection = ws::Connection::new(Role::Server, ws::Config::default());
    while let Ok(Some(mut received)) = stream.recv().await {
        let mut input = &mut received[..];
        while let Ok(Some(event)) = connection.receive(&mut input) {
            let ws::Event::Message(message) = event else { continue };
            match perform(&stream, &shared).await {
                Then::Answer => {}
                Then::Wait => continue,
                Then::End => return,
            }
            let mut out = BytesMut::new();
            frame::write_message(&mut out, message.kind, None, &answer(message.data));
            stream.write(&out);
        }
    }
}

/// The same as a ROUTER, for requests in one part and in three.
async fn serve_zmtp<A: Fn(u64, Duration) -> Act>(
    stream: TcpStream,
    keys: Option<KeyPair>,
    shared: Shared<A>,
) {
    let mechanism = match keys {
        None => Mechanism::null(Side::Bind),
        Some(keys) => Mechanism::curve_server(keys, [7; 96]),
    };
    let ours = Metadata::new(SocketType::Router).with("X-Grenache-Rpc", b"array").expect("a name");
    let mut out = BytesMut::new();
    let mut connection = zmtp::Connection::new(ours, mechanism, zmtp::Config::default(), &mut out);
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        loop {
            let request: Vec<Vec<u8>> = match connection.receive(&mut input, &mut out) {
                Ok(Some(zmtp::Event::Message(message))) => {
                    message.parts().map(<[u8]>::to_vec).collect()
                }
                Ok(Some(zmtp::Event::Credentials(_))) => {
                    connection.accept(&mut out).expect("it was asked");
                    continue;
                }
                Ok(Some(_)) => continue,
                Ok(None) => break,
                Err(_) => return stream.write(&out),
            };
            stream.write(&out);
            out.clear();
            match perform(&stream, &shared).await {
                Then::Answer => {}
                Then::Wait => continue,
                Then::End => return,
            }
            let sent = match &request[..] {
                [array] => connection.send(&[&answer(array)], &mut out),
                [rid, _, payload] => connection.send(&[rid, payload], &mut out),
                _ => panic!("no request: {request:?}"),
            };
            sent.expect("the handshake is over");
        }
        stream.write(&out);
        out.clear();
    }
}

/// What is left to do about a request.
enum Then {
    Answer,
    /// Nothing; another may come.
    Wait,
    /// Nothing, nor for any other of this connection.
    End,
}

/// Asks what to do about the next request, and does it but for the answer.
async fn perform<A: Fn(u64, Duration) -> Act>(stream: &TcpStream, shared: &Shared<A>) -> Then {
    match (shared.0)(shared.1.fetch_add(1, Ordering::Relaxed), now()) {
        Act::Echo => Then::Answer,
        Act::EchoAt(then) => {
            sleep(then.saturating_sub(now())).await;
            Then::Answer
        }
        Act::Work(time) => {
            let start = std::time::Instant::now();
            while start.elapsed() < time {
                std::hint::spin_loop();
            }
            Then::Answer
        }
        Act::Never => Then::Wait,
        Act::Garbage => {
            // To a WebSocket and over ZeroMQ, a frame with bits that nobody has agreed on.
            stream.write(b"\x16\x03garbage\r\n\r\n");
            Then::Wait
        }
        Act::Close => Then::End,
        Act::Reset => {
            stream.abort();
            Then::End
        }
        Act::Stop => {
            shared.2.get().expect("it runs").stop();
            Then::End
        }
    }
}

/// The payload as an answer. Anything but an envelope, as other generators may send it, is echoed as it is.
fn answer(body: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<[Value; 3]>(body) {
        Ok([rid, _, payload]) => serde_json::to_vec(&(rid, (), payload)).expect("JSON"),
        Err(_) => body.to_vec(),
    }
}
