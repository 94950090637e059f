//! Echo on our own engine, on one core.

use std::io;
use std::net::SocketAddr;

use grenache_engine::{Config, Core, DriverChoice, Idle, Runtime, TcpStream, spawn_local};

use super::Transport;

pub(super) fn serve(
    transport: Transport,
    addr: SocketAddr,
    driver: DriverChoice,
    idle: Idle,
) -> io::Result<()> {
    let mut config = Config { driver, idle, ..Config::default() };
    match transport {
        Transport::Tcp => config.tcp.push(addr),
        Transport::Udp => config.udp.push(addr),
    }
    let runtime = Runtime::<()>::start(config, move |core| async move {
        match transport {
            Transport::Tcp => tcp(core).await,
            Transport::Udp => udp(core).await,
        }
    })
    .map_err(io::Error::other)?;
    let bound = runtime.tcp_addrs().iter().chain(runtime.udp_addrs()).next();
    super::announce(*bound.ok_or_else(|| io::Error::other("nothing was bound"))?)?;
    runtime.join().map_err(io::Error::other)
}

async fn tcp(core: Core<()>) {
    while let Ok((stream, _)) = core.listeners[0].accept().await {
        spawn_local(stream_echo(stream));
    }
}

async fn stream_echo(stream: TcpStream) {
    while let Ok(Some(bytes)) = stream.recv().await {
        stream.write(&bytes);
    }
}

async fn udp(core: Core<()>) {
    let socket = &core.sockets[0];
    while let Ok(datagram) = socket.recv().await {
        socket.send_to(&datagram.data, datagram.from);
    }
}
