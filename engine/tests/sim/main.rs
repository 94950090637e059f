//! What the simulated world adds to the suite of the drivers: hosts, a bad network, lost power, and
//! runs that depend on their seed alone.

mod datagrams;
mod nodes;
mod runs;
mod scale;
mod streams;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Config, Core, TcpStream, UdpSocket, spawn_local};

const SECOND: Duration = Duration::from_secs(1);

fn ip(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from((ip(host), port))
}

/// A network that keeps everything, always at the same speed.
fn calm() -> Network {
    let delay = Duration::from_millis(1)..Duration::from_millis(1);
    Network { delay, cut: 0.0, ..Network::default() }
}

/// Starts a node of one core without sockets.
fn run<Fut>(world: &mut World, host: u8, main: impl Fn() -> Fut + 'static) -> NodeId
where
    Fut: Future<Output = ()> + 'static,
{
    let main = move |_: Core<()>| main();
    world.start(Host::new(ip(host)), Config::default(), main).expect("the node starts")
}

/// Starts a node that answers datagrams and streams on port 7 with themselves.
fn serve_echo(world: &mut World, host: u8, cores: usize) -> NodeId {
    let at = vec![address(host, 7)];
    let config = Config { cores, tcp: at.clone(), udp: at, ..Config::default() };
    let main = |mut core: Core<()>| async move {
        let (listener, socket) = (core.listeners.remove(0), core.sockets.remove(0));
        spawn_local(async move {
            while let Ok(datagram) = socket.recv().await {
                socket.send_to(&datagram.data, datagram.from);
            }
        });
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(async move {
                    while let Ok(Some(bytes)) = stream.recv().await {
                        stream.write(&bytes);
                        if stream.drained(1 << 20).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        grenache_engine::shutdown().await;
    };
    world.start(Host::new(ip(host)), config, main).expect("the node starts")
}

/// A datagram socket of the host that this runs on.
fn bind() -> UdpSocket {
    UdpSocket::bind("0.0.0.0:0".parse().expect("an address")).expect("a free port")
}

/// Reads `count` bytes, fewer at the end.
async fn read(stream: &TcpStream, count: usize) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < count {
        let Some(bytes) = stream.recv().await? else { break };
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
