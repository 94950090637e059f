//! Echo on glommio. It builds its rings without flags, and has no way to give any; it binds its sockets itself.

use std::io;
use std::net::SocketAddr;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream, UdpSocket};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::MESSAGE;

fn executor() -> io::Result<LocalExecutor> {
    // Unbound: the whole process is pinned from outside, as all the others are.
    Ok(LocalExecutorBuilder::new(Placement::Unbound).make()?)
}

pub(super) fn tcp(addr: SocketAddr) -> io::Result<()> {
    executor()?.run(async {
        let listener = TcpListener::bind(addr)?;
        super::announce(listener.local_addr()?)?;
        loop {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            glommio::spawn_local(stream_echo(stream)).detach();
        }
    })
}

async fn stream_echo(mut stream: TcpStream) {
    let mut buffer = [0; MESSAGE];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

pub(super) fn udp(addr: SocketAddr) -> io::Result<()> {
    executor()?.run(async {
        let socket = UdpSocket::bind(addr)?;
        super::announce(socket.local_addr()?)?;
        let mut buffer = [0; MESSAGE];
        loop {
            let (count, from) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..count], from).await?;
        }
    })
}
