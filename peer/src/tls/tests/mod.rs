//! TLS over the real engine, over the simulated one, and with Node.

mod certificates;
mod damage;
mod handshakes;
mod node;
mod resumption;
mod streams;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use grenache_engine::{Config, Core, Runtime, TcpListener, TcpStream, sim, spawn_local, timeout};

use super::{Acceptor, ClientTls, Connector, Error, ServerTls, Stream};
use crate::channel::Channel;

/// Where servers of these tests live, and what their certificates are for.
const HOST: &str = "127.0.0.1";

/// Runs a program on a core of this machine.
fn run<F, Fut>(program: F)
where
    F: Fn(SocketAddr) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let runtime = Runtime::start(Config::default(), move |_: Core<()>| {
        let program = program(any);
        async move { timeout(Duration::from_secs(60), program).await.expect("it hangs") }
    });
    runtime.expect("the runtime starts").join().expect("the program holds");
}

/// Runs a program on a core in the simulator, where byte streams are cut anywhere and waiting costs
/// nothing.
fn simulate<F, Fut>(program: F)
where
    F: Fn(SocketAddr) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let network = sim::Network { cut: 0.5, ..sim::Network::default() };
    let mut world = sim::World::new(1, network);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let host = sim::Host::new([127, 0, 0, 1]);
    let node = world.start(host, Config::default(), move |_: Core<()>| program(any));
    let node = node.expect("the node starts");
    while world.is_running(node) {
        world.run_for(Duration::from_millis(1));
    }
}

/// Runs a program on both.
fn run_everywhere<F, Fut>(program: F)
where
    F: Fn(SocketAddr) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    run(program.clone());
    simulate(program);
}

/// The two ends of a new connection: the client's, the server's.
async fn pair(any: SocketAddr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(any).expect("a free port");
    let client = TcpStream::connect(listener.local_addr()).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("the other end");
    (client, server)
}

/// What both sides say of a handshake between them: the client, the server.
async fn meet(
    any: SocketAddr,
    client: &Connector,
    server: &Acceptor,
) -> (Result<Channel, Error>, Result<Channel, Error>) {
    let (near, far) = pair(any).await;
    let server = server.clone();
    let accepting = spawn_local(async move { server.accept(far).await });
    let connected = client.connect(near, HOST).await;
    (connected, accepting.await.expect("no panic"))
}

/// As [`meet`], from settings.
async fn meet_as(
    any: SocketAddr,
    client: &ClientTls,
    server: &ServerTls,
) -> (Result<Channel, Error>, Result<Channel, Error>) {
    let client = Connector::new(client).expect("settings that can be");
    let server = Acceptor::new(server).expect("settings that can be");
    meet(any, &client, &server).await
}

/// A handshake that must succeed, and a few bytes each way.
async fn meet_well(any: SocketAddr, client: &ClientTls, server: &ServerTls) -> (Channel, Channel) {
    let (client, server) = meet_as(any, client, server).await;
    let (client, server) = (client.expect("a session"), server.expect("a session"));
    client.write(b"ping");
    assert_eq!(read(&server, 4).await, b"ping");
    server.write(b"pong");
    assert_eq!(read(&client, 4).await, b"pong");
    (client, server)
}

/// How a session ends for a client that was refused: at the handshake or, with TLS 1.3, at the first
/// read.
async fn refusal(client: Result<Channel, Error>) -> Error {
    let channel = match client {
        Err(error) => return error,
        Ok(channel) => channel,
    };
    channel.write(b"a request");
    let error = channel.recv().await.expect_err("no session");
    Error::of(&error).unwrap_or_else(|| panic!("{error} is none of TLS")).clone()
}

/// Reads exactly `count` bytes.
async fn read(channel: &Channel, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let bytes = channel.recv().await.expect("the connection holds");
        all.extend_from_slice(&bytes.expect("more bytes"));
    }
    assert_eq!(all.len(), count);
    all
}

/// The TLS side of a channel.
fn tls(channel: &Channel) -> &Stream {
    match channel {
        Channel::Tls(stream) => stream,
        Channel::Plain(_) => panic!("a plain connection"),
    }
}
